"""MaxEnt IRL (Ziebart et al. 2008), discounted: the reward, linear in features, whose soft-optimal policy visits
features as often as the demonstrators did. The simple baseline of `airl`; exact where the world is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from vgps_models.errors import SpecError
from vgps_models.irl.mdp import MDP, Floats


@dataclass(frozen=True)
class MaxEntConfig:
    temperature: float = 1.0  # of the demonstrators: how much they care for entropy
    ridge: float = 1e-5  # penalty on weights; without it what was never visited is worth minus infinity
    iterations: int = 300  # of L-BFGS at most


def maxent(mdp: MDP, features: Floats, visits: Floats, config: MaxEntConfig = MaxEntConfig()) -> Floats:
    """Weights (D,) of a reward features @ weights over states.

    features (S, D). visits (S,): discounted share of time that the demonstrators spent in every state.

    The dual of maximum entropy under matched features: the soft value of the beginning minus the demonstrators'
    return, (1 - gamma) V(begin) - visits @ R, is convex, and its gradient is the difference of the visits.
    """
    if features.shape[0] != mdp.states or visits.shape != (mdp.states,) or not np.isclose(visits.sum(), 1):
        raise SpecError(
            f"features {features.shape}, visits {visits.shape} of sum {visits.sum():.3f}; expected (S, D), (S,) and 1"
        )

    def dual(weights: Floats) -> tuple[float, Floats]:
        reward = features @ weights
        policy = mdp.soft(mdp.of_states(reward), config.temperature)
        theirs = mdp.visits(policy)
        # V(begin) of the soft policy is its return plus its entropy's.
        entropy = mdp.of_actions(-config.temperature * np.log(np.clip(policy, 1e-300, None)))
        soft = (1 - mdp.gamma) * mdp.gain(mdp.of_states(reward) + entropy, policy)
        loss = soft - visits @ reward + config.ridge * weights @ weights
        return float(loss), features.T @ (theirs - visits) + 2 * config.ridge * weights

    found = minimize(
        dual, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": config.iterations}
    )
    return found.x


def visits_of(paths: list[np.ndarray], states: int, gamma: float) -> Floats:
    """Discounted share of time (S,) of recorded paths of state numbers, each staying where it ends."""
    counts = np.zeros(states)
    for path in paths:
        weight = (1 - gamma) * gamma ** np.arange(len(path))
        weight[-1] = gamma ** (len(path) - 1)  # it stays
        np.add.at(counts, path, weight)
    return counts / len(paths)
