"""Names on the graph that are no data-set features; those that are stand in the contract."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from vgps_node import messages
from vgps_node.moments import ArmState
from vgps_node.runtime import RELIABLE
from vgps_sim.kinematics import ToolKinematics

CANDIDATES = "/policy/candidates"
CHUNK = "/value/action_chunk"
SCORES = "/value/scores"
PROGRESS = "/progress"
REWARD_KEYPOINTS = "/reward/keypoints"
REWARD_VALUE = "/reward/value"
JOINT_COMMAND = "/arm/joint_command"
GATE_STATUS = "/gate/status"
INSTRUCTION = "/task/instruction"
TASK_BEGIN = "/task/begin"
TASK_END = "/task/end"

RESET = "/sim/reset"
STEP = "/sim/step"
SET_CLOCK = "/sim/set_clock"
ESTOP = "/gate/estop"
CLEAR_FAULT = "/gate/clear_fault"
HOLD = "/gate/hold"
RUN_TASK = "/task/run"

TOOL_FRAME = "tool"


def camera_image(name: str) -> str:
    return f"/camera/{name}/image_raw"


def camera_info(name: str) -> str:
    return f"/camera/{name}/camera_info"


def camera_depth(name: str) -> str:
    """Depth that lies over the camera's pictures, named as realsense2_camera names it."""
    return f"/camera/{name}/aligned_depth_to_color/image_raw"


def camera_frame(name: str) -> str:
    return f"{name}_camera_optical_frame"


def transform_publisher(node: Node) -> Callable[[int, ArmState], None] | None:
    """Publishes the tool's pose on /tf; None where this ROS has no tf2_msgs, as the pip wheels have not."""
    try:
        from tf2_msgs.msg import TFMessage  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    publisher, kinematics = node.create_publisher(TFMessage, "/tf", RELIABLE), ToolKinematics()

    def publish(stamp: int, arm: ArmState) -> None:
        position, rotation = kinematics.pose(arm.q)
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        transform = TransformStamped(header=messages.header(stamp), child_frame_id=TOOL_FRAME)
        at, turned = transform.transform.translation, transform.transform.rotation
        at.x, at.y, at.z = map(float, position)
        turned.x, turned.y, turned.z, turned.w = float(x), float(y), float(z), float(w)
        publisher.publish(TFMessage(transforms=[transform]))

    return publish
