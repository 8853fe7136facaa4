"""From landmarks in a picture to points in space, by the depth around them.

A depth camera has holes, and at the edge of a finger it shows the table behind. So of a patch around a landmark what
counts is the median of its nearest surface, if enough of the patch has any depth at all; and a landmark that lies far
off the others of its hand is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array


@dataclass(frozen=True)
class Lifting:
    radius: int = 2  # [px] of the patch: it is 2 radius + 1 wide
    valid: float = 0.3  # share of the patch that must have depth
    nearest: float = 0.02  # [m] what lies so little behind the nearest surface belongs to it
    far: float = 4.0  # [m] beyond this, and at 0, there is no depth
    apart: float = 0.13  # [m] in depth from the median of all landmarks, from which on one is not believed
    inside: float = 0.008  # [m] from the skin that is seen to the joint under it, along the ray


@dataclass(frozen=True, eq=False)
class Points:
    """position (K, 3) [m] in the camera's frame, NaN where it is unknown; confidence (K,) 0..1, 0 there."""

    position: Array
    confidence: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.confidence > 0


def metres(depth: NDArray[np.generic]) -> Array:
    """Depth as cameras give it, uint16 [mm] or float [m] -> float64 [m], NaN for holes. Raises DataError for others."""
    if depth.ndim != 2 or depth.dtype.kind not in "uf":
        raise DataError(
            f"depth of shape {depth.shape} and type {depth.dtype}; expected (height, width), uint16 [mm] or float [m]"
        )
    made = depth.astype(np.float64) * (1e-3 if depth.dtype.kind == "u" else 1.0)
    return np.where(np.isfinite(made) & (made > 0), made, np.nan)


def lift(
    depth: Array, pixels: Array, confidence: Array, camera: Intrinsics, settings: Lifting | None = None, *,
    under: Array | None = None,
) -> Points:  # fmt: skip
    """Landmarks (K, 2) [px] with confidence (K,) over depth (height, width) [m], see `metres`.

    under (K,): how far below the surface each lies [m]; none: as the settings say.
    """
    camera.require(depth.shape, "depth")
    s = settings or Lifting()
    found, share = np.full(len(pixels), np.nan), np.zeros(len(pixels))
    for k, (u, v) in enumerate(pixels):
        found[k], share[k] = _patch(depth, float(u), float(v), s)
    if np.isfinite(found).any():
        found[np.abs(found - np.nanmedian(found)) > s.apart] = np.nan
    known = np.isfinite(found)
    points = camera.lift(pixels, found)
    inside = np.full(len(pixels), s.inside) if under is None else under
    points += inside[:, None] * points / np.linalg.norm(points, axis=-1, keepdims=True)
    return Points(points, np.where(known, np.clip(confidence, 0, 1) * share, 0.0))


def on_planes(pixels: Array, camera: Intrinsics, pose: Array, heights: Array) -> Array:
    """Where the rays of pixels (K, 2) meet horizontal planes of heights (K,) [m]: (K, 3), NaN where they do not.

    pose (4, 4): of the camera in a frame with z up, which is that of heights and result.
    """
    rays = camera.lift(pixels, np.ones(len(pixels))) @ pose[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (heights - pose[2, 3]) / rays[:, 2]
    return np.where((along > 0)[:, None], pose[:3, 3] + along[:, None] * rays, np.nan)


def _patch(depth: Array, u: float, v: float, s: Lifting) -> tuple[float, float]:
    """Depth of the nearest surface around a pixel [m], and the share of the patch that shows it; NaN and 0 of none."""
    if not (np.isfinite(u) and np.isfinite(v)):
        return np.nan, 0.0
    column, row = round(u), round(v)
    height, width = depth.shape
    if not (0 <= column < width and 0 <= row < height):
        return np.nan, 0.0
    patch = depth[
        max(0, row - s.radius) : row + s.radius + 1, max(0, column - s.radius) : column + s.radius + 1
    ].ravel()  # fmt: skip
    seen = patch[np.isfinite(patch) & (patch <= s.far)]
    if len(seen) < max(1, s.valid * len(patch)):
        return np.nan, 0.0
    # The nearest of all may be noise of a single pixel: the surface begins where a tenth of the patch is nearer.
    surface = seen[seen <= np.quantile(seen, 0.1) + s.nearest]
    return float(np.median(surface)), len(surface) / len(patch)
