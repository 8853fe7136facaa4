"""Goals are drawn as published, never across a border between videos for what is called later, and repeatably."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.video.sampling import GOALS_FROM, LATER, Sampler, Sampling, Transitions, split_videos

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=12).filter(lambda lengths: max(lengths) > 1)


def bounds_of(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def video_of(bounds: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.searchsorted(bounds, index, side="right") - 1


@given(
    lengths=LENGTHS,
    step=st.integers(0, 2**40),
    seed=st.integers(0, 2**31),
    later_by=st.sampled_from(LATER),
    goals_from=st.sampled_from(GOALS_FROM),
    groups=st.integers(1, 10),
    per_video=st.integers(1, 5),
    goals=st.integers(1, 4),
    stays=st.booleans(),
)
def test_steps_and_later_goals_stay_within_their_video(
    lengths: list[int], step: int, seed: int, later_by: str, goals_from: str, groups: int, per_video: int, goals: int,
    stays: bool,
) -> None:  # fmt: skip
    bounds = bounds_of(lengths)
    settings = Sampling(
        groups * per_video, seed, 0.0, 0.8, 0.2, later_by=later_by, goals_from=goals_from, per_video=per_video,
        goals=goals, stays=stays,
    )  # fmt: skip
    s, following, outcome, intent = Sampler(bounds, settings).draw(step).index
    last = bounds[video_of(bounds, s) + 1] - 1
    assert s.shape == (groups * per_video * goals,) and (following == np.minimum(s + 1, last)).all()
    assert stays or (s < last).all()
    pairs = s.reshape(-1, goals)
    assert (pairs == pairs[:, :1]).all()
    assert (np.ptp(video_of(bounds, s).reshape(groups, -1), axis=1) == 0).all()
    for row in (following, outcome, intent):
        assert (video_of(bounds, row) == video_of(bounds, s)).all()
    assert (outcome >= s).all() and (intent >= s).all()


@given(lengths=LENGTHS, step=st.integers(0, 2**40), seed=st.integers(0, 2**31), data=st.data())
def test_only_the_chosen_videos_are_seen_and_a_step_is_a_function_of_its_number(
    lengths: list[int], step: int, seed: int, data: st.DataObject
) -> None:
    bounds = bounds_of(lengths)
    long = [v for v, n in enumerate(lengths) if n > 1]
    videos = data.draw(st.lists(st.sampled_from(long), min_size=1, unique=True))
    sampler = Sampler(bounds, Sampling(batch=32, seed=seed), videos)
    drawn = sampler.draw(step)
    assert set(video_of(bounds, drawn.index).ravel().tolist()) <= set(videos)
    sampler.draw(step + 1)
    again = Sampler(bounds, Sampling(batch=32, seed=seed), videos).draw(step)
    assert (again.index == drawn.index).all() and drawn.index.min() >= 0 and drawn.index.max() < bounds[-1]
    each, row = drawn.distinct()
    assert (each[row] == drawn.index).all() and (np.diff(each) > 0).all()


def many(settings: Sampling, bounds: np.ndarray, steps: int = 60) -> np.ndarray:
    sampler = Sampler(bounds, settings)
    return np.concatenate([sampler.draw(step).index for step in range(steps)], axis=1)


def test_the_mixture_is_the_published_one() -> None:
    bounds = bounds_of([40] * 250)  # a random frame is of the same video once in 250 times
    s, _, outcome, intent = many(Sampling(batch=1000, stays=False), bounds)
    own = video_of(bounds, s)
    spread = 4 * np.sqrt(0.25 / s.size)
    assert abs((intent == s).mean() - 0.2) < spread
    assert abs((video_of(bounds, intent) != own).mean() - 0.3) < spread + 0.002
    assert abs(((video_of(bounds, intent) == own) & (intent > s)).mean() - 0.5) < spread + 0.002
    # Half of the outcomes are the intent; of the others a fifth is s twice, the rest is equal by chance.
    assert abs((outcome == intent).mean() - (0.5 + 0.5 * (0.2**2))) < spread + 0.01
    assert abs((outcome == s).mean() - 0.2) < spread
    assert len(np.unique(s)) > 0.95 * (40 - 1) * 250  # every step, and each about equally often
    assert abs(np.bincount(own, minlength=250) / s.size - 1 / 250).max() < 5 * np.sqrt(1 / 250 / s.size)


def test_later_is_uniform_over_the_rest_or_falls_as_gamma_does() -> None:
    bounds = bounds_of([21] * 50)
    s, _, _, intent = many(Sampling(1000, 0, 0.0, 1.0, 0.0, stays=False), bounds)
    first = s % 21 == 0
    counts = np.bincount(intent[first] - s[first], minlength=21)
    assert counts[0] == 0 and abs(counts[1:] / first.sum() - 1 / 20).max() < 5 * np.sqrt(1 / 20 / first.sum())
    settings = Sampling(1000, 0, 0.0, 1.0, 0.0, later_by="geometric", gamma=0.8)
    s, _, _, intent = many(settings, bounds)
    first = s % 21 == 0
    counts = np.bincount(intent[first] - s[first], minlength=21) / first.sum()
    want = 0.2 * 0.8 ** np.arange(20)
    want[-1] = 0.8**19  # all that lies past the end
    assert abs(counts[1:] - want).max() < 5 * np.sqrt(0.2 * 0.8 / first.sum())


def test_random_goals_of_the_batch_need_no_frames_of_their_own() -> None:
    bounds = bounds_of([30] * 100)
    own = Sampler(bounds, Sampling(200, 0, 1.0, 0.0, 0.0, goals_from="batch")).draw(5).index
    assert set(own[3].tolist()) <= set(own[0].tolist()) and len(set(own[3].tolist())) > 50
    anywhere = Sampler(bounds, Sampling(200, 0, 1.0, 0.0, 0.0)).draw(5)
    assert len(np.unique(own)) < len(anywhere.distinct()[0]) - 100


def test_a_batch_that_is_enough_for_itself_shows_no_other_frames_and_many_later_ones() -> None:
    bounds = bounds_of([30] * 100)
    settings = Sampling(64, 0, 0.0, 0.8, 0.2, goals_from="batch", per_video=8, goals=8)
    s, following, outcome, intent = many(settings, bounds, 1)
    shown = set(s.tolist()) | set(following.tolist())
    assert set(outcome.tolist()) | set(intent.tolist()) <= shown and len(shown) <= 128
    assert len(set(zip(s.tolist(), intent.tolist(), strict=True))) > 150  # of 64 states


def test_where_a_video_stays_its_last_frame_is_as_likely_and_has_itself_for_later() -> None:
    bounds = bounds_of([3, 6])
    s, following, _, intent = many(Sampling(1000, 0, 0.0, 1.0, 0.0), bounds)
    assert np.bincount(s, minlength=9) / s.size == pytest.approx(np.full(9, 1 / 9), abs=0.01)
    ended = (s == 2) | (s == 8)
    assert (following[ended] == s[ended]).all() and (intent[ended] == s[ended]).all() and (intent > s)[~ended].all()


def test_transitions_tell_goals_and_give_frames_by_role() -> None:
    row = np.array([[0, 1], [1, 2], [0, 3], [2, 1]])
    frames = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    batch = Transitions(
        7, np.array([[0, 0], [0, 0], [0, 1], [0, 0]]), np.array([[5, 6], [6, 7], [5, 6], [7, 6]]), frames, row
    )
    assert batch.at_goal.tolist() == [True, False] and batch.at_intent.tolist() == [False, True]
    assert len(batch) == 2
    assert batch.images("outcome")[:, 0, 0, 0].tolist() == [0, 3]
    with pytest.raises(UnknownNameError, match="outcome"):
        batch.images("goal")


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"random": 0.5}, {"same": 1.5}, {"batch": 0}, {"gamma": 1.0}, {"random": -0.3, "later": 1.1},
                  {"per_video": 3}, {"goals": 0}):  # fmt: skip
        with pytest.raises(SpecError):
            Sampling(**wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownNameError, match="geometric"):
        Sampling(later_by="linear")
    with pytest.raises(DataError, match="two frames"):
        Sampler(bounds_of([1, 1, 5]), Sampling(), [0, 1])


@given(count=st.integers(2, 200), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_a_split_leaves_nothing_out_and_nothing_twice(count: int, fraction: float, seed: int) -> None:
    train, held = split_videos(count, fraction, seed)
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(count)) and len(train) and len(held)
