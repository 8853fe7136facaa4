"""The robot at a task, filmed with depth by its front camera, with its joints and where everything really is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.irl.tracks import Track
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array, Image
from vgps_sim.collect import demonstrate
from vgps_sim.scene import FRONT
from vgps_sim.world import World


@dataclass(frozen=True, eq=False)
class RobotFilm:
    """T moments, one a control step. rgb (T, h, w, 3) uint8, depth (T, h, w) [m], q (T, 6) [rad], gripper (T,) 0..1.

    track: the same moments as they are. camera_pose (4, 4): of the camera in the base frame.
    """

    camera: Intrinsics
    camera_pose: Array
    rgb: Image
    depth: Array
    q: Array
    gripper: Array
    track: Track
    period: float  # [s]

    def __len__(self) -> int:
        return len(self.rgb)


def film_robot(world: World, seed: int, quality: str, *, width: int, height: int) -> RobotFilm:
    """The demonstration that `vgps collect` records of this seed."""
    rgb = list[Image]()
    depth, q, gripper, hand, points = (list[Array]() for _ in range(5))

    def watch(world: World) -> None:
        joints, (colour, far) = world.joints(), world.filmed(FRONT, height, width)
        rgb.append(colour)
        depth.append(far)
        q.append(joints.q)
        gripper.append(np.array(joints.gripper))
        hand.append(world.tool_pose()[0])
        points.append(world.task.located(world))

    shown = demonstrate(world, seed, quality, watch)
    opening, task = np.array(gripper), world.task
    gap, still = world.arm.gap(opening), np.zeros(len(q))
    track = Track(task.id, task.landmarks, np.array(hand), gap, still, np.array(points), 0.0, shown.success)
    camera = Intrinsics.of_fovy(width, height, float(world.model.camera(FRONT).fovy[0]))
    pose = world.camera_pose(FRONT)
    return RobotFilm(camera, pose, np.array(rgb), np.array(depth), np.array(q), opening, track, world.spec.period)
