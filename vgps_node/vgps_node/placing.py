"""Where things are on the table: by the depth around them, or, of those that nobody lifts, by the height they have.

A bin's middle is a point behind its wall or below what lies in it; depth there is that of the wall, or of an onion.
"""

from __future__ import annotations

import numpy as np

from vgps_models.irl.learned import LearnedReward
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import on_planes
from vgps_models.keypoints.things import ThingsSeen
from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.tasks import get_task


def standing_heights(reward: LearnedReward) -> Array:
    """Of a reward's landmarks (N,) [m] above the table; NaN of those that are lifted at times."""
    standing = get_task(reward.task).standing
    return np.array([get_thing(name).rest_height if name in standing else np.nan for name in reward.names])


def placed(seen: ThingsSeen, camera: Intrinsics, pose: Array, heights: Array) -> tuple[Array, Array]:
    """Positions (N, 3) [m], NaN where they are unknown, and confidence (N,).

    In a frame on the table, with z up, in which the camera is at `pose` (4, 4).
    """
    by_depth = seen.points.position @ pose[:3, :3].T + pose[:3, 3]
    by_height = on_planes(seen.pixels, camera, pose, heights)
    stands = np.isfinite(heights)
    positions = np.where(stands[:, None], by_height, by_depth)
    confidence = np.where(stands, seen.sure, seen.points.confidence)
    return positions, np.where(np.isfinite(positions).all(1), confidence, 0.0)
