"""From topics to observations, by stamp and never by the order of arrival.

Every input takes `rewind`, which clears the buffers of its node when time goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.spaces import Image as Pixels
from vgps_models.spaces import Observation
from vgps_msgs.msg import TaskState as TaskStateMsg
from vgps_node import messages
from vgps_node.moments import ArmState, Joiner, TaskState
from vgps_node.runtime import RELIABLE, image_qos
from vgps_sim.kinematics import ToolKinematics

OnArm = Callable[[TaskState, ArmState], None]
OnObservation = Callable[[TaskState, Observation], None]
Rewind = Callable[[], None]
OnSight = Callable[[TaskState, dict[str, Pixels]], None]


def warn_of_rewind(node: Node, before: int, now: int) -> None:
    """Log that time went back, from a stamp to another [ns]."""
    node.get_logger().warning(
        f"time went back from {before * 1e-9:.2f} s to {now * 1e-9:.2f} s; all buffers are cleared. Either the "
        "simulator was restarted, or a bag plays in a loop, or two graphs share this ROS domain",
        throttle_duration_sec=1.0,
    )


class ArmInput:
    """Calls back once for every moment of which both task state and joint states have come."""

    def __init__(self, node: Node, contract: Contract, callback: OnArm, rewind: Rewind) -> None:
        self._callback = callback
        _Input(node, contract, {}, self._complete, rewind)

    def _complete(self, parts: dict[str, Any]) -> None:
        self._callback(parts["task"], parts["joints"])


class ObservationInput:
    """Calls back with every observation that is complete: task state, joint states and all images.

    reliable: whether lost images are sent again; see `image_qos`.
    """

    def __init__(
        self, node: Node, contract: Contract, callback: OnObservation, rewind: Rewind, *, reliable: bool
    ) -> None:
        self._callback, self._kinematics, self._cameras = callback, ToolKinematics(), tuple(contract.images)
        _Input(node, contract, {name: image_qos(reliable) for name in self._cameras}, self._complete, rewind)

    def _complete(self, parts: dict[str, Any]) -> None:
        task, arm = parts["task"], parts["joints"]
        observation = Observation(
            images={name: parts[name] for name in self._cameras},
            proprio=self._kinematics.proprio(arm.q, arm.gripper),
            instruction=task.instruction,
            stamp=task.moment.stamp * 1e-9,
            key=task.moment.key,
        )
        self._callback(task, observation)


class SightInput:
    """Calls back with task state and all images of a moment, without the arm.

    reliable: whether lost images are sent again; see `image_qos`.
    """

    def __init__(self, node: Node, contract: Contract, callback: OnSight, rewind: Rewind, *, reliable: bool) -> None:
        self._callback, self._cameras = callback, tuple(contract.images)
        qos = {name: image_qos(reliable) for name in self._cameras}
        _Input(node, contract, qos, self._complete, rewind, joints=False)

    def _complete(self, parts: dict[str, Any]) -> None:
        self._callback(parts["task"], {name: parts[name] for name in self._cameras})


class _Input:
    """Subscriptions into one joiner. images: camera name -> quality of service."""

    KEPT = 128  # stamps: two seconds of joint states, of which a few belong to an observation

    def __init__(
        self,
        node: Node,
        contract: Contract,
        images: dict[str, Any],
        complete: Callable[[dict[str, Any]], None],
        rewind: Rewind,
        *,
        joints: bool = True,
    ) -> None:
        self._node, self._complete, self._rewind = node, complete, rewind
        parts = ("task", *(["joints"] if joints else []), *images)
        self._joiner = Joiner(parts, size=self.KEPT, on_rewind=self._on_rewind)

        def listen(part: str, kind: type, topic: str, qos: Any, convert: Callable[[Any], Any]) -> None:
            node.create_subscription(kind, topic, lambda message: self._take(part, message, convert), qos)

        listen("task", TaskStateMsg, contract.task.topic, RELIABLE, messages.task_state_from_msg)
        if joints:
            listen(
                "joints",
                JointState,
                contract.state.topic,
                QoSProfile(depth=self.KEPT, reliability=ReliabilityPolicy.RELIABLE),
                lambda message: messages.arm_state_from_msg(message, contract),
            )
        for name, qos in images.items():
            feature = contract.images[name]
            listen(
                name,
                Image,
                feature.topic,
                qos,
                lambda message, feature=feature: feature.check(messages.image_from_msg(message)),
            )

    def _on_rewind(self, before: int, now: int) -> None:
        warn_of_rewind(self._node, before, now)
        self._rewind()

    def _take(self, part: str, message: Any, convert: Callable[[Any], Any]) -> None:
        try:
            value = convert(message)
        except VgpsError as error:
            self._node.get_logger().warning(f"{error}; ignored", throttle_duration_sec=5.0)
            return
        if (parts := self._joiner.add(part, messages.stamp_of(message), value)) is not None:
            self._complete(parts)
