"""Perceptual rewards where the steps are known: fetch a lump of sugar, and put it into the cup."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.irl.learned import LearnedReward
from vgps_models.irl.perceptual import PerceptualConfig, PerceptualReward, Steps, perceive
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.steps import split, steps_of
from vgps_models.irl.tracks import Track, geometry_names
from vgps_models.ranking import ranking
from vgps_models.turns import turned

THREE = PerceptualConfig(steps=3, shortest=3, kept=6)
NAMES = ("sugar", "cup")
LONGEST = 12
SHARES = st.lists(st.integers(3, LONGEST), min_size=2, max_size=5)  # moments of each step


def made_up(shares: list[int], seed: int, noise: float = 0.05) -> np.ndarray:
    """(T, 6): three numbers that are another in every step, and three that only vary."""
    rng = np.random.default_rng(seed)
    levels = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [2.0, 2.0, 2.0]])
    telling = np.repeat(levels[: len(shares)], shares, axis=0)
    return np.concatenate([telling, np.zeros_like(telling)], 1) + rng.normal(0, noise, (sum(shares), 6))


def sugared(seed: int, *, dropped: bool = False, fetched: bool = True) -> Track:
    """10 moments above the sugar, 10 with it in the hand above the table, 10 with it in the cup, or beside it."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 13, 3)
    step = np.repeat(np.arange(3), lengths)
    sugar, cup = rng.uniform(-0.3, -0.1, 2), rng.uniform(0.1, 0.3, 2)
    at = np.where(dropped, rng.uniform(-0.1, 0.0, 2), cup)
    where = np.array([[*sugar, 0.01], [*(0.5 * sugar), 0.2], [*at, 0.02]])
    points = np.stack([where[step] if fetched else np.tile(where[0], (len(step), 1))] * 2, 1)
    points[:, 1] = [*cup, 0.03]
    hand = where[step] + np.array([[0.0, 0.0, 0.15], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]])[step]
    gap = np.array([0.08, 0.02, 0.08])[step]
    hand = hand + rng.normal(0, 0.003, hand.shape)
    return Track("sweeten", NAMES, hand, gap, 0 * gap, points, 0.3, fetched and not dropped)


@pytest.fixture(scope="module")
def demonstrations() -> list[Track]:
    return [sugared(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def reward(demonstrations) -> PerceptualReward:
    return perceive(demonstrations, THREE)


@settings(max_examples=40, deadline=None)
@given(SHARES, st.integers(0, 1000))
def test_steps_are_where_things_change(shares, seed):
    bounds = split(made_up(shares, seed), len(shares), 3)
    np.testing.assert_array_equal(bounds, np.cumsum([0, *shares]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(3, LONGEST), min_size=3, max_size=3), min_size=2, max_size=4), st.integers(0, 99))
def test_steps_of_all_demonstrations_are_where_things_change(shares, seed):
    found = steps_of([made_up(one, seed + i) for i, one in enumerate(shares)], 3, 3)
    for bounds, one in zip(found, shares, strict=True):
        np.testing.assert_array_equal(bounds, np.cumsum([0, *one]))


def test_a_step_means_the_same_in_all_demonstrations():
    """Alone, one of them would be split where it pauses, which nobody else does."""
    odd = made_up([8, 8, 8], 0)
    odd[16:20, 3:] += 1.5
    together = steps_of([odd, *(made_up([8, 8, 8], seed) for seed in range(1, 10))], 3, 3)
    assert split(odd, 3, 3).tolist() == [0, 16, 20, 24] and together[0].tolist() == [0, 8, 16, 24]


def test_no_step_is_shorter_than_it_may_be():
    features = made_up([1, 20], 0)
    assert np.diff(split(features, 2, 4)).min() >= 4


def test_a_step_is_told_by_what_is_different_in_it():
    features, step = made_up([30, 30], 3, noise=0.3), np.repeat([0, 1], 30)
    found = Steps.told_apart(features, step, PerceptualConfig(steps=2, kept=1))
    assert found.which.tolist() == [[0]]  # of the six only the first changes between these two
    np.testing.assert_allclose(found.usual, features[30:, 0].mean())


def test_of_two_that_change_as_much_the_steadier_one_is_kept():
    rng, step = np.random.default_rng(0), np.repeat([0, 1], 200)
    features = step[:, None] + rng.normal(0, [0.5, 0.05], (400, 2))
    assert Steps.told_apart(features, step, PerceptualConfig(steps=2, kept=1)).which.tolist() == [[1]]


def test_every_step_is_worth_more_than_the_one_before(reward):
    for seed in range(20, 30):
        track = sugared(seed)
        values, held = reward.of(track), track.gap < 0.05
        first, last = np.flatnonzero(held)[[0, -1]]
        assert values[:first].max() < values[held].min() and values[held].max() < values[last + 1 :].min()


def test_a_task_that_is_not_done_is_worth_less(reward):
    good = [sugared(seed) for seed in range(100, 130)]
    for bad in ({"dropped": True}, {"fetched": False}):
        tracks = [*good, *(sugared(seed, **bad) for seed in range(200, 230))]
        scores = np.array([reward.score(track) for track in tracks])
        assert ranking(scores, np.array([track.success for track in tracks])) > 0.95


def test_within_begins_below_and_ends_at_nothing(reward, demonstrations):
    told = np.array([reward.within(track)[[0, -1]] for track in demonstrations])
    np.testing.assert_allclose(np.median(told, 0), [-1.0, 0.0], atol=0.05)


@settings(max_examples=25, deadline=None)
@given(st.floats(-4, 4), st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_turning_and_moving_the_table_changes_nothing(demonstrations, reward, yaw, shift):
    turn, by = turned(yaw), np.array([*shift, 0.0])

    def moved(track: Track) -> Track:
        return replace(track, hand=track.hand @ turn.T + by, points=track.points @ turn.T + by)

    seen = sugared(50)
    np.testing.assert_allclose(reward.of(moved(seen)), reward.of(seen), atol=1e-9)
    again = perceive([moved(track) for track in demonstrations], THREE)
    np.testing.assert_allclose(again.of(seen), reward.of(seen), atol=1e-6)


def test_a_kept_reward_says_the_same(reward, tmp_path):
    path = tmp_path / "reward.safetensors"
    reward.save(path, {})
    again: LearnedReward = load_reward(path)
    assert isinstance(again, PerceptualReward)
    assert (again.task, again.names, again.span) == (reward.task, reward.names, reward.span)
    np.testing.assert_array_equal(again.of(sugared(70)), reward.of(sugared(70)))
    read = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["perceptual"]["reads"]
    assert len(read) == 2 and set(read[1]) <= set(geometry_names(NAMES))


def test_a_damaged_file_is_refused(reward, tmp_path):
    path = tmp_path / "reward.safetensors"
    reward.save(path, {})
    whole, card = path.read_bytes(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for spoilt in (whole[:-1], whole[:40], b"", whole[:-8] + bytes(8)):
        path.write_bytes(spoilt)
        with pytest.raises(DataError):
            load_reward(path)
    path.write_bytes(whole)
    for change, said in (
        ({"kind": "guessed"}, "known are: airl, perceptual"),
        ({"kind": "airl"}, "airl"),
        ({"format": "vgps-reward-0"}, "version"),
        ({"span": None}, "vgps reward learn"),
        ({"weights_sha256": ""}, "another's"),
    ):
        path.with_suffix(".json").write_text(json.dumps({**card, **change}), encoding="utf-8")
        with pytest.raises(DataError, match=said):
            load_reward(path)
    path.with_suffix(".json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="vgps reward learn"):
        load_reward(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"usual": np.zeros((2, 2))}, "shapes"),
        ({"spread": np.zeros((2, 3))}, "above 0"),
        ({"usual": np.full((2, 3), np.nan)}, "finite"),
        ({"which": np.zeros((2, 3))}, "whole"),
    ],
)
def test_steps_that_make_no_sense_are_refused(change, said):
    fine = {"which": np.zeros((2, 3), int), "usual": np.zeros((2, 3)), "spread": np.ones((2, 3))}
    Steps(**fine)
    with pytest.raises(DataError, match=said):
        Steps(**{**fine, **change})


def test_steps_of_another_geometry_are_refused(reward):
    far = replace(reward.steps, which=reward.steps.which + 1000)
    with pytest.raises(DataError, match="geometry"):
        PerceptualReward(reward.task, reward.names, reward.scale, far)


def test_demonstrations_that_teach_nothing_are_refused(demonstrations):
    one, other = demonstrations[:2]
    short = Track(
        one.task, NAMES, one.hand[:5], one.gap[:5], one.tilt[:5], one.points[:5], one.heading, True
    )  # fmt: skip
    for shown, said in (
        ([], "one task"),
        ([one], "2 or more"),
        ([one, replace(other, task="stir")], "one task"),
        ([one, replace(other, names=("cup", "sugar"))], "same landmarks"),
        ([one, short], "5 moments"),
    ):
        with pytest.raises(DataError, match=said):
            perceive(shown, THREE)


@pytest.mark.parametrize("change", [{"steps": 1}, {"shortest": 0}, {"kept": 0}, {"alpha": 0.0}])
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(SpecError, match="two steps or more"):
        PerceptualConfig(**change)


def test_a_reward_of_things_does_not_see_the_hand(demonstrations, tmp_path):
    alone = perceive(demonstrations, THREE, "things")
    track = demonstrations[0]
    elsewhere = replace(track, hand=track.hand + [0.1, -0.2, 0.3], gap=0.5 * track.gap)
    np.testing.assert_array_equal(alone.of(track), alone.of(elsewhere))
    assert np.abs(perceive(demonstrations, THREE).of(track) - perceive(demonstrations, THREE).of(elsewhere)).max() > 0.1
    assert alone.of(track)[-1] > alone.of(track)[0]
    alone.save(tmp_path / "things.safetensors", {})
    np.testing.assert_array_equal(load_reward(tmp_path / "things.safetensors").of(track), alone.of(track))
    read = json.loads((tmp_path / "things.json").read_text(encoding="utf-8"))["perceptual"]["reads"]
    assert all(not name.startswith("hand") and name != "gap" for names in read for name in names)
    with pytest.raises(UnknownNameError, match="all, things"):
        perceive(demonstrations, THREE, "hands")


def test_a_file_from_when_all_was_read_reads_all(reward, demonstrations, tmp_path):
    path = tmp_path / "old.safetensors"
    reward.save(path, {})
    arrays = load_file(path)
    del arrays["columns"]
    save_file(arrays, path)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    card["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    np.testing.assert_array_equal(load_reward(path).of(demonstrations[0]), reward.of(demonstrations[0]))
