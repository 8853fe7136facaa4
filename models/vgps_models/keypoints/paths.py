"""Points over a whole recording: what is impossible is dropped, gaps are bridged, the rest is smoothed without lag."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.keypoints.filters import OneEuro, OneEuroConfig
from vgps_models.spaces import Array


@dataclass(frozen=True)
class PathConfig:
    window: float = 0.25  # [s] to either side, whose median says where a point about is
    stray: float = 0.05  # [m] from there a point is not believed
    bridged: float = 0.5  # [s] a gap so long is bridged without a word
    smoothing: OneEuroConfig = field(default_factory=OneEuroConfig)


def cleaned(
    points: Array, seconds: Array, config: PathConfig = PathConfig()
) -> tuple[Array, list[tuple[float, float]]]:
    """Points (T, K, 3), NaN where unknown -> all of them known, and the gaps that were bridged though they are long:
    when each began and how long it was [s]. DataError where a point is never known."""
    made = without_strays(points, seconds, config)
    known = np.asarray(~np.isnan(made).any(axis=-1))
    for k in np.flatnonzero(~known.any(axis=0)):
        raise DataError(f"point {k} is seen in none of {len(points)} frames")
    for k in range(points.shape[1]):
        for axis in range(3):
            made[:, k, axis] = np.interp(seconds, seconds[known[:, k]], made[known[:, k], k, axis])
    ahead, back = _smooth(made, seconds, config.smoothing), _smooth(made[::-1], -seconds[::-1], config.smoothing)[::-1]
    made = (ahead + back) / 2  # each lags as much as the other leads
    return made, [gap for gap in gaps(np.asarray(known.any(axis=1)), seconds) if gap[1] > config.bridged + 1e-6]


def carried(points: Array, hand: Array, near: float) -> Array:
    """Points (T, K, 3) that are unknown for a while, with the hand (T, 3) where it must have had them.

    What is lost in one place and found in another, both of which the hand came within `near` [m] of in between, went
    with it from when it was nearest to the one until it was nearest to the other. Other gaps stay.
    """
    made = points.copy()
    for k in range(points.shape[1]):
        known = np.flatnonzero(np.isfinite(points[:, k]).all(1))
        for lost, found in pairwise(known):
            here, there = points[lost, k], points[found, k]
            if found == lost + 1 or np.linalg.norm(there - here) < near:
                continue
            to_here, to_there = (np.linalg.norm(hand[lost : found + 1] - place, axis=1) for place in (here, there))
            first, last = lost + int(to_here.argmin()), lost + int(to_there.argmin())
            if max(to_here.min(), to_there.min()) > near or first >= last:
                continue
            made[lost:first, k], made[last : found + 1, k] = here, there
            share = np.linspace(0, 1, last - first + 1)[:, None]
            offset = (1 - share) * (here - hand[first]) + share * (there - hand[last])
            made[first : last + 1, k] = hand[first : last + 1] + offset
    return made


def without_strays(points: Array, seconds: Array, config: PathConfig) -> Array:
    """Points (T, K, 3) of which those are NaN that are far from where the same point is just before and after."""
    made = points.copy()
    for t, now in enumerate(seconds):
        near = np.abs(seconds - now) <= config.window
        with np.errstate(invalid="ignore"):
            usual = _median(points[near])
            made[t][np.linalg.norm(points[t] - usual, axis=-1) > config.stray] = np.nan
    return made


def gaps(known: NDArray[np.bool_], seconds: Array) -> list[tuple[float, float]]:
    """Where nothing is known (T,): when it begins [s] and for how long [s]."""
    made, began = list[tuple[float, float]](), None
    for yes, at in zip(known, seconds, strict=True):
        if not yes and began is None:
            began = float(at)
        elif yes and began is not None:
            made.append((began, float(at) - began))
            began = None
    if began is not None:
        made.append((began, float(seconds[-1]) - began))
    return made


def _median(points: Array) -> Array:
    """Over the first axis, of what is known; NaN of nothing."""
    unknown = ~np.isfinite(points).all(0) & ~np.isfinite(points).any(0)
    return np.where(unknown, np.nan, np.nanmedian(np.where(unknown, 0.0, points), axis=0))


def _smooth(points: Array, seconds: Array, config: OneEuroConfig) -> Array:
    smooth = OneEuro(config)
    return np.stack([smooth(row, float(at)) for row, at in zip(points, seconds, strict=True)])
