"""Worlds of few states in which everything about a reward is known exactly: values, policies, visits, returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from vgps_models.errors import SpecError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MDP:
    """Moves without a reward. S states, A actions; it goes on for ever and counts a step by gamma.

    moves: probability of the state that follows (S, A, S). begin: of the first state (S,).
    Rewards are (S, A, S) everywhere, by `of_states`, `of_actions` or as they are.
    """

    moves: Floats
    begin: Floats
    gamma: float

    def __post_init__(self) -> None:
        states, actions = self.moves.shape[:2]
        if self.moves.shape != (states, actions, states) or self.begin.shape != (states,):
            raise SpecError(f"moves {self.moves.shape} and begin {self.begin.shape}; expected (S, A, S) and (S,)")
        sums = np.append(self.moves.sum(-1).ravel(), self.begin.sum())
        if min(self.moves.min(), self.begin.min()) < 0 or not np.allclose(sums, 1) or not 0 <= self.gamma < 1:
            raise SpecError("probabilities are at least 0 and add up to 1, and 0 <= gamma < 1")

    @property
    def states(self) -> int:
        return self.moves.shape[0]

    @property
    def actions(self) -> int:
        return self.moves.shape[1]

    def of_states(self, reward: Floats) -> Floats:
        """A reward of being in a state (S,) as one of transitions (S, A, S)."""
        return np.broadcast_to(reward[:, None, None], self.moves.shape)

    def of_actions(self, reward: Floats) -> Floats:
        """A reward of states and actions (S, A) as one of transitions."""
        return np.broadcast_to(reward[:, :, None], self.moves.shape)

    def expected(self, reward: Floats) -> Floats:
        """Mean over what follows. (S, A, S) -> (S, A)."""
        return np.einsum("sat,sat->sa", self.moves, reward)

    def q(self, reward: Floats, v: Floats) -> Floats:
        """Worth of the actions when states are worth v (S,). Shape (S, A)."""
        return self.expected(reward) + self.gamma * self.moves @ v

    def value(self, reward: Floats, policy: Floats) -> Floats:
        """Of every state under a policy (S, A), solved exactly. Shape (S,)."""
        walk = np.einsum("sa,sat->st", policy, self.moves)
        gained = (policy * self.expected(reward)).sum(1)
        return np.linalg.solve(np.eye(self.states) - self.gamma * walk, gained)

    def visits(self, policy: Floats) -> Floats:
        """Discounted share of time in every state under a policy. Shape (S,), adds up to 1."""
        walk = np.einsum("sa,sat->st", policy, self.moves)
        return (1 - self.gamma) * np.linalg.solve(np.eye(self.states) - self.gamma * walk.T, self.begin)

    def gain(self, reward: Floats, policy: Floats) -> float:
        """Expected discounted return from the beginning."""
        return float(self.begin @ self.value(reward, policy))

    def uniform(self) -> Floats:
        """The policy that has no preference. Shape (S, A)."""
        return np.full((self.states, self.actions), 1 / self.actions)

    def best(self, reward: Floats) -> Floats:
        """An optimal policy (S, A), by policy iteration. Equally good actions share its probability."""
        policy = self.uniform()
        for _ in range(1000):
            q = self.q(reward, self.value(reward, policy))
            good = q >= q.max(1, keepdims=True) - 1e-9 * (1 + np.abs(q).max())
            made = good / good.sum(1, keepdims=True)
            if np.array_equal(made, policy):
                break
            policy = made
        return policy

    def soft(self, reward: Floats, temperature: float = 1.0) -> Floats:
        """The policy of largest return plus temperature times entropy (soft value iteration). Shape (S, A)."""
        v, q = np.zeros(self.states), np.zeros((self.states, self.actions))
        for _ in range(100_000):
            q = self.q(reward, v)
            made = temperature * np.asarray(logsumexp(q / temperature, axis=1))
            moved, v = np.abs(made - v).max(), made
            if moved < 1e-10:
                break
        return np.exp((q - v[:, None]) / temperature) / np.exp((q - v[:, None]) / temperature).sum(1, keepdims=True)


def induced(mdp: MDP, reward: Floats, truth: Floats) -> float:
    """True return of the policy that is best for `reward`: 1 as good as can be, 0 as having no preference."""
    best, none = mdp.gain(truth, mdp.best(truth)), mdp.gain(truth, mdp.uniform())
    if best - none < 1e-12:
        raise SpecError("every policy is as good as any other under this true reward; there is nothing to induce")
    return (mdp.gain(truth, mdp.best(reward)) - none) / (best - none)
