"""Frames on /tf and /tf_static: the tool in the arm's base, the cameras in the base or in the tool."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from vgps_models.spaces import Array
from vgps_node import messages, topics
from vgps_node.moments import ArmState
from vgps_node.runtime import LATCHED, RELIABLE
from vgps_sim.kinematics import ToolKinematics


class Transforms:
    """cameras: name -> (whether it rides on the tool, its pose (4, 4) [m] in the tool's or base frame)."""

    def __init__(self, node: Node, cameras: Mapping[str, tuple[bool, Array]]) -> None:
        self._kinematics = ToolKinematics()
        self._moving = node.create_publisher(TFMessage, "/tf", RELIABLE)
        static = node.create_publisher(TFMessage, "/tf_static", LATCHED)
        frames = [
            transform(0, topics.TOOL_FRAME if rides else messages.BASE_FRAME, topics.camera_frame(name), pose)
            for name, (rides, pose) in cameras.items()
        ]
        static.publish(TFMessage(transforms=frames))

    def publish(self, stamp: int, arm: ArmState) -> None:
        """The tool's pose at a stamp [ns]."""
        pose = np.eye(4)
        pose[:3, 3], pose[:3, :3] = self._kinematics.pose(arm.q)
        self._moving.publish(TFMessage(transforms=[transform(stamp, messages.BASE_FRAME, topics.TOOL_FRAME, pose)]))


def transform(stamp: int, parent: str, child: str, pose: Array) -> TransformStamped:
    """pose: (4, 4) of `child` in `parent` [m]; stamp [ns], 0 for one that always holds."""
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    message = TransformStamped(header=messages.header(stamp, parent), child_frame_id=child)
    at, turned = message.transform.translation, message.transform.rotation
    at.x, at.y, at.z = (float(number) for number in pose[:3, 3])
    turned.x, turned.y, turned.z, turned.w = float(x), float(y), float(z), float(w)
    return message
