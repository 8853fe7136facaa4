"""Chains and grids of few states whose values for every outcome and intent numpy knows (ICVF)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from vgps_models.icvf import ICVF, Batch, ICVFConfig, MultilinearConfig
from vgps_models.video.sampling import Sampler, Sampling

GAMMA = 0.8
NEVER = -1 / (1 - GAMMA)
Trajectories = Sequence[Sequence[int]]  # states by number


def walkers(length: int) -> Trajectories:
    """A chain, walked from either end to the other."""
    there = list(range(length))
    return there, there[::-1]


def paths(side: int = 3) -> Trajectories:
    """A grid of side x side cells: from every cell to every other one on a shortest path, rows or columns first."""
    cells = [divmod(i, side) for i in range(side * side)]

    def path(start: tuple[int, int], end: tuple[int, int], axes: tuple[int, int]) -> list[int]:
        at, states = list(start), [start[0] * side + start[1]]
        for axis in axes:
            while at[axis] != end[axis]:
                at[axis] += 1 if end[axis] > at[axis] else -1
                states.append(at[0] * side + at[1])
        return states

    return [path(a, b, axes) for a in cells for b in cells if a != b for axes in ((0, 1), (1, 0))]


def steps_between(side: int, length: int = 1) -> np.ndarray:
    """Moves from every cell of a grid of length x side to every other one; length 1 is a chain. Shape (S, S)."""
    row, column = divmod(np.arange(length * side), side)
    return np.abs(row[:, None] - row) + np.abs(column[:, None] - column)


def worth(steps: np.ndarray) -> np.ndarray:
    """Return of being there in so many steps."""
    return -(1 - GAMMA**steps) / (1 - GAMMA)


def all_rows(trajectories: Trajectories, *, wanted: bool = False) -> np.ndarray:
    """Every move that occurs, once, with every outcome and intent, or (wanted) with s+ = z. (R, 4): s, s', s+, z."""
    moves = sorted({(s, t) for states in trajectories for s, t in pairwise(states)})
    count = 1 + max(max(states) for states in trajectories)
    pairs = [(g, z) for g in range(count) for z in range(count) if g == z or not wanted]
    return np.array([(*move, *pair) for move in moves for pair in pairs])


def drawn_rows(trajectories: Trajectories, count: int, *, step: int = 0, same: float = 0.5) -> np.ndarray:
    """Rows (count, 4) as the sampler draws them. same: how often s+ is z."""
    states = np.concatenate([np.array(t) for t in trajectories])
    bounds = np.cumsum([0, *(len(t) for t in trajectories)])
    return states[Sampler(bounds, Sampling(batch=count, seed=1, same=same)).draw(step).index].T


def fixed_point(rows: np.ndarray, states: int, tau: float) -> np.ndarray:
    """V(s, s+, z) where every value is the weighted mean of its rows' targets, weights by the sign of A_z. (S, S, S).

    NaN where nothing is known. Sweeps in float64 until nothing moves; an advantage of 0 counts as good.
    """
    s, t, g, z = rows.T
    key = (s * states + g) * states + z
    v = np.zeros((states, states, states))
    for _ in range(400):
        advantage = np.where(s == z, 0, GAMMA * v[t, z, z] - 1) - v[s, z, z]
        weight = np.where(advantage < -1e-9, 1 - tau, tau)
        q = np.where(s == g, 0, GAMMA * v[t, g, z] - 1)
        total = np.bincount(key, weight, states**3)
        v = (np.bincount(key, weight * q, states**3) / np.maximum(total, 1e-300)).reshape(v.shape)
    v[total.reshape(v.shape) == 0] = np.nan
    return v


def wanted(v: np.ndarray) -> np.ndarray:
    """V(s, z, z) of V(s, s+, z). Shape (S, S)."""
    return np.einsum("szz->sz", v)


def eye(states: int) -> Tensor:
    return 3 * torch.eye(states)


def as_batch(rows: np.ndarray, states: int) -> Batch:
    s, t, g, z = torch.from_numpy(rows.T.copy())
    return Batch(eye(states), s, t, g, z, s == g, s == z)


def make_learner(states: int, head: str, *, intents: bool = True, seed: int = 0, **settings) -> ICVF:
    torch.manual_seed(seed)
    model = MultilinearConfig(
        features=states, widths=(64,), form=128, head=head, low=NEVER, bins=20, intents=intents
    )  # fmt: skip
    return ICVF(nn.Identity(), model, ICVFConfig(**({"gamma": GAMMA, "polyak": 0.1} | settings)))


def learn(learner: ICVF, batch: Batch | Callable[[int], Batch], updates: int, rate: float = 1e-2) -> np.ndarray:
    """V(s, s+, z) of every triple after so many updates, mean over heads. Shape (S, S, S)."""
    optimiser = torch.optim.Adam(learner.net.parameters(), rate, fused=True)
    for i in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 3 * (1 - i / updates))
        loss, _ = learner.loss(batch if isinstance(batch, Batch) else batch(i))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        learner.after_step()
    states = learner.net.config.features
    with torch.no_grad():
        triples = torch.cartesian_prod(*[torch.arange(states)] * 3)
        v = learner.net(eye(states), *triples.T)
    return v.mean(0).reshape(states, states, states).double().numpy()
