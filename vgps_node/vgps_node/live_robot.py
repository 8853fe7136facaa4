"""A reward over what the robot does, picture by picture: joints say where its hand is, a camera where things are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vgps_models.errors import SpecError
from vgps_models.irl.learned import LearnedReward
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.filters import OneEuro
from vgps_models.keypoints.finder import PointFinder
from vgps_models.keypoints.things import ThingsConfig, ThingWatcher
from vgps_models.spaces import Array, Image
from vgps_node.live_reward import Rewarded
from vgps_node.placing import placed, standing_heights
from vgps_sim.kinematics import ToolKinematics

TOOL = "tool"
NEAR = 0.04  # [m] from the fingertips what is seen no more is in the hand
OPEN = 0.9  # opening 0..1 from which nothing is


@dataclass
class RobotReward:
    """camera_pose (4, 4): of the camera in the arm's base frame, in which the table is at z = 0; x of the camera to the
    right, y down, z forward.

    What is hidden stays where it was seen last, or goes with the hand that it was in then.
    """

    reward: LearnedReward
    points: str  # checkpoint of `vgps train points`
    camera_pose: Array
    watch: ThingsConfig = field(default_factory=ThingsConfig)
    kinematics: ToolKinematics = field(default_factory=ToolKinematics)

    def __post_init__(self) -> None:
        turn = self.camera_pose[:3, :3]
        if self.camera_pose.shape != (4, 4) or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
            raise SpecError(f"a camera's pose is a rotation and a place (4, 4); this is none:\n{self.camera_pose}")
        self.names = (TOOL, *self.reward.names)
        self._find = PointFinder.load(self.points, self.reward.names)
        self._heights = standing_heights(self.reward)
        self._camera: Intrinsics | None = None

    def __call__(
        self, rgb: Image, depth: Array, camera: Intrinsics, seconds: float, q: Array, gripper: float
    ) -> Rewarded:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes, seconds later than the last; joints q (6,) [rad]
        and opening 0..1 at the same time."""
        if camera != self._camera:
            self._camera = camera
            self._look = ThingWatcher(self._find, camera, self.watch)
            self.forget()
        tool, rotation = self.kinematics.pose(q)
        where, sure = placed(self._look(rgb, depth), camera, self.camera_pose, self._heights)
        put = self._smooth(where, seconds)
        known = np.asarray(np.isfinite(put).all(1))
        carried = ~known & self._inside & (gripper < OPEN)
        self._last = np.where(known[:, None], put, self._last)
        self._last[carried] = tool + self._offset[carried] @ rotation.T
        fresh = (self._last - tool) @ rotation
        self._offset = np.where(known[:, None], fresh, self._offset)
        self._inside = np.where(known, np.linalg.norm(fresh, axis=1) < NEAR, self._inside & (gripper < OPEN))
        positions = np.concatenate([tool[None], self._last])
        confidence = np.r_[1.0, np.where(known, sure, 0.0)]
        if not np.isfinite(positions).all():
            return Rewarded(self.names, positions, confidence, None)
        value = self.reward.now(tool, self.kinematics.arm.gap(gripper), self._last)
        return Rewarded(self.names, positions, confidence, value)

    def forget(self) -> None:
        """Begin anew, as when another episode begins."""
        count = len(self.reward.names)
        self._smooth, self._last, self._offset = OneEuro(), np.full((count, 3), np.nan), np.zeros((count, 3))
        self._inside = np.zeros(count, bool)
