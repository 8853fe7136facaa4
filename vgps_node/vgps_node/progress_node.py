"""How far along the task looks, live: images and instruction in, `Progress` out. Nobody waits for it."""

from __future__ import annotations

import time
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.progress.backends import load_judge
from vgps_models.spaces import Image
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.advising import ProgressOptions
from vgps_node.flat import changed, flatten
from vgps_node.moments import Progress, TaskState
from vgps_node.observing import SightInput
from vgps_node.runtime import RELIABLE, STEADY_CLOCK, declare, on_parameters, run
from vgps_node.watching import Watcher


class ProgressNode(Node):
    """Judges some control steps and the last one by the learned estimator; asks a vision-language model about the
    episode so far in the background. Which of the two is a setting.

    Parameters: those of `ProgressOptions`, nested ones joined by dots (gvl.chat.model); reliable_images, see
    `image_qos`. `checkpoint` and `every` may be changed while it runs. A key comes from the environment alone.
    """

    LIVE = ("checkpoint", "every")

    def __init__(self, context: Context) -> None:
        super().__init__("progress_node", context=context)
        defaults = flatten(ProgressOptions())
        parameters = declare(self, **defaults, reliable_images=True)
        self.options = changed(ProgressOptions(), parameters)
        self.options.require()
        self._fixed = parameters.keys() - set(self.LIVE)
        self._load()
        on_parameters(self, self._apply)
        self.watcher: Watcher | None = None
        if self.options.asking:
            from vgps_models.progress.gvl import GVL

            self.watcher = Watcher(GVL(self.options.gvl), period=self.options.period, frames=self.options.frames)
            self.create_timer(0.1, self._tell, clock=STEADY_CLOCK)
        self._publisher = self.create_publisher(msg.Progress, topics.PROGRESS, RELIABLE)
        SightInput(self, Contract.load(), self._on_sight, reliable=parameters["reliable_images"])

    def _apply(self, parameters: dict[str, Any]) -> None:
        if fixed := sorted(parameters.keys() & self._fixed):
            raise VgpsError(f"{', '.join(fixed)} cannot change while the node runs; start it with another value")
        before, self.options = self.options, changed(self.options, parameters)
        if self.options.checkpoint != before.checkpoint:
            try:
                self._load()
            except VgpsError:
                self.options = before
                raise

    def _load(self) -> None:
        self.estimator = load_judge(self.options.checkpoint) if self.options.learned else None

    def _on_sight(self, task: TaskState, images: dict[str, Image]) -> None:
        if self.watcher is not None:
            self.watcher.see(task, images)
        if self.estimator is None or not task.instruction:
            return
        if task.moment.step % self.options.every and not task.done:
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

    def _tell(self) -> None:
        said = self.watcher.poll() if self.watcher is not None else None
        if isinstance(said, Progress):
            self._publisher.publish(messages.progress_to_msg(said))
        elif said is not None:
            self.get_logger().warning(f"no answer: {said}", throttle_duration_sec=30.0)

    def destroy_node(self) -> None:
        if self.watcher is not None:
            self.watcher.close()
        super().destroy_node()


def main() -> None:
    run(ProgressNode)


if __name__ == "__main__":
    main()
