"""What a running graph is doing, gathered from its topics: for `vgps status` and `vgps watch`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.spaces import Image as Pixels
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.gate import State
from vgps_node.runtime import LATCHED, RELIABLE

EAGER = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # the newest, and no more


@dataclass
class GraphState:
    """The newest of everything. images: by camera name, (height, width, 3) RGB; counts: messages by topic."""

    images: dict[str, Pixels] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    clock: float | None = None  # [s] simulated time
    joints: JointState | None = None
    task: msg.TaskState | None = None
    gate: msg.GateStatus | None = None
    progress: msg.Progress | None = None
    scores: msg.Scores | None = None
    end: msg.TaskEnd | None = None  # of the last task, also one that ended before we listened
    ends: int = 0  # tasks that ended while we listened

    @property
    def running(self) -> bool:
        """An episode is under way."""
        return self.task is not None and not self.task.done

    def lines(self) -> list[str]:
        """In words, most important first."""
        lines = []
        if self.gate is not None:
            state = State(self.gate.state)
            lines.append(f"gate      {state.name.lower()}{f': {self.gate.detail}' if self.gate.detail else ''}")
        if (t := self.task) is not None and t.episode:
            state, steps = self._ending(t)
            lines.append(f"task      '{t.instruction}', {state}, step {steps}, seed {t.seed}")
        else:
            lines.append("task      none since the graph came up")
        if self.progress is not None:
            lines.append(f"progress  {self.progress.value:.0%} at step {self.progress.step} ({self.progress.source})")
        if self.clock is not None:
            lines.append(f"time      {self.clock:.1f} s on the graph's clock")
        return lines

    def _ending(self, task: msg.TaskState) -> tuple[str, int]:
        """How the task stands, and its control steps. The world may go on after a task was cancelled or stopped."""
        if self.end is not None and self.end.episode == task.episode:
            return self.end.outcome, self.end.steps
        return "under way" if not task.done else "succeeded" if task.success else "over without success", task.step

    def to_json(self) -> dict[str, Any]:
        gate, progress = self.gate, self.progress
        task = self.task if self.task is not None and self.task.episode else None
        return {
            "gate": gate and {"state": State(gate.state).name, "detail": gate.detail, "rejected": gate.rejected},
            "task": task and {
                "task": task.task, "instruction": task.instruction, "seed": task.seed, "step": task.step,
                "success": task.success, "done": task.done, "state": self._ending(task)[0],
            },
            "progress": progress and {"value": progress.value, "step": progress.step, "source": progress.source},
            "clock": self.clock,
        }  # fmt: skip


class StateListener:
    """Subscribes a node to everything that `GraphState` has. images: whether cameras are among it."""

    def __init__(self, node: Node, *, images: bool) -> None:
        contract = Contract.load()
        self.state = GraphState()
        self.restart()
        self._problems: set[str] = set()
        listen = node.create_subscription
        listen(Clock, "/clock", self._on_clock, EAGER)
        listen(JointState, contract.state.topic, self._keep("joints", contract.state.topic), EAGER)
        listen(msg.TaskState, contract.task.topic, self._keep("task", contract.task.topic), LATCHED)
        listen(msg.GateStatus, topics.GATE_STATUS, self._keep("gate", topics.GATE_STATUS), LATCHED)
        listen(msg.Progress, topics.PROGRESS, self._keep("progress", topics.PROGRESS), RELIABLE)
        listen(msg.Scores, topics.SCORES, self._keep("scores", topics.SCORES), RELIABLE)
        listen(msg.TaskEnd, topics.TASK_END, self._keep("end", topics.TASK_END), LATCHED)
        listen(msg.TaskEnd, topics.TASK_END, self._on_end, RELIABLE)
        self._cameras = set(contract.images) if images else set()
        for name, feature in contract.images.items() if images else ():
            listen(Image, feature.topic, self._keep_image(name, feature.topic), EAGER)

    def complete(self) -> bool:
        """Everything that is published all the time has come: gate, clock, joints, and each camera of the contract.

        So has what is kept for late listeners, such as the last task, because its publishers are the same nodes.
        """
        state = self.state
        everything = (state.gate, state.clock, state.joints)
        return all(part is not None for part in everything) and state.images.keys() >= self._cameras

    def restart(self) -> None:
        """Measure rates from now on."""
        self.state.counts.clear()
        self._began = time.monotonic()

    def rates(self) -> dict[str, float]:
        """Messages a second by topic, since `restart`."""
        seconds = max(time.monotonic() - self._began, 1e-3)
        return {topic: count / seconds for topic, count in sorted(self.state.counts.items())}

    def _on_clock(self, message: Clock) -> None:
        self.state.counts["/clock"] += 1
        self.state.clock = messages.from_time(message.clock) * 1e-9

    def _on_end(self, _: msg.TaskEnd) -> None:
        self.state.ends += 1

    def _keep(self, name: str, topic: str):
        def keep(message: Any) -> None:
            self.state.counts[topic] += 1
            setattr(self.state, name, message)

        return keep

    def _keep_image(self, name: str, topic: str):
        def keep(message: Image) -> None:
            self.state.counts[topic] += 1
            try:
                self.state.images[name] = np.ascontiguousarray(messages.image_from_msg(message))
            except VgpsError as error:
                self._problems.add(str(error))

        return keep
