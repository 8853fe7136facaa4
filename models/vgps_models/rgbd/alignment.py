"""Depth of one camera, as another that stands beside it would see it."""

from __future__ import annotations

import numpy as np

from vgps_models.errors import SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array

GROWN = 0.25  # of its size, on each side of a footprint
SAME = 0.02  # [m] in depth within which two footprints are of one surface


class Alignment:
    """depth, colour: both cameras, without distortion. pose (4, 4): of the depth camera in colour's frame [m]."""

    def __init__(self, depth: Intrinsics, colour: Intrinsics, pose: Array) -> None:
        turn = pose[:3, :3]
        if pose.shape != (4, 4) or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or np.linalg.det(turn) < 0:
            raise SpecError(f"from depth to colour is no rotation and translation: {pose.tolist()}")
        self.depth, self.colour, self._from = depth, colour, pose[:3, 3:]
        rows, columns = np.mgrid[0 : depth.height, 0 : depth.width]
        pixels = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64)
        ones = np.ones(len(pixels))
        # Where a metre of depth is in colour's frame, (3, h * w): of every pixel's two corners, and of its middle.
        self._first, self._last = (turn @ depth.lift(pixels + away, ones).T for away in (-0.5, 0.5))
        self._middle = turn[2] @ depth.lift(pixels, ones).T

    def __call__(self, depth: Array) -> Array:
        """(h, w) [m] of the depth camera -> (H, W) [m] of colour's, NaN where nothing was seen, both along the axis.

        Every pixel covers the pixels of colour whose middle lies between its corners, and the nearest counts. Between
        neighbours that have moved apart gaps open, through which nothing may be seen that lies behind: they are closed
        by footprints that are a little larger, which for themselves would let a slanted surface come nearer.
        Raises SpecError for depth of another size.
        """
        self.depth.require(depth.shape, "depth")
        far = depth.reshape(-1)
        there = np.flatnonzero(np.isfinite(far) & (far > 0))
        far = far[there]
        one, other = (self._pixels(rays[:, there] * far + self._from) for rays in (self._first, self._last))
        low, high, z = np.minimum(one, other), np.maximum(one, other), self._middle[there] * far + self._from[2]
        narrow = self._nearest(np.ceil(low), np.ceil(high) - 1, z)
        more = GROWN * (high - low)
        wide = self._nearest(np.ceil(low - more), np.ceil(high + more) - 1, z)
        made = np.where(narrow < wide + SAME, narrow, wide)
        return np.where(np.isfinite(made), made, np.nan)

    def _pixels(self, points: Array) -> Array:
        """(3, n) -> (2, n), NaN for those behind the camera."""
        camera, ahead = self.colour, np.where(points[2] > 0, points[2], np.nan)
        return points[:2] / ahead * [[camera.fx], [camera.fy]] + [[camera.cx], [camera.cy]]

    def _nearest(self, low: Array, high: Array, z: Array) -> Array:
        """(H, W), infinite where none is: of the footprints from low to high (2, n) [px], ends included."""
        width, height = self.colour.width, self.colour.height
        seen = np.flatnonzero((high[0] >= 0) & (high[1] >= 0) & (low[0] < width) & (low[1] < height))
        left, top = np.maximum(low[:, seen], 0).astype(np.int64)
        right, bottom = np.minimum(high[:, seen], [[width - 1], [height - 1]]).astype(np.int64)
        z, start, across, along = z[seen], top * width + left, right - left, bottom - top
        made = np.full(width * height, np.inf)
        for down in range(int(along.max(initial=-1)) + 1):
            for aside in range(int(across.max(initial=-1)) + 1):
                covers = np.flatnonzero((across >= aside) & (along >= down))
                np.minimum.at(made, start[covers] + (down * width + aside), z[covers])
        return made.reshape(height, width)
