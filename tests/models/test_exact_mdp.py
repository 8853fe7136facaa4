"""Every algorithm, with either head, against values that numpy knows exactly: a chain and a grid (`tabular`).

Returns lie between -5 and 0 there, in 20 bins of .25 for the histograms. A tolerance is the largest error over
all moves of all states; untrained networks are off by 2 or more. There are as many updates as leave the errors of
six seeds below a third of it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tabular import Data, World, chain, grid, learn, make_learner

from vgps_models.critics.heads import HEADS

pytestmark = pytest.mark.numerical

TOLERANCE = 0.05
WORLDS = {"chain": chain(), "grid": grid()}
EVERY = [(world, head) for world in WORLDS for head in HEADS]


@pytest.mark.parametrize(("world", "head"), EVERY)
def test_cal_ql_without_pessimism_and_with_every_move_proposed_finds_the_optimal_value(world, head):
    known = WORLDS[world]
    learner = make_learner(known, "calql", head, alpha=0.0, backup_chunks=4, policy_chunks=4, polyak=0.1)
    assert np.abs(learn(learner, Data(known), 500) - known.optimal()).max() < TOLERANCE


@pytest.mark.parametrize(("world", "head"), EVERY)
@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_iql_finds_the_expectile_value(world, head, tau):
    known = WORLDS[world]
    learner = make_learner(known, "iql", head, expectile=tau, polyak=0.1)
    updates = 700 if tau == 0.5 else 1500  # what is far above the mean is seldom seen
    assert np.abs(learn(learner, Data(known), updates) - known.of_expectile(tau)).max() < TOLERANCE


@pytest.mark.parametrize("world", WORLDS)
def test_the_expectile_value_goes_from_the_behaviours_to_the_optimal_one(world):
    """What the last test is worth: numpy alone."""
    known = WORLDS[world]
    assert np.allclose(known.of_expectile(0.5), known.of_policy(known.behaviour), atol=1e-6)
    away = [np.abs(known.of_expectile(tau) - known.optimal()).max() for tau in (0.5, 0.7, 0.9, 0.99, 0.999)]
    assert all(a > b for a, b in pairwise(away)) and away[-1] < 0.02


@pytest.mark.parametrize(("world", "head"), EVERY)
def test_ota_finds_the_behaviours_value_too(world, head):
    known = WORLDS[world]
    learner = make_learner(known, "ota", head, expectile=0.5, option=2, polyak=0.1)
    assert np.abs(learn(learner, Data(known, option=2), 900) - known.of_policy(known.behaviour)).max() < TOLERANCE


@pytest.mark.parametrize("head", HEADS)
def test_ota_carries_values_along_a_chain_in_half_the_updates(head):
    """12 states, returns down to -18: to come within .5 of the truth takes IQL some 4 times as many updates."""
    known = chain(12, gamma=0.95)
    truth = known.of_policy(known.behaviour)

    def error(algorithm: str, **settings) -> float:
        learner = make_learner(known, algorithm, head, gamma=0.95, expectile=0.5, polyak=0.05, **settings)
        return float(np.abs(learn(learner, Data(known, least=2, **settings), 250) - truth).max())

    assert error("ota", option=3) < 0.5 < 1.5 < error("iql")


# The conservative ones: a policy that takes the good move twice as often, data that takes either as often.
POLICY, PI = (0, 0, 1), np.tile([2 / 3, 1 / 3], (5, 1))
CHAIN = WORLDS["chain"]
ALPHA = 2.0


def of_policy(q: np.ndarray) -> np.ndarray:
    """Value of the states (S,) when the policy acts."""
    return (PI * q).sum(1)


def conservative_fixed_point(world: World, alpha: float) -> np.ndarray:
    """Where 2 beta (Q - y) + alpha (w - beta) = 0 for all moves, w the shares in the soft maximum (2006.04779 eq. 4).

    The soft maximum is over the policy's three samples at s and one of those at s', evaluated at s.
    """
    q = world.of_policy(PI)
    for _ in range(4000):
        y = world.q(of_policy(q))
        share = np.zeros_like(q)
        for there in POLICY:
            count = np.bincount([*POLICY, there], minlength=2)
            weight = count * np.exp(q)
            share += weight / weight.sum(1, keepdims=True) / len(POLICY)
        q = q - 0.1 * (2 * world.behaviour * (q - y) + alpha * (share - world.behaviour))
    return q


def learn_conservatively(algorithm: str, head: str) -> np.ndarray:
    data = Data(CHAIN, policy=POLICY, bound=of_behaviour(), least=2)
    learner = make_learner(
        CHAIN, algorithm, head, alpha=ALPHA, random_chunks=0, policy_chunks=3, backup_chunks=1, polyak=0.1
    )  # fmt: skip
    return learn(learner, data, 900)


def of_behaviour() -> np.ndarray:
    return (CHAIN.behaviour * CHAIN.of_policy(CHAIN.behaviour)).sum(1)


@pytest.fixture(scope="module", params=HEADS)
def conservative(request) -> dict[str, np.ndarray]:
    """Q of both, by the same head."""
    return {algorithm: learn_conservatively(algorithm, request.param) for algorithm in ("cql", "calql")}


def test_cql_finds_its_fixed_point(conservative):
    assert np.abs(conservative["cql"] - conservative_fixed_point(CHAIN, ALPHA)).max() < TOLERANCE


def test_cql_lower_bounds_the_policys_value_in_every_state(conservative):
    assert (of_policy(conservative["cql"]) < of_policy(CHAIN.of_policy(PI)) - 0.1).all()


def test_cal_ql_lies_between_cql_and_the_truth_and_not_below_the_datas_return(conservative):
    cql, calql = of_policy(conservative["cql"]), of_policy(conservative["calql"])
    truth = of_policy(CHAIN.of_policy(PI))
    assert (cql < of_behaviour()).any()  # so that there is something to calibrate
    assert (calql >= of_behaviour() - TOLERANCE).all()
    assert (calql > cql).all() and (calql < truth).all()  # by .03 and .06 with three seeds
