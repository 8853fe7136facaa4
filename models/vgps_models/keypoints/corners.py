"""Corners of a marker to a small part of a pixel, from the whole length of its edges."""

from __future__ import annotations

import numpy as np

from vgps_models.keypoints.opencv import opencv
from vgps_models.spaces import Array, Image

ALONG = np.linspace(0.08, 0.92, 20)[:, None]  # where an edge is looked at; near its ends the next one blurs it
STEPS = np.linspace(-1.0, 1.0, 21)  # and across it, in units of the reach
BORDER = 1 / 8  # of a marker is black all around, or a little more


def refine(grey: Image, corners: Array, rounds: int = 2) -> Array:
    """Corners (4, 2) [px] of a black quadrilateral on white, roughly known, in turn -> (4, 2).

    What blurs an edge does not move it: it is where brightness changes, on average over a short way across. (Refinement
    by the gradients around a corner, as OpenCV does it, draws the corners of a blurred square inwards.) Corners stay
    where they were if the edges say nothing clear.
    """
    made = corners
    for _ in range(rounds):
        lines = [_edge(grey, made[i], made[(i + 1) % 4], made.mean(0)) for i in range(4)]
        if any(line is None for line in lines):
            return corners
        made = np.array([_cross(lines[i - 1], lines[i]) for i in range(4)])  # type: ignore[arg-type]
        if not np.isfinite(made).all() or np.abs(made - corners).max() > 3.0:  # [px]
            return corners
    return made


def _edge(grey: Image, start: Array, end: Array, middle: Array) -> tuple[Array, Array] | None:
    """The line between black and white near that from start to end: a point (2,) on it and its direction (2,)."""
    direction = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    outward = np.array([direction[1], -direction[0]])
    depth = float((start - middle) @ outward)  # [px] half of the marker's width
    if depth < 0:
        outward, depth = -outward, -depth
    reach = np.clip(2 * depth * BORDER, 1.5, 4.0)  # [px] beyond that comes the pattern
    feet = start + ALONG * (end - start)
    places = (feet[:, None] + reach * STEPS[:, None] * outward).astype(np.float32)
    cv2 = opencv()
    seen = cv2.remap(grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rise = np.maximum(np.diff(seen.astype(float), axis=1), 0.0)
    total = rise.sum(1)
    if (total > 0).sum() < len(ALONG) / 2:
        return None
    clear = total > 0.5 * np.median(total)
    along, across = ALONG[clear, 0], reach * (rise[clear] @ ((STEPS[1:] + STEPS[:-1]) / 2)) / total[clear]
    near = np.abs(across - _line(along, across)) < 1.0  # [px]
    if near.sum() < 4:
        return None
    from_, to = _line(along[near], across[near], np.array([0.0, 1.0]))
    return start + from_ * outward, end - start + (to - from_) * outward


def _line(x: Array, y: Array, at: Array | None = None) -> Array:
    """The straight line through points x (n,), y (n,), at x or elsewhere."""
    middle = x.mean()
    slope = (x - middle) @ y / ((x - middle) @ (x - middle))
    return y.mean() + slope * ((x if at is None else at) - middle)


def _cross(one: tuple[Array, Array], two: tuple[Array, Array]) -> Array:
    """Where two lines cross (2,); NaN where they are nearly parallel."""
    matrix = np.column_stack([one[1], -two[1]])
    if abs(np.linalg.det(matrix)) < 0.05 * np.linalg.norm(one[1]) * np.linalg.norm(two[1]):
        return np.full(2, np.nan)
    return one[0] + np.linalg.solve(matrix, two[0] - one[0])[0] * one[1]
