"""What messages of ROS say about cameras and depth, from a bag or from a running graph."""

from __future__ import annotations

from typing import Any

from vgps_models.bags.pictures import depth_units
from vgps_models.errors import SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import metres
from vgps_models.spaces import Array


def intrinsics_of(info: Any, topic: str) -> Intrinsics:
    """Of a CameraInfo of ROS 2 or ROS 1."""
    try:
        k = [float(value) for value in getattr(info, "k" if hasattr(info, "k") else "K")]
        return Intrinsics(int(info.width), int(info.height), k[0], k[4], k[2], k[5])
    except (AttributeError, IndexError, ValueError) as error:
        raise SpecError(f"{topic} has no intrinsics: {error}") from error


def metric_depth(message: Any, type: str, name: str) -> Array:
    """(h, w) [m], NaN for holes. Sizes are checked before they are believed."""
    return metres(depth_units(message, type, f"{name}, depth"))
