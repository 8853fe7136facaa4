"""A pinhole camera: x to the right, y down, z forward, in metres; pixels from the middle of the upper left one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vgps_models.errors import DataError, SpecError
from vgps_models.spaces import Array, Image


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and centre [px] of pictures of width x height pixels, without distortion."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        inside = 0 < self.cx < self.width and 0 < self.cy < self.height
        if min(self.width, self.height) < 1 or min(self.fx, self.fy) <= 0 or not inside:
            raise SpecError(f"{self}: focal lengths are above 0 and the centre lies in the picture")

    @classmethod
    def of_fovy(cls, width: int, height: int, fovy: float) -> Intrinsics:
        """Of a simulated camera with square pixels. fovy: vertical field of view [deg]."""
        f = 0.5 * height / float(np.tan(np.radians(fovy) / 2))
        return cls(width, height, f, f, (width - 1) / 2, (height - 1) / 2)

    def require(self, shape: Sequence[int], what: str) -> None:
        """Raises SpecError unless a picture (height, width, ...) is of this camera."""
        if tuple(shape[:2]) != (self.height, self.width):
            raise SpecError(
                f"{what} is {' x '.join(map(str, reversed(shape[:2])))} px, but the intrinsics are of {self.width} x "
                f"{self.height}; give those of this stream, or depth that is aligned to the picture"
            )

    def project(self, points: Array) -> Array:
        """Points (..., 3) [m] before the camera -> pixels (..., 2)."""
        return points[..., :2] / points[..., 2:] * (self.fx, self.fy) + (self.cx, self.cy)

    def lift(self, pixels: Array, depth: Array) -> Array:
        """Pixels (..., 2) at depths (...) [m] along z -> points (..., 3)."""
        rays = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        return np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) * depth[..., None]


def require_picture(image: Image) -> None:
    """Raises DataError unless it is RGB, (height, width, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f"a picture of shape {image.shape} and type {image.dtype}; expected (height, width, 3) uint8")
