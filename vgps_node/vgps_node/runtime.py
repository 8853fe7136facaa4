"""How every node starts, spins and stops: one process, one context, one thread.

Callbacks run one after another in a single thread: nothing needs a lock, and
a node owns its core while it computes. A node ends with exit code 0 on SIGINT,
on SIGTERM, and when the process that started it dies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from vgps_models.errors import VgpsError
from vgps_node.children import die_with_parent, leave, tell_ready

# Nothing on the way of an action may be lost, and a late joiner needs no old ones.
RELIABLE = QoSProfile(depth=16, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


STEADY_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)


def image_qos(reliable: bool) -> QoSProfile:
    """How images are received.

    A world in lockstep waits for an answer to every image, so there none may be lost; against a wall clock
    an old image is worth nothing, so there it is neither sent again nor kept.
    """
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=4 if reliable else 1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)


def declare(node: Node, **defaults: bool | int | float | str) -> dict[str, Any]:
    """Declare parameters, each of its default's type; returns the values they have been given."""
    return {name: node.declare_parameter(name, value).value for name, value in defaults.items()}


def on_parameters(node: Node, apply: Callable[[dict[str, Any]], None]) -> None:
    """Call `apply` with whatever is to be set; a VgpsError from it refuses all of it, with its message."""

    def callback(parameters: list[Parameter]) -> SetParametersResult:
        try:
            apply({p.name: p.value for p in parameters})
        except VgpsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(callback)


@contextmanager
def ros(
    args: Sequence[str] | None = None, *, domain_id: int | None = None, signals: bool = False
) -> Iterator[tuple[Context, SingleThreadedExecutor]]:
    """A context of its own and an executor on it; both are shut down at the end.

    Nodes must be destroyed inside, before the executor goes. signals: let SIGINT and SIGTERM end a spin.
    """
    context = Context()
    handlers = SignalHandlerOptions.ALL if signals else SignalHandlerOptions.NO
    rclpy.init(
        args=list(args) if args is not None else None,
        context=context,
        domain_id=domain_id,
        signal_handler_options=handlers,
    )
    executor = SingleThreadedExecutor(context=context)
    try:
        yield context, executor
    finally:
        executor.shutdown(timeout_sec=1.0)
        rclpy.try_shutdown(context=context)


def run(make_node: Callable[[Context], Node]) -> NoReturn:
    """Be a process that runs one node until it is told to stop."""
    die_with_parent()
    leave(_spin(make_node))


def _spin(make_node: Callable[[Context], Node]) -> int:
    """Returns the exit code of the process."""
    try:
        with ros(signals=True) as (context, executor):
            node = make_node(context)
            try:
                executor.add_node(node)
                tell_ready()
                executor.spin()
            finally:
                with suppress(KeyboardInterrupt):  # a second Ctrl-C must not turn a clean stop into a trace
                    executor.remove_node(node)
                    node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except VgpsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0
