"""What a learned reward says of what is seen, live: colour and depth in, `Keypoints` and `Reward` out. Nobody waits."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMsg

from vgps_models.data.bags import RAW, pixels
from vgps_models.errors import VgpsError
from vgps_models.irl.rewards import load_reward
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.hands import HandLandmarker, HandsConfig
from vgps_models.keypoints.pose_landmarker import PoseConfig, PoseLandmarker
from vgps_models.rgbd.bags import intrinsics_of, metric_depth
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.live_reward import LiveReward, Pairing
from vgps_node.runtime import RELIABLE, declare, image_qos, run

FRAME = "table"


class RewardNode(Node):
    """Watches a person at the task that a reward is of.

    Parameters: reward (file of `vgps reward learn`), points (checkpoint of `vgps train points`), hands (a
    hand_landmarker.task, or nothing), pose (a pose_landmarker_full.task that finds the arm, or nothing), colour,
    depth and info (topics; depth aligned to colour), tolerance (between the stamps of colour and depth [s]),
    reliable_images, see `image_qos`.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("reward_node", context=context)
        p = declare(
            self, reward="", points="points", hands="", pose="", colour="/camera/color/image_raw",
            depth="/camera/aligned_depth_to_color/image_raw", info="/camera/color/camera_info", tolerance=0.015,
            reliable_images=False,
        )  # fmt: skip
        if not p["reward"]:
            raise VgpsError("reward_node needs the parameter reward: a file that `vgps reward learn` wrote")
        hands = HandLandmarker(HandsConfig(model=Path(p["hands"]) if p["hands"] else None))
        arm = PoseLandmarker(PoseConfig(Path(p["pose"]))) if p["pose"] else None
        self.live = LiveReward(load_reward(Path(p["reward"])), p["points"], hands, arm=arm)
        self._camera: Intrinsics | None = None
        self._last = 0
        self._pairing = Pairing(round(1e9 * p["tolerance"]))
        self._keypoints = self.create_publisher(msg.Keypoints, topics.REWARD_KEYPOINTS, RELIABLE)
        self._values = self.create_publisher(msg.Reward, topics.REWARD_VALUE, RELIABLE)
        qos = image_qos(p["reliable_images"])
        self.create_subscription(CameraInfo, p["info"], self._on_info, qos)
        for part in ("colour", "depth"):
            self.create_subscription(ImageMsg, p[part], partial(self._on_picture, part), qos)

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self._camera = intrinsics_of(message, "camera_info")
        except VgpsError as error:
            self.get_logger().warning(f"{error}; ignored", throttle_duration_sec=5.0)

    def _on_picture(self, part: str, message: ImageMsg) -> None:
        pair = self._pairing.add(part, messages.stamp_of(message), message)
        if pair is None or self._camera is None or pair[0] <= self._last:
            return
        began = time.perf_counter()
        self._last = pair[0]
        try:
            rgb, depth = pixels(pair[1], RAW, "colour"), metric_depth(pair[2], RAW, "depth")
            self._camera.require(rgb.shape, "colour")
            self._camera.require(depth.shape, "depth")
            seen = self.live(rgb, depth, self._camera, pair[0] * 1e-9)
        except VgpsError as error:
            self.get_logger().error(f"no reward: {error}", throttle_duration_sec=5.0)
            return
        header = messages.header(pair[0], FRAME)
        told: dict[str, Any] = {"positions": seen.positions.ravel().tolist(), "confidences": seen.confidence.tolist()}
        self._keypoints.publish(msg.Keypoints(header=header, names=list(seen.names), **told))
        value = 0.0 if seen.value is None else seen.value
        ms = 1e3 * (time.perf_counter() - began)
        task = self.live.reward.task
        self._values.publish(msg.Reward(header=header, task=task, known=seen.value is not None, value=value, ms=ms))


def main() -> None:
    run(RewardNode)


if __name__ == "__main__":
    main()
