"""Steps of a task that nobody named: where demonstrations change from one way that things are to the next.

Each demonstration is split where moments of a step are most alike (Sermanet et al. 1612.06699, recursive similarity
maximisation: least average deviation within steps). Steps of several demonstrations are then made to mean the same, an
addition here: each is split again by what its steps are like in all of them, until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Array

Ints = NDArray[np.int64]

ROUNDS = 20  # of splitting again; it settles sooner


def split(features: Array, steps: int, shortest: int) -> Ints:
    """Bounds (steps + 1,) of the steps of one demonstration (T, D): from 0 to T, none shorter than `shortest` moments.

    The best of all splits, by dynamic programming in place of the paper's recursion.
    """
    centred = features - features.mean(0)
    sums, squares = (_from_zero(np.cumsum(rows, 0)) for rows in (centred, np.square(centred)))
    lengths = np.arange(len(sums))
    # From s to e, shape (T + 1, T + 1): the mean over features of how much they vary.
    count = np.maximum(lengths[None] - lengths[:, None], 1)[..., None]
    mean, square = ((c[None] - c[:, None]) / count for c in (sums, squares))
    cost = np.sqrt(np.maximum(square - np.square(mean), 0.0)).mean(-1)
    return _cheapest(np.broadcast_to(cost, (steps, *cost.shape)), shortest)


def steps_of(demonstrations: Sequence[Array], steps: int, shortest: int) -> list[Ints]:
    """Bounds (steps + 1,) of every demonstration (T, D), step k of one being like step k of the others."""
    bounds = [split(features, steps, shortest) for features in demonstrations]
    for _ in range(ROUNDS):
        usual = np.stack([
            np.concatenate([rows[b[k] : b[k + 1]] for rows, b in zip(demonstrations, bounds, strict=True)]).mean(0)
            for k in range(steps)
        ])  # fmt: skip
        again = [_like(features, usual, shortest) for features in demonstrations]
        if all(np.array_equal(old, new) for old, new in zip(bounds, again, strict=True)):
            break
        bounds = again
    return bounds


def _like(features: Array, usual: Array, shortest: int) -> Ints:
    """Bounds of the steps that are nearest to what is usual in each (K, D), in order."""
    away = np.square(features[None] - usual[:, None]).sum(-1)  # (K, T)
    sums = np.concatenate([np.zeros((len(usual), 1)), np.cumsum(away, 1)], 1)
    return _cheapest(sums[:, None, :] - sums[:, :, None], shortest)


def _cheapest(cost: Array, shortest: int) -> Ints:
    """Bounds (K + 1,) from 0 to T for which cost[k, s, e] (K, T + 1, T + 1) of steps k from s to e is least in sum."""
    steps, moments = len(cost), cost.shape[1] - 1
    if moments < steps * shortest:
        raise DataError(
            f"a demonstration of {moments} moments cannot have {steps} steps of {shortest} or more; "
            "ask for fewer or shorter steps, or leave it out"
        )
    ends = np.arange(moments + 1)
    possible = ends[None] - ends[:, None] >= shortest
    best, came = np.where(ends == 0, 0.0, np.inf), list[Ints]()
    for of_step in cost:
        total = np.where(possible, best[:, None] + of_step, np.inf)
        came.append(total.argmin(0))
        best = total.min(0)
    bounds = [moments]
    for starts in reversed(came):
        bounds.append(int(starts[bounds[-1]]))
    return np.array(bounds[::-1])


def _from_zero(sums: Array) -> Array:
    return np.concatenate([np.zeros((1, sums.shape[1])), sums])
