"""MaxEnt IRL and AIRL: gradients by hand, safeguards, and the rewards of demonstrators that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vgps_models.errors import SpecError
from vgps_models.irl.airl import AIRL, AIRLConfig, Alarm, Moves
from vgps_models.irl.maxent import MaxEntConfig, maxent, visits_of
from vgps_models.irl.mdp import MDP, induced
from vgps_models.irl.recovery import Recovery, airl, recover
from vgps_models.irl.starc import starc
from vgps_models.irl.worlds import WORLDS, chain, grid, tangle, walk


def test_soft_policies_go_from_no_preference_to_the_best():
    world = grid(0)
    mdp = world.mdp
    assert np.allclose(mdp.soft(world.truth, 1e4), mdp.uniform(), atol=1e-3)
    assert mdp.gain(world.truth, mdp.soft(world.truth, 0.01)) == pytest.approx(
        mdp.gain(world.truth, mdp.best(world.truth)), rel=1e-3
    )


def test_visits_and_values_agree():
    world = tangle(0)
    policy = world.mdp.soft(world.truth)
    assert world.mdp.visits(policy) @ world.reward == pytest.approx(
        (1 - world.mdp.gamma) * world.mdp.gain(world.truth, policy)
    )


def test_visits_of_paths_are_those_of_the_policy_that_walked():
    world = tangle(0)
    policy = world.mdp.soft(world.truth)
    states, _ = walk(world.mdp, policy, 5000, 100, np.random.default_rng(0))
    assert np.allclose(visits_of(list(states), 15, world.mdp.gamma), world.mdp.visits(policy), atol=5e-3)
    assert visits_of([np.array([2])], 3, 0.9).tolist() == [0, 0, 1]  # it stays where it is


@pytest.mark.parametrize("make", [grid, chain, tangle])
def test_maxent_finds_the_reward_from_exact_visits(make):
    world = make(0)
    policy = world.mdp.soft(world.truth)
    found = maxent(world.mdp, np.eye(world.mdp.states), world.mdp.visits(policy), MaxEntConfig(ridge=1e-9))
    assert starc(world.mdp, world.mdp.of_states(found), world.truth) < 0.02
    told = world.mdp.visits(world.mdp.soft(world.mdp.of_states(found)))
    assert np.allclose(told, world.mdp.visits(policy), atol=1e-4)


def test_maxent_refuses_what_are_no_visits():
    with pytest.raises(SpecError, match="of sum 2"):
        maxent(chain(0).mdp, np.eye(10), np.full(10, 0.2))


@pytest.mark.parametrize("name", WORLDS)
def test_airl_finds_the_reward_from_demonstrations(name):
    world = WORLDS[name](0)
    expert = world.mdp.soft(world.truth)
    states, actions = walk(world.mdp, expert, 1000, 50, np.random.default_rng(0))
    found = world.mdp.of_states(airl(world.mdp, states, actions, seed=0, updates=800))
    chance = world.mdp.of_states(np.random.default_rng(0).normal(size=world.mdp.states))
    assert starc(world.mdp, found, world.truth) < 0.5 * starc(world.mdp, chance, world.truth)
    assert induced(world.mdp, found, world.truth) > max(0.0, induced(world.mdp, chance, world.truth)) + 0.3


def test_the_reward_carries_over_to_who_moves_otherwise():
    """Actions mean something else there: what is wanted stays the same."""
    world = grid(1)
    states, actions = walk(world.mdp, world.mdp.soft(world.truth), 2000, 50, np.random.default_rng(1))
    found = airl(world.mdp, states, actions, seed=0, updates=800)
    other = MDP(world.mdp.moves[:, ::-1], world.mdp.begin, world.mdp.gamma)
    assert (
        induced(other, other.of_states(found), other.of_states(world.reward)) > 0.8
    )  # no preference has 0, the best 1


def test_bench_says_all_it_measured():
    told = recover(Recovery(seeds=(0,), paths=50, length=20, updates=20))
    assert set(told) == set(WORLDS) and all(set(each) == {"airl", "maxent", "random"} for each in told.values())
    assert all(0 <= cell["starc"]["worst"] <= 1 for each in told.values() for cell in each.values())


def moves(count: int, seed: int, inputs: int = 3, over: bool = False) -> Moves:
    made = torch.Generator().manual_seed(seed)
    s, following = torch.randn(2, count, inputs, generator=made)
    return Moves(s, following, torch.randn(count, generator=made), torch.full((count,), over))


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    model = AIRL(3, AIRLConfig(widths=(8,), penalty=0.0, decay=0.0, gamma=0.9))
    shown, own = moves(16, 0), moves(16, 1)
    loss, numbers = model.loss(shown, own)
    hand = 0.0
    for side, real in ((shown, 1), (own, 0)):
        g, h, h_next = model.g(side.s)[:, 0], model.h(side.s)[:, 0], model.h(side.following)[:, 0]
        f = g + 0.9 * h_next - h
        d = f.exp() / (f.exp() + side.log_pi.exp())
        hand -= (d if real else 1 - d).log().mean().item()
    assert loss.item() == pytest.approx(hand, rel=1e-5) and numbers["loss"] == pytest.approx(loss.item())


def test_where_it_is_over_nothing_follows():
    model = AIRL(3)
    s, following = torch.randn(2, 5, 3)
    over = torch.ones(5, dtype=torch.bool)
    assert torch.allclose(model.f(s, following, over), model.reward(s) - model.h(s)[:, 0])
    assert torch.equal(model.f(s, following, over), model.f(s, following + 1, over))
    assert not torch.allclose(model.f(s, following, ~over), model.f(s, following + 1, ~over))


def test_the_penalty_flattens_what_tells_the_sides_apart():
    """Two sides far from each other: without it the slope between them grows on, with it it stays small."""
    slopes = {}
    for penalty in (0.0, 10.0):
        torch.manual_seed(0)
        model = AIRL(2, AIRLConfig(widths=(16,), penalty=penalty))
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        zeros, live = torch.zeros(64), torch.zeros(64, dtype=torch.bool)
        for _ in range(200):
            shown, own = (Moves(torch.randn(64, 2) + c, torch.randn(64, 2) + c, zeros, live) for c in (2.0, -2.0))
            optimiser.zero_grad()
            model.loss(shown, own)[0].backward()
            optimiser.step()
        x = torch.zeros(1, 2, requires_grad=True)
        slopes[penalty] = float(torch.autograd.grad(model.f(x, x, torch.zeros(1, dtype=torch.bool)).sum(), x)[0].norm())
    assert slopes[10.0] < 0.5 * slopes[0.0]


def test_the_alarm_rings_for_one_that_stays_right():
    alarm = Alarm(0.9, 3)
    for accuracy in (0.95, 0.99, 0.5, 0.95, 0.95):
        alarm.hear(accuracy)
        assert not alarm.rings
    alarm.hear(1.0)
    assert alarm.rings


def test_moves_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match="moves of shapes"):
        Moves(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(4), torch.zeros(3, dtype=torch.bool))
    with pytest.raises(SpecError, match="expected 0 <= gamma"):
        AIRLConfig(gamma=1.0)
