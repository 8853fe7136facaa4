"""How far along the task looks, live: images and instruction in, `Progress` out. Nobody waits for it."""

from __future__ import annotations

import time
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from vgps_models import checkpoint
from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.spaces import Image
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.moments import Progress, TaskState
from vgps_node.observing import SightInput
from vgps_node.runtime import RELIABLE, declare, on_parameters, run


class ProgressNode(Node):
    """Judges every `execute`-th control step and the last one by the learned estimator.

    Parameters: checkpoint, a shipped name or a path; execute, control steps between two estimates;
    reliable_images, see `image_qos`.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("progress_node", context=context)
        parameters = declare(self, checkpoint="progress", execute=2, reliable_images=True)
        self._apply(parameters)
        on_parameters(self, self._apply)
        self._publisher = self.create_publisher(msg.Progress, topics.PROGRESS, RELIABLE)
        SightInput(self, Contract.load(), self._on_sight, reliable=parameters["reliable_images"])

    def _apply(self, parameters: dict[str, Any]) -> None:
        if parameters.get("execute", 1) < 1:
            raise VgpsError(f"execute ({parameters['execute']}) must be at least 1")
        if "checkpoint" in parameters:
            self.estimator = checkpoint.load_progress(parameters["checkpoint"])
        self.execute = parameters.get("execute", getattr(self, "execute", 1))

    def _on_sight(self, task: TaskState, images: dict[str, Image]) -> None:
        if not task.instruction or (task.moment.step % self.execute and not task.done):
            return
        began = time.perf_counter()
        try:
            values, spread = self.estimator.judge(
                {name: image[None] for name, image in images.items()}, task.instruction
            )
        except VgpsError as error:
            self.get_logger().error(f"no estimate: {error}", throttle_duration_sec=5.0)
            return
        value = float(values[0])
        told = Progress(
            task.moment, self.estimator.source, value, float(spread[0]), value >= self.estimator.threshold,
            1e3 * (time.perf_counter() - began),
        )  # fmt: skip
        self._publisher.publish(messages.progress_to_msg(told))


def main() -> None:
    run(ProgressNode)


if __name__ == "__main__":
    main()
