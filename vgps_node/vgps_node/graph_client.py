"""A short visit to a running graph: ask its services, listen for a while, and say what to do when there is none."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from vgps_models.errors import VgpsError
from vgps_node.domain import busy_domains, current_domain
from vgps_node.runtime import ros

Self = TypeVar("Self", bound="GraphClient")


class NoGraphError(VgpsError):
    """No graph answers, or it went away; the message says how to start one."""


def endings() -> list[signal.Signals]:
    """Signals that ask a command to end: Ctrl-C, SIGTERM, and a closed terminal unless nohup lets it be ignored."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if nohup else [signal.SIGHUP])]


def interruptible() -> None:
    """Let each of them raise KeyboardInterrupt; a background job of a shell inherits an ignored SIGINT."""
    for number in endings():
        signal.signal(number, signal.default_int_handler)


class GraphClient:
    """`with GraphClient("status_client") as client: client.call(EStop, topics.ESTOP, EStop.Request(engaged=True))`.

    domain: ROS domain; None for the one of the environment.
    """

    QUIET = 2.0  # [s] after which it is said that the graph is looked for
    AGAIN = 0.5  # [s] after which a request that may be repeated is sent again

    def __init__(self, name: str, domain: int | None = None) -> None:
        self._name, self._domain = name, current_domain() if domain is None else domain
        self._stack = ExitStack()

    def __enter__(self: Self) -> Self:
        context, self._executor = self._stack.enter_context(ros([], domain_id=self._domain))
        self.node = Node(self._name, context=context)
        self._stack.callback(self.node.destroy_node)
        self._executor.add_node(self.node)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def until(self, done: Callable[[], Any], within: float) -> bool:
        """Take messages until `done`; False when that did not happen within so many seconds."""
        deadline = time.monotonic() + within
        while not done():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def find(self, done: Callable[[], Any], within: float) -> None:
        """`until`, saying now and then that the graph is looked for. Raises NoGraphError when it was not found."""
        if self.until(done, min(self.QUIET, within)):
            return
        print(f"looking for a graph in ROS domain {self._domain}, {within:g} s at most", file=sys.stderr, flush=True)
        if not self.until(done, within - self.QUIET):
            raise self.no_graph()

    def call(self, kind: Any, service: str, request: Any, within: float = 10.0) -> Any:
        """The answer to a request that may be repeated: a server that has not found its client yet drops the answer.

        Raises NoGraphError when there is none in time.
        """
        client = self.node.create_client(kind, service)
        futures, asked = list[Future](), -self.AGAIN

        def answered() -> bool:
            nonlocal asked
            now = time.monotonic()
            if client.service_is_ready() and now - asked > self.AGAIN:
                asked = now
                futures.append(client.call_async(request))
            return any(future.done() for future in futures)

        self.find(answered, within)
        return next(future for future in futures if future.done()).result()

    def no_graph(self) -> NoGraphError:
        """What to say when no graph answers in this domain."""
        others = sorted(busy_domains() - {self._domain})
        hint = f". Graphs of this machine run in: {', '.join(map(str, others))}" if others else ""
        return NoGraphError(
            f"no graph answers in ROS domain {self._domain}; start one in another terminal with `vgps up sim`, under "
            f"the same ROS_DOMAIN_ID{hint}"
        )
