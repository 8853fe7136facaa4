"""Worlds small enough that numpy knows their values: chains and grids of few states, a chunk a move."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from vgps_models.critics import ALGORITHMS, CriticConfig, Learner
from vgps_models.critics.base import Batch

D = 14  # numbers in a chunk


@dataclass(frozen=True)
class World:
    """Every move of every state: reward, discount (0 when it ends) and the state it leads to. Shapes (S, A)."""

    reward: np.ndarray
    discount: np.ndarray
    following: np.ndarray
    behaviour: np.ndarray  # probability that the data moves so

    @property
    def shape(self) -> tuple[int, int]:
        states, moves = self.reward.shape
        return states, moves

    def q(self, v: np.ndarray) -> np.ndarray:
        """Values of the moves when states are worth v (S,). Shape (S, A)."""
        return self.reward + self.discount * v[self.following]

    def optimal(self) -> np.ndarray:
        """Q of the best policy, by value iteration."""
        v = np.zeros(self.shape[0])
        for _ in range(500):
            v = self.q(v).max(1)
        return self.q(v)

    def of_policy(self, policy: np.ndarray) -> np.ndarray:
        """Q of a policy (S, A), by policy evaluation."""
        v = np.zeros(self.shape[0])
        for _ in range(500):
            v = (policy * self.q(v)).sum(1)
        return self.q(v)

    def of_expectile(self, tau: float) -> np.ndarray:
        """Q when a state is worth the tau-expectile of its moves under the behaviour: IQL's fixed point."""
        v = np.zeros(self.shape[0])
        for _ in range(3000):
            q = self.q(v)
            weight = self.behaviour * np.where(q < v[:, None], 1 - tau, tau)
            v = (weight * q).sum(1) / weight.sum(1)  # the expectile is this mean when it no longer moves
        return self.q(v)


def chain(length: int = 5, gamma: float = 0.8) -> World:
    """States in a row; move 0 goes on, move 1 stays. A chunk is two steps of -1; that out of the last state costs 1."""
    reward = np.full((length, 2), -(1 + gamma))
    discount = np.full((length, 2), gamma**2)
    reward[-1, 0], discount[-1, 0] = -1.0, 0.0
    here = np.arange(length)
    following = np.stack([np.minimum(here + 1, length - 1), here], axis=1)
    return World(reward, discount, following, np.full((length, 2), 0.5))


def grid(gamma: float = 0.8) -> World:
    """3 x 3 cells; moves right, down, left, up. A move costs 1 and into a wall it stays; into the last cell it is free.

    There it ends. The data goes right or down twice as often as back.
    """
    cells = np.arange(9)
    row, column = cells // 3, cells % 3
    to = [(row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)]
    following = np.stack([np.clip(r, 0, 2) * 3 + np.clip(c, 0, 2) for r, c in to], axis=1)
    ends = following == 8
    keep = slice(0, 8)  # nothing starts where everything ends
    behaviour = np.tile([2, 2, 1, 1], (9, 1)) / 6
    return World(
        np.where(ends, 0.0, -1.0)[keep], np.where(ends, 0.0, gamma)[keep],
        np.where(ends, 0, following)[keep], behaviour[keep],
    )  # fmt: skip


class Data:
    """All that can happen in a world, as often as the behaviour does it: one batch that holds the whole truth."""

    def __init__(
        self,
        world: World,
        *,
        policy: tuple[int, ...] = (),
        option: int = 0,
        bound: np.ndarray | None = None,
        least: int = 6,
    ) -> None:
        """policy: moves that it proposes, the likelier ones repeated; empty proposes every move at once.

        option: chunks in an option. bound (S,): what the data got from every state, for Cal-QL.
        least: the behaviour's probabilities are multiples of 1 / least.
        """
        self.world = world
        states, moves = world.shape
        rows: list[tuple[int, ...]] = []
        for path in product(range(states), *[range(moves)] * max(1, option)):
            state, chance = path[0], 1.0
            for move in path[1:]:
                chance *= world.behaviour[state, move]
                state = world.following[state, move]
            rows += [path] * round(chance * least ** max(1, option))
        # One row for every sample that the backup may see, so that its mean is the policy's value.
        proposals = [policy] if not policy else [(move,) for move in policy]
        self.paths = np.array([path for path in rows for _ in proposals])
        ahead = np.array(proposals * len(rows)) if policy else np.tile(np.arange(moves), (len(rows), 1))
        here = np.tile(policy or np.arange(moves), (len(self.paths), 1))
        state, move = self.paths[:, 0], self.paths[:, 1]
        eye, self.chunks, count = 3 * torch.eye(states), moves_as_chunks(moves), len(self.paths)
        reward, discount, end = self._option()
        self.batch = Batch(
            features=eye[state], sentence=torch.full((count, 384), 384**-0.5), chunk=self.chunks[move],
            reward=_f(world.reward[state, move]), discount=_f(world.discount[state, move]),
            next_features=eye[world.following[state, move]],
            mc_return=_f((np.full(states, -1e3) if bound is None else bound)[state]),
            policy_chunks=self.chunks[here], next_chunks=self.chunks[ahead], uniform_chunks=torch.zeros(count, 0, D),
            option_reward=_f(reward), option_discount=_f(discount), option_features=eye[end],
            wrong_features=eye[:0], wrong_sentence=torch.zeros(0, 384), wrong_chunk=torch.zeros(0, D),
        )  # fmt: skip

    def _option(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        state = self.paths[:, 0]
        reward, discount = np.zeros(len(state)), np.ones(len(state))
        for move in self.paths[:, 1:].T:
            reward = reward + discount * self.world.reward[state, move]
            discount = discount * self.world.discount[state, move]
            state = self.world.following[state, move]
        return reward, discount, state


def moves_as_chunks(moves: int) -> torch.Tensor:
    """One chunk for every move, all as far apart. Shape (moves, D)."""
    return 2 * torch.eye(moves, D)


def _f(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def make_learner(world: World, algorithm: str, head: str, *, gamma: float = 0.8, **settings) -> Learner:
    """A small learner for a world whose returns lie between -1 / (1 - gamma) and 0."""
    torch.manual_seed(0)
    config, learner = ALGORITHMS[algorithm]
    never = -1 / (1 - gamma)
    model = CriticConfig(
        features=world.shape[0], chunk=D, heads=2, width=32, words=2,
        head=head, centre=never / 2, scale=-never / 2, low=never, bins=20,
    )  # fmt: skip
    return learner(model, config(gamma=gamma, wrong_weight=0.0, **settings))


def learn(learner: Learner, data: Data, updates: int, rate: float = 5e-3) -> np.ndarray:
    """Q of every move of every state after so many updates on all data, mean over heads. Shape (S, A)."""
    optimiser = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], rate, fused=True)
    for i in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 3 * (1 - i / updates))
        loss = learner.losses(data.batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        learner.follow()
    states, moves = data.world.shape
    with torch.no_grad():
        everything = data.chunks.expand(states, moves, D)
        q = learner.net(3 * torch.eye(states), torch.full((states, 384), 384**-0.5), everything)
    return q.mean(0).double().numpy()
