"""Ask a running graph for a task: the client's side of RunTask."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from vgps_models.errors import VgpsError
from vgps_msgs.action import RunTask
from vgps_node import topics
from vgps_node.bringup import TASK
from vgps_node.runtime import ros


class NoGraphError(VgpsError):
    """No graph answers, or it went away; the message says how to start one."""


class TaskClient:
    """`with TaskClient() as client: client.run(goal)`.

    domain: ROS domain; None for the one of the environment.
    """

    ANSWER = 2.0  # [s] after which a request that may be repeated is
    LATE = 1.0  # [s] after the result in which the last estimate may still come
    GONE = 2.0  # [s] without the action's server after which the graph is gone

    def __init__(self, domain: int | None = None) -> None:
        self._domain = domain
        self._stack = ExitStack()
        self._interrupted = False

    def __enter__(self) -> TaskClient:
        context, self._executor = self._stack.enter_context(ros([], domain_id=self._domain))
        self._node = Node("task_client", context=context)
        self._stack.callback(self._node.destroy_node)
        self._executor.add_node(self._node)
        self._action = ActionClient(self._node, RunTask, topics.RUN_TASK)
        self._stack.callback(self._action.destroy)
        # Made after the action's own client: a server that answers these has found that one too, so nothing gets lost.
        self._parameters = AsyncParameterClient(self._node, TASK)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connect(self, timeout: float = 10.0) -> float:
        """Find the graph; the time limit of goals that name none [s]. Raises NoGraphError."""
        deadline, asked, futures = time.monotonic() + timeout, -math.inf, list[Future]()
        while not any(future.done() for future in futures):
            now = time.monotonic()
            if now > deadline:
                domain = self._domain if self._domain is not None else os.environ.get("ROS_DOMAIN_ID", "0")
                raise NoGraphError(
                    f"no graph answers in ROS domain {domain}; start one in another terminal with `vgps up sim`, under "
                    "the same ROS_DOMAIN_ID"
                )
            there = self._action.server_is_ready() and self._parameters.services_are_ready()
            if there and now - asked > self.ANSWER:
                asked = now
                futures.append(self._parameters.get_parameters(["time_limit"]))
            self._executor.spin_once(timeout_sec=0.05)
        answer: Any = next(future for future in futures if future.done()).result()
        return answer.values[0].double_value

    def run(self, goal: RunTask.Goal, feedback: Callable[[RunTask.Feedback], None] = lambda _: None) -> RunTask.Result:
        """Until it has ended. Ctrl-C cancels it; a second one leaves without waiting for its end.

        feedback: called with what the graph tells meanwhile. Raises NoGraphError when the graph goes away.
        """
        told = math.nan

        def hear(message: Any) -> None:
            nonlocal told
            told = message.feedback.progress
            feedback(message.feedback)

        with self._hearing_interrupts():
            handle = self._until(self._action.send_goal_async(goal, feedback_callback=hear))
            if not handle.accepted:
                raise VgpsError(f"{TASK} rejected the goal without saying why; its log may")
            result = self._until(handle.get_result_async(), on_interrupt=handle.cancel_goal_async).result
            # The last estimate was told before the result, on a topic of its own, and may be heard after it.
            deadline = time.monotonic() + self.LATE
            while not (math.isnan(result.progress) or told == result.progress) and time.monotonic() < deadline:
                self._executor.spin_once(timeout_sec=0.05)
            return result

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._interrupted

    @contextmanager
    def _hearing_interrupts(self) -> Iterator[None]:
        """A first Ctrl-C or SIGTERM is only noted: an exception could come between any two lines, and leave a goal that
        nobody cancels."""

        def note(*_: object) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread hears signals
            return
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _until(self, future: Future, on_interrupt: Callable[[], Any] = lambda: None) -> Any:
        seen, told = time.monotonic(), False
        while not future.done():
            self._executor.spin_once(timeout_sec=0.1)
            if self._interrupted and not told:
                told = True
                on_interrupt()
            now = time.monotonic()
            if self._action.server_is_ready():
                seen = now
            elif now - seen > self.GONE:
                raise NoGraphError(
                    "the graph went away while the task ran: it was stopped, or a node died; the terminal of `vgps up` "
                    "says which, and its log folder says why"
                )
        return future.result()
