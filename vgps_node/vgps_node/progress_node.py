"""How far along the task looks, live: images and instruction in, `Progress` out. Nobody waits for it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.progress.backends import load_judge
from vgps_models.spaces import Image
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.advising import ProgressOptions
from vgps_node.moments import Progress, TaskState
from vgps_node.observing import SightInput
from vgps_node.params import changed, specs
from vgps_node.runtime import RELIABLE, RELIABLE_IMAGES, STEADY_CLOCK, declare, run
from vgps_node.watching import Watcher


class ProgressNode(Node):
    """Judges some control steps and the last one by the learned estimator; asks a vision-language model about the
    episode so far in the background. Which of the two is a setting.

    Parameters: those of `ProgressOptions`, nested ones joined by dots (gvl.chat.model). A key comes from the
    environment alone.
    """

    PARAMETERS: ClassVar = specs(ProgressOptions()) | {"reliable_images": RELIABLE_IMAGES}

    def __init__(self, context: Context) -> None:
        super().__init__("progress_node", context=context)
        parameters = declare(self, self.PARAMETERS, self._apply, live=("checkpoint", "every"))
        self.options = changed(ProgressOptions(), parameters)
        self.options.require()
        self._load()
        self.watcher: Watcher | None = None
        if self.options.asking:
            from vgps_models.progress.gvl import GVL

            self.watcher = Watcher(GVL(self.options.gvl), period=self.options.period, frames=self.options.frames)
            self.create_timer(0.1, self._tell, clock=STEADY_CLOCK)
        self._publisher = self.create_publisher(msg.Progress, topics.PROGRESS, RELIABLE)
        SightInput(self, Contract.load(), self._on_sight, self._rewind, reliable=parameters["reliable_images"])

    def _apply(self, parameters: dict[str, Any]) -> None:
        before, self.options = self.options, changed(self.options, parameters)
        if self.options.checkpoint != before.checkpoint:
            try:
                self._load()
            except VgpsError:
                self.options = before
                raise

    def _load(self) -> None:
        self.estimator = load_judge(self.options.checkpoint) if self.options.learned else None

    def _rewind(self) -> None:
        if self.watcher is not None:
            self.watcher.forget()

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
