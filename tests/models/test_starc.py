"""STARC distances: nothing that cannot change a policy changes them, and they are what theory says they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError, SpecError
from vgps_models.irl.mdp import MDP, induced
from vgps_models.irl.starc import Recorded, canonical, distance, minimal, starc, starc_recorded
from vgps_models.irl.worlds import WORLDS, chain, grid, tangle, walk

seeds = st.integers(0, 10_000)


def reward_of(world, random: np.random.Generator) -> np.ndarray:
    """Any reward of transitions (S, A, S)."""
    return random.normal(size=world.mdp.moves.shape)


def shaped(mdp: MDP, reward: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same reward to every policy: scaled, shaped, and shared out otherwise among the states that may follow."""
    potential = random.normal(size=mdp.states)
    other = random.normal(size=reward.shape)
    other -= mdp.expected(other)[:, :, None]  # of mean 0 over what follows
    return random.uniform(0.1, 30) * (reward + mdp.gamma * potential - potential[:, None, None] + other)


@settings(max_examples=30)
@given(seeds)
def test_shaping_scale_and_sharing_out_change_nothing(seed):
    random, world = np.random.default_rng(seed), tangle(seed)
    one, two = reward_of(world, random), reward_of(world, random)
    same = shaped(world.mdp, one, random)
    assert starc(world.mdp, one, same) < 1e-9
    assert starc(world.mdp, same, two) == pytest.approx(starc(world.mdp, one, two), abs=1e-9)
    assert distance(minimal(world.mdp, one), minimal(world.mdp, same)) < 1e-9
    assert np.allclose(world.mdp.best(one), world.mdp.best(same))


@settings(max_examples=30)
@given(seeds)
def test_it_is_a_distance_from_0_to_1(seed):
    random, world = np.random.default_rng(seed), tangle(seed)
    one, two, three = (reward_of(world, random) for _ in range(3))
    between = starc(world.mdp, one, two)
    assert 0 < between < 1 and between == pytest.approx(starc(world.mdp, two, one))
    assert starc(world.mdp, one, three) <= between + starc(world.mdp, two, three) + 1e-12
    assert starc(world.mdp, one, -one) == pytest.approx(1) and starc(world.mdp, one, one) == 0


def test_a_reward_that_wants_nothing_is_told_from_those_that_do():
    world = grid(0)
    nothing = world.mdp.of_states(np.full(world.mdp.states, 3.7))
    assert not canonical(world.mdp, nothing).any() and not minimal(world.mdp, nothing).any()
    assert starc(world.mdp, nothing, 0 * nothing) == 0
    assert starc(world.mdp, nothing, world.truth) == pytest.approx(0.5)
    tiny = 1e-9 * world.truth
    assert starc(world.mdp, tiny, world.truth) == pytest.approx(0, abs=1e-6)


def test_the_canonical_form_is_the_advantage_of_having_no_preference():
    world = chain(3)
    form, policy = canonical(world.mdp, world.truth), world.mdp.uniform()
    v = world.mdp.value(world.truth, policy)
    by_hand = world.mdp.expected(world.truth) + world.mdp.gamma * world.mdp.moves @ v - v[:, None]
    assert np.allclose(form, by_hand) and np.allclose((policy * form).sum(1), 0)


@pytest.mark.parametrize("name", WORLDS)
def test_the_nearer_the_better_the_policy(name):
    """Rewards on the way from the truth to something else: as the distance grows the policy they induce gets worse."""
    random, world = np.random.default_rng(0), WORLDS[name](1)
    other = world.mdp.of_states(random.normal(size=world.mdp.states))
    scale = np.abs(canonical(world.mdp, world.truth)).mean() / np.abs(canonical(world.mdp, other)).mean()
    rewards = [(1 - t) * world.truth + t * scale * other for t in (0.0, 0.3, 0.6, 1.0)]
    away = [starc(world.mdp, r, world.truth) for r in rewards]
    won = [induced(world.mdp, r, world.truth) for r in rewards]
    assert away == sorted(away) and won[0] == pytest.approx(1) and won == sorted(won, reverse=True) and won[-1] < 0.7


def test_from_recordings_it_is_nearly_what_it_is_exactly():
    """With the policy that recorded as the one whose advantages count. A chain: what follows is certain."""
    world, random = chain(0), np.random.default_rng(0)
    mdp, policy = world.mdp, world.mdp.uniform()
    states, actions = walk(mdp, policy, 300, 200, random)
    s, a, t = states[:, :-1].ravel(), actions.ravel(), states[:, 1:].ravel()
    eye = np.eye(mdp.states)[:, 1:]  # the constant is added
    recorded = Recorded(eye[s], eye[t], np.zeros(len(s), bool), mdp.gamma)
    one, two = (mdp.of_states(random.normal(size=mdp.states)) for _ in range(2))
    visited = np.bincount(s * mdp.actions + a, minlength=mdp.states * mdp.actions) / len(s)
    weight = np.sqrt(visited.reshape(mdp.states, mdp.actions))
    exact = distance(weight * canonical(mdp, one, policy), weight * canonical(mdp, two, policy))
    found = starc_recorded(recorded, one[s, a, t], two[s, a, t])
    assert found == pytest.approx(exact, abs=0.01) and 0.3 < exact < 0.9
    potential = random.normal(size=mdp.states)
    same = 7 * (one[s, a, t] + mdp.gamma * potential[t] - potential[s])
    assert starc_recorded(recorded, one[s, a, t], same) < 1e-3


def test_an_end_is_worth_nothing_more():
    features = np.array([[0.0], [1.0], [0.0], [1.0]])
    recorded = Recorded(features, 1 - features, np.array([False, True, False, True]), 0.9)
    advantage = recorded.canonical(np.array([0.0, 1.0, 0.0, 1.0]))
    assert np.allclose(advantage, 0, atol=1e-4)  # all goes as it always does


def test_what_does_not_fit_is_refused():
    with pytest.raises(SpecError, match="cannot be compared"):
        distance(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(SpecError, match="add up to 1"):
        MDP(np.ones((2, 1, 2)), np.full(2, 0.5), 0.9)
    with pytest.raises(SpecError, match="expected \\(S, A, S\\)"):
        MDP(np.ones((2, 1, 3)), np.full(2, 0.5), 0.9)
    recorded = Recorded(np.random.default_rng(0).normal(size=(9, 2)), np.zeros((9, 2)), np.ones(9, bool), 0.9)
    with pytest.raises(DataError, match="expected 9 finite numbers"):
        recorded.canonical(np.full(9, np.nan))
    with pytest.raises(DataError, match="2 transitions cannot tell"):
        Recorded(np.zeros((2, 5)), np.zeros((2, 5)), np.zeros(2, bool), 0.9)
    with pytest.raises(SpecError, match="nothing to induce"):
        induced(chain(0).mdp, chain(0).truth, 0 * chain(0).truth)
