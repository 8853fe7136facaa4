"""Maps that say where a point is: what they are trained towards."""

from __future__ import annotations

import torch
from torch import Tensor


def cell_weights(at: Tensor, visible: Tensor, rows: int, columns: int) -> Tensor:
    """Weights on the four cells around a place whose mean is that place; the last one for what is not in view.

    at (..., 2): column and row, a cell's centre is whole; beyond the grid's rim the rim counts. visible (...).
    Returns (..., rows * columns + 1), every row summing to one.
    """
    limits = torch.tensor([columns - 1, rows - 1], dtype=at.dtype)
    at = torch.minimum(at.clamp(min=0), limits)
    low = torch.minimum(at.floor(), limits - 1)
    right, down = (at - low).unbind(-1)
    column, row = low.long().unbind(-1)
    target = torch.zeros(*visible.shape, rows * columns + 1)
    for dv, wv in ((0, 1 - down), (1, down)):
        for du, wu in ((0, 1 - right), (1, right)):
            target.scatter_add_(-1, ((row + dv) * columns + column + du)[..., None], (wu * wv * visible)[..., None])
    target[..., -1] = (~visible).float()
    return target
