"""Goals: their shares, their bounds, and that only random ones leave the trajectory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import SpecError
from vgps_models.icvf import GoalMix, Moves, draw_goals, draw_moves
from vgps_models.icvf.sampling import last_of

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=8).map(np.array)
SEEDS = st.integers(0, 2**32)
KINDS = ("random", "later", "current")
ONLY = {kind: GoalMix(**{other: float(other == kind) for other in KINDS}) for kind in KINDS}


def trajectory_of(lengths: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(lengths)), lengths)


def frames_of(moves: Moves, name: str) -> np.ndarray:
    return moves.frames[getattr(moves, name)]


@given(LENGTHS)
def test_last_of(lengths):
    expected = [end - 1 for end, length in zip(np.cumsum(lengths), lengths, strict=True) for _ in range(length)]
    assert last_of(lengths, np.arange(lengths.sum())).tolist() == expected


@given(LENGTHS, SEEDS)
def test_goals_of_every_kind_lie_where_they_should(lengths, seed):
    now = np.arange(lengths.sum()).repeat(5)
    drawn = {kind: draw_goals(lengths, now, np.random.default_rng(seed), mix) for kind, mix in ONLY.items()}
    last, own = last_of(lengths, now), trajectory_of(lengths)
    assert (drawn["current"] == now).all()
    assert ((drawn["random"] >= 0) & (drawn["random"] < lengths.sum())).all()
    assert (drawn["later"] >= np.minimum(now + 1, last)).all() and (drawn["later"] <= last).all()
    assert (own[drawn["later"]] == own[now]).all()


@given(LENGTHS, SEEDS, st.floats(0, 1))
def test_without_random_goals_nothing_leaves_its_trajectory(lengths, seed, later):
    moves = draw_moves(lengths, 50, seed=seed, step=0, mix=GoalMix(random=0.0, later=later, current=1 - later))
    own = trajectory_of(lengths)
    for name in ("s_next", "goal", "intent"):
        assert (own[frames_of(moves, name)] == own[frames_of(moves, "s")]).all()
        assert (frames_of(moves, name) >= frames_of(moves, "s")).all()


@given(LENGTHS, SEEDS, st.integers(0, 100))
def test_moves_are_what_they_say(lengths, seed, step):
    moves = draw_moves(lengths, 40, seed=seed, step=step)
    s, s_next, goal, intent = (frames_of(moves, name) for name in ("s", "s_next", "goal", "intent"))
    assert (s_next == np.minimum(s + 1, last_of(lengths, s))).all()
    assert (moves.at_goal == (s == goal)).all() and (moves.at_intent == (s == intent)).all()
    used = np.concatenate([moves.s, moves.s_next, moves.goal, moves.intent])
    assert (np.unique(used) == np.arange(len(moves.frames))).all()  # every distinct state once, and no other
    assert len(np.unique(moves.frames)) == len(moves.frames) and moves.frames.max() < lengths.sum()


@given(LENGTHS, SEEDS, st.integers(0, 1000))
def test_the_same_seed_and_step_draw_the_same(lengths, seed, step):
    once, again = (draw_moves(lengths, 30, seed=seed, step=step) for _ in range(2))
    assert all(np.array_equal(getattr(once, name), getattr(again, name)) for name in vars(once))


def test_another_step_or_seed_draws_others():
    lengths = np.array([1000] * 3)
    drawn = [draw_moves(lengths, 30, seed=seed, step=step).frames for seed, step in ((0, 0), (0, 1), (1, 0))]
    assert set(drawn[0]) != set(drawn[1]) and set(drawn[0]) != set(drawn[2])


@given(LENGTHS, SEEDS)
def test_frames_of_one_state_are_that_state(lengths, seed):
    states = np.random.default_rng(seed).integers(4, size=lengths.sum())
    plain = draw_moves(lengths, 40, seed=seed, step=1)
    moves = draw_moves(lengths, 40, seed=seed, step=1, states=states)
    for name in ("s", "s_next", "goal", "intent"):
        assert (states[frames_of(moves, name)] == states[frames_of(plain, name)]).all()
    assert len(set(states[moves.frames])) == len(moves.frames)
    assert (moves.at_goal == (states[frames_of(plain, "s")] == states[frames_of(plain, "goal")])).all()
    assert (moves.at_intent == (states[frames_of(plain, "s")] == states[frames_of(plain, "intent")])).all()


@given(st.tuples(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.05, 1)), st.floats(0, 1), SEEDS)
def test_shares_are_those_of_the_mix(parts, shared, seed):
    """In long trajectories kinds can be told apart. 5 standard deviations of a share of 4000, and chance meetings."""
    random, later, current = (part / sum(parts) for part in parts)
    mix = GoalMix(random, later, current, shared)
    lengths, count = np.full(500, 1000), 4000
    moves = draw_moves(lengths, count, seed=seed, step=0, mix=mix)
    s, goal, intent = (frames_of(moves, name) for name in ("s", "goal", "intent"))
    own = trajectory_of(lengths)
    for drawn in (goal, intent):
        told = [own[drawn] != own[s], (own[drawn] == own[s]) & (drawn > s), drawn == s]
        assert np.allclose([t.mean() for t in told], [random, later, current], atol=5 * 0.5 / count**0.5 + 0.005)
    same = shared + (1 - shared) * current**2  # two drawn apart meet at the current frame
    assert (goal == intent).mean() == pytest.approx(same, abs=5 * 0.5 / count**0.5 + 0.005)


def test_all_later_frames_and_all_frames_are_as_likely():
    lengths = np.array([3, 6])
    later = draw_goals(lengths, np.full(50_000, 4), np.random.default_rng(0), ONLY["later"])
    assert np.bincount(later, minlength=9)[5:] / 50_000 == pytest.approx(np.full(4, 1 / 4), abs=0.01)
    anywhere = draw_goals(lengths, np.full(50_000, 4), np.random.default_rng(0), ONLY["random"])
    assert np.bincount(anywhere) / 50_000 == pytest.approx(np.full(9, 1 / 9), abs=0.01)
    moves = draw_moves(lengths, 50_000, seed=0, step=0)
    assert np.bincount(frames_of(moves, "s")) / 50_000 == pytest.approx(np.full(9, 1 / 9), abs=0.01)


@pytest.mark.parametrize(
    "shares", [{"random": 0.5}, {"random": -0.2, "later": 1.0}, {"shared": 1.5}, {"current": np.nan}]
)
def test_shares_that_do_not_add_up_are_refused(shares):
    with pytest.raises(SpecError, match="add up to 1"):
        GoalMix(**shares)


@pytest.mark.parametrize("lengths", [[], [3, 0]])
def test_empty_trajectories_are_refused(lengths):
    with pytest.raises(SpecError, match="at least one frame"):
        draw_moves(np.array(lengths, np.int64), 5, seed=0, step=0)
