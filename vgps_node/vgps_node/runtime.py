"""How every node starts, spins and stops: one process, one context, one thread.

Callbacks run one after another in a single thread: nothing needs a lock, and
a node owns its core while it computes. A node ends with exit code 0 on SIGINT,
on SIGTERM, and when the process that started it dies. If the middleware hangs
while it closes, the kernel ends the process after `CLOSING` seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from vgps_models.errors import VgpsError
from vgps_models.limits import Between
from vgps_node.children import die_with_parent, end_within, leave, tell_ready
from vgps_node.domain import claim_node
from vgps_node.params import ParameterSpec

# Nothing on the way of an action may be lost, and a late joiner needs no old ones.
RELIABLE = QoSProfile(depth=16, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


CLOSING = 2.0  # [s] that a node may take to close
STEADY_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)


RELIABLE_IMAGES = ParameterSpec(
    True, "whether lost images are sent again: true where the world waits for an answer to each, false in real time"
)


def image_qos(reliable: bool) -> QoSProfile:
    """How images are received.

    A world in lockstep waits for an answer to every image, so there none may be lost; against a wall clock
    an old image is worth nothing, so there it is neither sent again nor kept.
    """
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=4 if reliable else 1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)


def declare(
    node: Node,
    specs: Mapping[str, ParameterSpec],
    apply: Callable[[dict[str, Any]], None] | None = None,
    *,
    live: Iterable[str] = (),
) -> dict[str, Any]:
    """Declare parameters with description, range and choices; returns the values they have been given.

    live: those that may change while the node runs; the others are read-only. apply: called with the live ones that are
    to be set, before they are; a VgpsError from it refuses all of them, with its message. A whole number passes for a
    float. Raises VgpsError for a value of another type or outside its range.
    """
    live, given = frozenset(live), {}
    for name, spec in specs.items():
        loose = ParameterDescriptor(dynamic_typing=True)  # so that -p period:=2 gets as far as our own check
        given[name] = value = spec.check(name, node.declare_parameter(name, spec.default, loose).value)
        node.set_parameters([Parameter(name, value=value)])
        node.set_descriptor(name, _descriptor(spec, read_only=name not in live))

    floats = {name for name, spec in specs.items() if isinstance(spec.default, float)}

    def as_declared(parameters: list[Parameter]) -> list[Parameter]:
        return [Parameter(p.name, value=float(p.value)) if p.name in floats and type(p.value) is int else p
                for p in parameters]  # fmt: skip

    def check(parameters: list[Parameter]) -> SetParametersResult:
        try:
            values: dict[str, Any] = {
                p.name: specs[p.name].check(p.name, p.value) for p in parameters if p.name in specs
            }
            if apply is not None and values:
                apply(values)
        except VgpsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    if convert := getattr(node, "add_pre_set_parameters_callback", None):  # from Iron on
        convert(as_declared)
    node.add_on_set_parameters_callback(check)
    return given


def _descriptor(spec: ParameterSpec, *, read_only: bool) -> ParameterDescriptor:
    value, limit = spec.default, spec.limit
    descriptor = ParameterDescriptor(
        type=Parameter.Type.from_parameter_value(value).value, description=spec.description, read_only=read_only
    )
    if spec.choices:
        descriptor.additional_constraints = str(limit)
    elif isinstance(limit, Between) and isinstance(value, int):
        high = min(limit.high, 2**63 - 1)
        descriptor.integer_range = [IntegerRange(from_value=int(limit.low), to_value=int(high))]
    elif isinstance(limit, Between):
        high = min(float(limit.high), sys.float_info.max)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(limit.low), to_value=high)]
    return descriptor


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


def _warn_of_namesakes(node: Node) -> None:
    """Log now and then while another node of the same name is in the domain, which another machine may run."""
    name = node.get_name(), node.get_namespace()

    def look() -> None:
        if node.get_node_names_and_namespaces().count(name) > 1:
            node.get_logger().warning(
                f"another node {node.get_fully_qualified_name()} is in this ROS domain: both graphs receive each "
                "other's messages. Stop one of them or change its ROS_DOMAIN_ID",
                throttle_duration_sec=10.0,
            )

    node.create_timer(2.0, look, clock=STEADY_CLOCK)


def _spin(make_node: Callable[[Context], Node]) -> int:
    """Returns the exit code of the process."""
    try:
        with ros(signals=True) as (context, executor):
            try:
                node = make_node(context)
            except BaseException:
                end_within(CLOSING)
                raise
            try:
                claim_node(context.get_domain_id(), node.get_fully_qualified_name())
                _warn_of_namesakes(node)
                executor.add_node(node)
                tell_ready()
                executor.spin()
            finally:
                end_within(CLOSING)
                with suppress(KeyboardInterrupt):  # a second Ctrl-C must not turn a clean stop into a trace
                    executor.remove_node(node)
                    node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except VgpsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0
