"""Ask a running graph for a task: the client's side of RunTask."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.action import ActionClient
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from vgps_models.errors import VgpsError
from vgps_msgs.action import RunTask
from vgps_node import topics
from vgps_node.bringup import TASK
from vgps_node.graph_client import GraphClient, NoGraphError, endings


class TaskClient(GraphClient):
    """`with TaskClient() as client: client.run(goal)`.

    domain: ROS domain; None for the one of the environment.
    """

    LATE = 1.0  # [s] after the result in which the last estimate may still come
    GONE = 2.0  # [s] without the action's server after which the graph is gone

    def __init__(self, domain: int | None = None) -> None:
        super().__init__("task_client", domain)
        self._interrupted = False

    def __enter__(self) -> TaskClient:
        super().__enter__()
        self._action = ActionClient(self.node, RunTask, topics.RUN_TASK)
        self._stack.callback(self._action.destroy)
        # Made after the action's own client: a server that answers these has found that one too, so nothing gets lost.
        self._parameters = AsyncParameterClient(self.node, TASK)
        return self

    def connect(self, timeout: float = 10.0) -> float:
        """Find the graph; the time limit of goals that name none [s]. Raises NoGraphError."""
        futures, asked = list[Future](), -math.inf

        def answered() -> bool:
            nonlocal asked
            now = time.monotonic()
            there = self._action.server_is_ready() and self._parameters.services_are_ready()
            if there and now - asked > self.AGAIN:
                asked = now
                futures.append(self._parameters.get_parameters(["time_limit"]))
            return any(future.done() for future in futures)

        self.find(answered, timeout)
        answer: Any = next(future for future in futures if future.done()).result()
        return answer.values[0].double_value

    def run(self, goal: RunTask.Goal, feedback: Callable[[RunTask.Feedback], None] = lambda _: None) -> RunTask.Result:
        """Until it has ended. Ctrl-C cancels it; a second one leaves without waiting for its end.

        feedback: called with the graph's feedback. Raises NoGraphError when the graph goes away.
        """
        progress = math.nan

        def take(message: Any) -> None:
            nonlocal progress
            progress = message.feedback.progress
            feedback(message.feedback)

        with self._noting_interrupts():
            handle = self._until(self._action.send_goal_async(goal, feedback_callback=take))
            if not handle.accepted:
                raise VgpsError(f"{TASK} rejected the goal without saying why; its log may")
            result = self._until(handle.get_result_async(), on_interrupt=handle.cancel_goal_async).result
            # The last estimate was published before the result, on a topic of its own, and may arrive after it.
            self.until(lambda: math.isnan(result.progress) or progress == result.progress, self.LATE)
            return result

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._interrupted

    @contextmanager
    def _noting_interrupts(self) -> Iterator[None]:
        """A first Ctrl-C, SIGTERM or SIGHUP is only noted: an exception could come between any two lines, and leave a
        goal that is never cancelled."""

        def note(*_: object) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread hears signals
            return
        before = {number: signal.signal(number, note) for number in endings()}
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
