"""A learned reward, live: color and depth images in, `Keypoints` and `Reward` out. No other node waits for it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, JointState
from sensor_msgs.msg import Image as ImageMsg

from vgps_models.bags.pictures import RAW, pixels
from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.irl.rewards import load_reward
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.limits import Between, OneOf
from vgps_models.rgbd.ros_messages import intrinsics_of, metric_depth
from vgps_models.spaces import Array, Image
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.camera_pose import pose_of
from vgps_node.live_reward import LiveReward, Pairing, Rewarded
from vgps_node.live_robot import RobotReward
from vgps_node.observing import warn_of_rewind
from vgps_node.params import ParameterSpec
from vgps_node.rewarding import WHO
from vgps_node.runtime import RELIABLE, RELIABLE_IMAGES, declare, image_qos, run

TABLE_FRAME = "table"


class RewardNode(Node):
    """Estimates a learned reward for a person, or for the robot, that a color and depth camera sees."""

    PARAMETERS: ClassVar = {
        "reward": ParameterSpec("", "file of the reward, as `vgps reward learn` writes it"),
        "points": ParameterSpec("points", "checkpoint of `vgps train points`: a shipped name or a path"),
        "who": ParameterSpec("person", "whose task it is", OneOf(WHO)),
        "hands": ParameterSpec("", "of a person: a hand_landmarker.task file; empty: the installed one"),
        "pose": ParameterSpec("", "of a person: a pose_landmarker_full.task file that finds the arm; empty: none"),
        "camera_pose": ParameterSpec("", "of the robot: 'x y z qx qy qz qw' of the camera in the arm's base frame [m]"),
        "camera": ParameterSpec("", "name of a camera of this graph; replaces the three topics below"),
        "colour": ParameterSpec("/camera/color/image_raw", "topic of the color images"),
        "depth": ParameterSpec("/camera/aligned_depth_to_color/image_raw", "topic of the depth aligned to color"),
        "info": ParameterSpec("/camera/color/camera_info", "topic of the color camera's intrinsics"),
        "tolerance": ParameterSpec(0.015, "[s] between the stamps of color and of depth or joints", Between(0, 1)),
        "reliable_images": replace(RELIABLE_IMAGES, default=False),
    }

    def __init__(self, context: Context) -> None:
        super().__init__("reward_node", context=context)
        p = declare(self, self.PARAMETERS)
        if not p["reward"]:
            raise VgpsError("reward_node needs the parameter reward: a file that `vgps reward learn` wrote")
        robot, name = p["who"] == "robot", p["camera"]
        if name:
            p |= {"colour": topics.camera_image(name), "depth": topics.camera_depth(name)}
            p |= {"info": topics.camera_info(name)}
        self.live, self.contract = (_robot if robot else _person)(p), Contract.load()
        self._frame = messages.BASE_FRAME if robot else TABLE_FRAME
        self._camera: Intrinsics | None = None
        self._last, self._episode = 0, 0
        # The graph says with every picture which episode it is of; other cameras know of none.
        others = ["joints", *(["task"] if name else [])] if robot else []
        self._pairing = Pairing(round(1e9 * p["tolerance"]), ["colour", "depth", *others], kept=64 if robot else 8)
        for part in others:
            self._listen(part)
        self._keypoints = self.create_publisher(msg.Keypoints, topics.REWARD_KEYPOINTS, RELIABLE)
        self._values = self.create_publisher(msg.Reward, topics.REWARD_VALUE, RELIABLE)
        qos = image_qos(p["reliable_images"])
        self.create_subscription(CameraInfo, p["info"], self._on_info, qos)
        for part in ("colour", "depth"):
            self.create_subscription(ImageMsg, p[part], partial(self._on_part, part), qos)

    def _listen(self, part: str) -> None:
        kinds = {"joints": (JointState, self.contract.state.topic), "task": (msg.TaskState, self.contract.task.topic)}
        kind, topic = kinds[part]
        self.create_subscription(kind, topic, partial(self._on_part, part), RELIABLE)

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self._camera = intrinsics_of(message, "camera_info")
        except VgpsError as error:
            self.get_logger().warning(f"{error}; ignored", throttle_duration_sec=5.0)

    def _on_part(self, part: str, message: Any) -> None:
        paired = self._pairing.add(part, messages.stamp_of(message), message)
        if paired is None or self._camera is None or paired[0] == self._last:
            return
        if paired[0] < self._last:
            warn_of_rewind(self, self._last, paired[0])
            self.live.forget()
        began = time.perf_counter()
        stamp, colour, depth, *others = paired
        self._last = stamp
        try:
            rgb, far = pixels(colour, RAW, "colour"), metric_depth(depth, RAW, "depth")
            self._camera.require(rgb.shape, "colour")
            self._camera.require(far.shape, "depth")
            seen = self._seen(rgb, far, self._camera, stamp * 1e-9, *others)
        except VgpsError as error:
            self.get_logger().error(f"no reward: {error}", throttle_duration_sec=5.0)
            return
        self._tell(stamp, seen, began)

    def _seen(
        self, rgb: Image, depth: Array, camera: Intrinsics, seconds: float, joints: Any = None, task: Any = None
    ) -> Rewarded:
        """joints, task: messages of the same moment, where they are listened to."""
        if not isinstance(self.live, RobotReward):
            return self.live(rgb, depth, camera, seconds)
        if task is not None and task.episode != self._episode:  # nothing is where it was in the last one
            self._episode = task.episode
            self.live.forget()
        arm = messages.arm_state_from_msg(joints, self.contract)
        return self.live(rgb, depth, camera, seconds, arm.q, arm.gripper)

    def _tell(self, stamp: int, seen: Rewarded, began: float) -> None:
        header = messages.header(stamp, self._frame)
        told: dict[str, Any] = {"positions": seen.positions.ravel().tolist(), "confidences": seen.confidence.tolist()}
        self._keypoints.publish(msg.Keypoints(header=header, names=list(seen.names), **told))
        value = 0.0 if seen.value is None else seen.value
        ms = 1e3 * (time.perf_counter() - began)
        task = self.live.reward.task
        self._values.publish(msg.Reward(header=header, task=task, known=seen.value is not None, value=value, ms=ms))


def _robot(p: dict[str, Any]) -> RobotReward:
    return RobotReward(load_reward(Path(p["reward"])), p["points"], pose_of(p["camera_pose"]))


def _person(p: dict[str, Any]) -> LiveReward:
    from vgps_models.keypoints.hands import HandLandmarker, HandsConfig  # a robot is watched without MediaPipe
    from vgps_models.keypoints.pose_landmarker import PoseConfig, PoseLandmarker

    hands = HandLandmarker(HandsConfig(model=Path(p["hands"]) if p["hands"] else None))
    arm = PoseLandmarker(PoseConfig(Path(p["pose"]))) if p["pose"] else None
    return LiveReward(load_reward(Path(p["reward"])), p["points"], hands, arm=arm)


def main() -> None:
    run(RewardNode)


if __name__ == "__main__":
    main()
