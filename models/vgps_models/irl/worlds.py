"""Worlds with a reward that is known, and demonstrators who are nearly as good as can be in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vgps_models.irl.mdp import MDP, Floats

GAMMA = 0.9


@dataclass(frozen=True, eq=False)
class World:
    """reward (S,): of being in a state."""

    name: str
    mdp: MDP
    reward: Floats

    @property
    def truth(self) -> Floats:
        """The reward of transitions (S, A, S)."""
        return self.mdp.of_states(self.reward)


def grid(seed: int, side: int = 5, slip: float = 0.1) -> World:
    """A field with some cells that are good and some that are bad; a step goes elsewhere now and then."""
    random = np.random.default_rng([seed, 0])
    moves = np.zeros((side * side, 5, side * side))
    steps = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    for cell in range(side * side):
        reached = [_cell(cell, step, side) for step in steps]
        for action, there in enumerate(reached):
            moves[cell, action, there] += 1 - slip
            for other in reached:
                moves[cell, action, other] += slip / len(steps)
    reward = random.choice([-1.0, 0.0, 0.0, 1.0], side * side) * random.uniform(0.5, 1.5, side * side)
    reward[random.integers(side * side)] = 2.0
    return World("grid", MDP(moves, np.full(side * side, 1 / side**2), GAMMA), reward)


def chain(seed: int, length: int = 10) -> World:
    """A row of states, a goal at one end, something nice in the way."""
    random = np.random.default_rng([seed, 1])
    moves = np.zeros((length, 3, length))
    for state in range(length):
        for action, step in enumerate((-1, 0, 1)):
            moves[state, action, np.clip(state + step, 0, length - 1)] = 1.0
    reward = np.zeros(length)
    reward[-1], reward[random.integers(1, length // 2)] = 1.5, 0.5
    return World("chain", MDP(moves, np.full(length, 1 / length), GAMMA), reward)


def tangle(seed: int, states: int = 15, actions: int = 4, branches: int = 3) -> World:
    """States that lead anywhere (a Garnet, Bhatnagar et al. 2009), rewards of any size."""
    random = np.random.default_rng([seed, 2])
    moves = np.zeros((states, actions, states))
    for state in range(states):
        for action in range(actions):
            there = random.choice(states, branches, replace=False)
            moves[state, action, there] = random.dirichlet(np.ones(branches))
    return World("tangle", MDP(moves, np.full(states, 1 / states), GAMMA), random.normal(0.0, 1.0, states))


WORLDS: dict[str, Callable[[int], World]] = {"grid": grid, "chain": chain, "tangle": tangle}


def walk(
    mdp: MDP, policy: Floats, count: int, length: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paths of states (count, length + 1) and what was done on them (count, length)."""
    states = np.empty((count, length + 1), np.int64)
    actions = np.empty((count, length), np.int64)
    states[:, 0] = random.choice(mdp.states, count, p=mdp.begin)
    for step in range(length):
        actions[:, step] = _draw(policy[states[:, step]], random)
        states[:, step + 1] = _draw(mdp.moves[states[:, step], actions[:, step]], random)
    return states, actions


def _draw(rows: Floats, random: np.random.Generator) -> np.ndarray:
    """One column of every row, by its probabilities."""
    return (rows.cumsum(1) < random.random((len(rows), 1)) * rows.sum(1, keepdims=True)).sum(1)


def _cell(cell: int, step: tuple[int, int], side: int) -> int:
    row, column = divmod(cell, side)
    return int(np.clip(row + step[0], 0, side - 1) * side + np.clip(column + step[1], 0, side - 1))
