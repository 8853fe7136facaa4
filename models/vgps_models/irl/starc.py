"""How far two rewards are from wanting the same: STARC distances (Skalse et al. 2309.15257).

A reward is made canonical, so that what cannot change any policy is gone (potential shaping, and how a reward is
shared out among the states that may follow); it is brought to norm 1, so that scale is gone; what is left is compared.
0: they order all policies alike. 1: exactly the other way round. 1/sqrt(2): nothing in common.

The canonical form is value-adjusted levelling: E[R(s, a, S') + gamma V(S')] - V(s) with the values of a fixed policy,
that is, the policy's advantages. Of a finite world they are exact; of recordings they are estimated, with the policy
that made these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.errors import DataError, SpecError
from vgps_models.irl.mdp import MDP, Floats


def canonical(mdp: MDP, reward: Floats, policy: Floats | None = None) -> Floats:
    """Advantages under `policy` (S, A), by default that without a preference. reward (S, A, S) -> (S, A)."""
    policy = mdp.uniform() if policy is None else policy
    v = mdp.value(reward, policy)
    return _cleared(mdp.q(reward, v) - v[:, None], reward, mdp.gamma)


def minimal(mdp: MDP, reward: Floats) -> Floats:
    """The smallest reward (S, A) that shaping makes of this one: the other canonical form, which needs no policy."""
    level = mdp.expected(reward).ravel()
    shaping = (mdp.gamma * mdp.moves - np.eye(mdp.states)[:, None]).reshape(-1, mdp.states)
    potential = np.linalg.lstsq(shaping, -level, rcond=None)[0]
    return _cleared((level + shaping @ potential).reshape(mdp.states, mdp.actions), reward, mdp.gamma)


def distance(one: Floats, two: Floats) -> float:
    """Of two canonical forms of one shape, 0 to 1. One that wants nothing is 1/2 from any that does, 0 from another."""
    if one.shape != two.shape:
        raise SpecError(f"canonical rewards of shapes {one.shape} and {two.shape} cannot be compared")
    return float(np.linalg.norm(_standard(one) - _standard(two)) / 2)


def starc(mdp: MDP, one: Floats, two: Floats) -> float:
    """Exact distance between two rewards (S, A, S) of a finite world."""
    return distance(canonical(mdp, one), canonical(mdp, two))


def _standard(form: Floats) -> Floats:
    """Of norm 1, unless it wants nothing."""
    norm = np.linalg.norm(form)
    return form / norm if norm > 0 else form


def _cleared(form: Floats, reward: Floats, gamma: float) -> Floats:
    """Nothing at all where nothing is left but rounding, which a norm of 1 would make a wish of."""
    rounding = 1e-11 * np.abs(reward).max() / (1 - gamma)
    return form if np.abs(form).max() > rounding else np.zeros_like(form)


@dataclass(frozen=True, eq=False)
class Recorded:
    """Transitions of recordings, in order. What `gamma` counts is a step of them.

    features: what values may depend on, of the frame a transition begins with (N, D). following: of the one it leads
    to (N, D). last (N,): whether the recording is over then and nothing more can be gained.
    """

    features: Floats
    following: Floats
    last: np.ndarray
    gamma: float

    def __post_init__(self) -> None:
        count = len(self.features)
        if self.features.shape != self.following.shape or self.last.shape != (count,) or not 0 <= self.gamma < 1:
            raise SpecError(
                f"features {self.features.shape}, following {self.following.shape}, last {self.last.shape} and gamma "
                f"{self.gamma}; expected (N, D), (N, D), (N,) and 0 <= gamma < 1"
            )
        if count <= self.features.shape[1]:
            raise DataError(f"{count} transitions cannot tell values that depend on {self.features.shape[1]} features")

    def canonical(self, reward: Floats, ridge: float = 1e-6) -> Floats:
        """Advantages (N,) of a reward that every transition was given (N,), under the policy that was recorded.

        Values are linear in the features (least-squares temporal differences, Bradtke & Barto 1996); where a frame is
        followed by different ones, each transition counts by itself.
        """
        if reward.shape != (len(self.features),) or not np.isfinite(reward).all():
            raise DataError(f"a reward of shape {reward.shape}; expected {len(self.features)} finite numbers")
        x, y = _with_one(self.features), _with_one(self.following) * (~self.last)[:, None]
        left = x.T @ (x - self.gamma * y) / len(x)
        weights = np.linalg.solve(left + ridge * np.trace(left) / len(left) * np.eye(len(left)), x.T @ reward / len(x))
        return _cleared(reward + self.gamma * y @ weights - x @ weights, reward, self.gamma)


def starc_recorded(recorded: Recorded, one: Floats, two: Floats) -> float:
    """Estimated distance between two rewards (N,) that were given to the same transitions."""
    return distance(recorded.canonical(one), recorded.canonical(two))


def _with_one(features: Floats) -> Floats:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)
