"""Names on the graph that are no data-set features; those that are stand in the contract."""

from __future__ import annotations

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
