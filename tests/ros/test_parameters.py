"""Parameters as ROS users expect them: described, limited, read-only where a change would do nothing, 2 for 2.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from node_bench import Bench
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.srv import DescribeParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import Parameter

from vgps_models.errors import VgpsError
from vgps_models.limits import Between, OneOf
from vgps_node.domain import own_domain
from vgps_node.gate_node import GateNode
from vgps_node.params import ParameterSpec
from vgps_node.policy_node import PolicyNode
from vgps_node.progress_node import ProgressNode
from vgps_node.reward_node import RewardNode
from vgps_node.runtime import declare, ros
from vgps_node.sim_node import SimNode
from vgps_node.task_node import TaskNode
from vgps_node.value_node import ValueNode

NODES = [SimNode, PolicyNode, ValueNode, GateNode, TaskNode, ProgressNode, RewardNode]
SPECS = {
    "wait": ParameterSpec(2.0, "[s] to wait", Between(0.5, 9)),
    "count": ParameterSpec(3, "how many", Between(1)),
    "kind": ParameterSpec("round", "its shape", OneOf(("round", "square"))),
    "file": ParameterSpec("", "what to read at start"),
}


class Settable(Node):
    """A node with every kind of parameter; `applied` is what has been set since."""

    def __init__(self, context: Any) -> None:
        super().__init__("settable", context=context)
        self.applied: dict[str, Any] = {}
        self.given = declare(self, SPECS, self._apply, live=("wait", "count", "kind"))

    def _apply(self, values: dict[str, Any]) -> None:
        if values.get("count") == 13:
            raise VgpsError("thirteen is not served")
        self.applied |= values


@pytest.fixture
def start() -> Iterator[Callable[..., Bench]]:
    """Starts the node with arguments as the command line gives them."""
    benches: list[Bench] = []
    contexts = []

    def make(*arguments: str, node: Callable[[Any], Node] = Settable) -> Bench:
        args = [part for argument in arguments for part in ("-p", argument)]
        stack = ros(["--ros-args", *args], domain_id=domain)
        context, executor = stack.__enter__()
        contexts.append(stack)
        benches.append(Bench(context, executor, node))
        return benches[-1]

    with own_domain() as domain:
        yield make
        for bench in benches:
            bench.close()
        for stack in contexts:
            stack.__exit__(None, None, None)


def describe(bench: Bench, *names: str) -> dict[str, ParameterDescriptor]:
    node = bench.node.get_name()
    answer = bench.ask(DescribeParameters, f"{node}/describe_parameters", DescribeParameters.Request(names=list(names)))
    return {descriptor.name: descriptor for descriptor in answer.descriptors}


def test_a_whole_number_passes_for_a_float_at_start_and_later(start: Callable[..., Bench]) -> None:
    bench = start("wait:=3", "count:=5")
    assert bench.node.given == {"wait": 3.0, "count": 5, "kind": "round", "file": ""}  # type: ignore[attr-defined]
    assert type(bench.node.get_parameter("wait").value) is float
    assert bench.set(wait=4) == "" and bench.node.applied == {"wait": 4.0}  # type: ignore[attr-defined]
    assert type(bench.node.get_parameter("wait").value) is float


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("wait:=soon", "wait is 'soon'; it must be a number"),
        ("wait:=true", "wait is True"),
        ("wait:=99.0", "wait is 99.0; it must be from 0.5 to 9"),
        ("count:=2.5", "count is 2.5; it must be a whole number"),
        ("count:=0", "count is 0; it must be at least 1"),
        ("kind:=oval", "unknown kind 'oval'; choose one of: round, square"),
        ("file:=[1, 2]", "file is"),
    ],
)
def test_what_cannot_be_is_refused_at_start(start: Callable[..., Bench], argument: str, message: str) -> None:
    with pytest.raises(VgpsError) as refused:
        start(argument)
    assert str(refused.value).startswith(message)


def test_what_cannot_be_is_refused_later_and_changes_nothing(start: Callable[..., Bench]) -> None:
    bench = start()
    assert "out of range" in bench.set(wait=0) and "out of range" in bench.set(count=0)
    assert "square" in bench.set(kind="oval") and "type" in bench.set(count="many")
    assert "type" in bench.set(wait=True) and "thirteen" in bench.set(count=13)
    assert "read-only" in bench.set(file="other")
    assert not bench.node.applied  # type: ignore[attr-defined]
    assert [bench.node.get_parameter(name).value for name in SPECS] == [2.0, 3, "round", ""]


def test_descriptions_say_what_it_is_and_what_it_may_be(start: Callable[..., Bench]) -> None:
    found = describe(start(), *SPECS)
    assert {name: descriptor.description for name, descriptor in found.items()} == {
        name: spec.description for name, spec in SPECS.items()
    }
    (wait,) = found["wait"].floating_point_range
    (count,) = found["count"].integer_range
    assert (wait.from_value, wait.to_value) == (0.5, 9.0) and count.from_value == 1
    assert found["kind"].additional_constraints == "one of round, square"
    assert found["wait"].type == Parameter.Type.DOUBLE.value
    assert {name for name, descriptor in found.items() if descriptor.read_only} == {"file"}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_every_parameter_of_every_node_is_described(node: Any, start: Callable[..., Bench]) -> None:
    if node is RewardNode:  # needs a learned reward to start; its declaration does not
        specs = node.PARAMETERS
        assert all(spec.description for spec in specs.values())
        return
    bench = start(node=node)
    name = bench.node.get_name()
    listed = bench.ask(ListParameters, f"{name}/list_parameters", ListParameters.Request()).result.names
    own = set(node.PARAMETERS)
    assert own <= set(listed) <= own | {"use_sim_time", "start_type_description_service"}  # those are rclpy's
    missing = [name for name, descriptor in describe(bench, *own).items() if not descriptor.description]
    assert not missing, f"parameters without a description: {missing}"
