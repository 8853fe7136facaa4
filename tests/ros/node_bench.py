"""A node under test on a real graph, with a probe in the place of its neighbours."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter

from vgps_models.contract import Contract
from vgps_node import messages
from vgps_node.moments import ArmState, TaskState
from vgps_node.runtime import RELIABLE

CONTRACT = Contract.load()


class Bench:
    """A node under test and a probe that says and hears whatever the test wants."""

    def __init__(self, context: Any, executor: Any, make: Callable[[Any], Node]) -> None:
        self.executor, self.node, self.probe = executor, make(context), Node("probe", context=context)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self._writers: dict[str, Any] = {}
        for node in (self.node, self.probe):
            executor.add_node(node)

    def until(self, done: Callable[[], Any], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def listen(self, kind: type, topic: str) -> list[Any]:
        heard = self.heard[topic]
        self.probe.create_subscription(kind, topic, heard.append, RELIABLE)
        self.until(lambda: self.probe.count_publishers(topic))
        return heard

    def say(self, topic: str, message: Any) -> None:
        if topic not in self._writers:
            self._writers[topic] = self.probe.create_publisher(type(message), topic, RELIABLE)
            self.until(self._writers[topic].get_subscription_count)
        self._writers[topic].publish(message)

    def ask(self, kind: type, name: str, request: Any) -> Any:
        client = self.probe.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def set(self, **parameters: Any) -> str:
        """Set parameters of the node as `ros2 param set` does; the reason when they are refused."""
        values = [Parameter(name, value=value).to_parameter_msg() for name, value in parameters.items()]
        request = SetParameters.Request(parameters=values)
        answer = self.ask(SetParameters, f"{self.node.get_name()}/set_parameters", request)
        return "; ".join(result.reason for result in answer.results if not result.successful)

    def observe(self, task: TaskState, arm: ArmState) -> None:
        self.say(CONTRACT.task.topic, messages.task_state_to_msg(task))
        self.say(CONTRACT.state.topic, messages.arm_state_to_msg(arm, task.moment.stamp, CONTRACT))

    def close(self) -> None:
        for node in (self.node, self.probe):
            self.executor.remove_node(node)
            node.destroy_node()
