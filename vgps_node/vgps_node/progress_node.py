"""How far along the task looks, live: images and instruction in, `Progress` out. Nobody waits for it."""

from __future__ import annotations

import time
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.progress.backends import load_judge
from vgps_models.progress.chat import ChatConfig
from vgps_models.spaces import Image
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.moments import Progress, TaskState
from vgps_node.observing import SightInput
from vgps_node.runtime import RELIABLE, STEADY_CLOCK, declare, on_parameters, run
from vgps_node.watching import Watcher


class ProgressNode(Node):
    """Judges every `execute`-th control step and the last one by an estimator of single moments.

    Parameters: checkpoint, a shipped name or a path, of the learned estimator ("progress") or of an image-text model
    ("imagetext", by VLM-RM); execute, control steps between two estimates;
    reliable_images, see `image_qos`. With gvl_model, a vision-language model is asked about the episode so far as
    well, in the background: gvl_base_url, its endpoint; gvl_period, least time between two questions [s];
    gvl_frames, pictures of a question; gvl_budget, what all of it may cost [US dollars], with prices per million
    tokens gvl_input_price and gvl_output_price. The key comes from the environment, see `ChatConfig`.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("progress_node", context=context)
        parameters = declare(self, checkpoint="progress", execute=2, reliable_images=True)
        asking = declare(
            self, gvl_model="", gvl_base_url=ChatConfig.base_url, gvl_period=10.0, gvl_frames=15, gvl_budget=1.0,
            gvl_input_price=0.0, gvl_output_price=0.0,
        )  # fmt: skip
        self.execute = 1
        self._apply(parameters)
        on_parameters(self, self._apply)
        self.watcher = _watcher(asking) if asking["gvl_model"] else None
        if self.watcher is not None:
            self.create_timer(0.1, self._tell, clock=STEADY_CLOCK)
        self._publisher = self.create_publisher(msg.Progress, topics.PROGRESS, RELIABLE)
        SightInput(self, Contract.load(), self._on_sight, reliable=parameters["reliable_images"])

    def _apply(self, parameters: dict[str, Any]) -> None:
        if parameters.get("execute", 1) < 1:
            raise VgpsError(f"execute ({parameters['execute']}) must be at least 1")
        if "checkpoint" in parameters:
            self.estimator = load_judge(parameters["checkpoint"])
        self.execute = parameters.get("execute", self.execute)

    def _on_sight(self, task: TaskState, images: dict[str, Image]) -> None:
        if self.watcher is not None:
            self.watcher.see(task, images)
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


def _watcher(asking: dict[str, Any]) -> Watcher:
    from vgps_models.progress.chat.ledger import Price
    from vgps_models.progress.gvl import GVL, GVLConfig

    chat = ChatConfig(
        model=asking["gvl_model"], base_url=asking["gvl_base_url"], budget_usd=asking["gvl_budget"],
        price=Price(asking["gvl_input_price"], asking["gvl_output_price"]),
    )  # fmt: skip
    chat.key()  # refused at the start rather than in the middle of an episode
    if not chat.local and not (chat.price.input and chat.price.output):
        raise VgpsError(
            f"what does {chat.model} cost? give gvl_input_price and gvl_output_price [US dollars a million tokens]; "
            f"without them the budget of {chat.budget_usd} US dollars would hold nothing back"
        )
    return Watcher(GVL(GVLConfig(chat)), period=asking["gvl_period"], frames=asking["gvl_frames"])


def main() -> None:
    run(ProgressNode)


if __name__ == "__main__":
    main()
