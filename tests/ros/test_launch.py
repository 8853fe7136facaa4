"""sim.launch.py: the graph of `vgps up sim`, started by `ros2 launch` where it is installed, otherwise by a reader."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launch_reader import read

from vgps_msgs.action import RunTask
from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions, served_graph
from vgps_node.describe_graph import graph_specs, main
from vgps_node.domain import own_domain
from vgps_node.task_client import TaskClient

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch" / "sim.launch.py"
ROS2 = Path(sys.prefix) / "bin" / "ros2"
INSTALLED = ROS2.is_file() and importlib.util.find_spec("launch_ros") is not None
LAUNCHERS = [
    pytest.param("reader", marks=pytest.mark.skipif(INSTALLED, reason="ros2 launch is installed and is tried instead")),
    pytest.param("ros2", marks=pytest.mark.skipif(not INSTALLED, reason="ros2 launch is not installed")),
]
Start = Callable[..., subprocess.Popen[bytes]]


def test_every_argument_is_described_and_lists_its_choices() -> None:
    arguments, _ = read(FILE)
    found = {argument.name: argument for argument in arguments}
    assert found.keys() == graph_specs().keys() and len(found) > 30
    assert not [name for name, argument in found.items() if not argument.description]
    assert found["clock"].choices == ["lockstep", "latency", "realtime"]
    assert found["progress.estimator"].choices == ["none", "learned", "gvl", "learned+gvl"]
    assert "from 1 to 1000" in found["k"].description and found["k"].default_value == "10"


def test_the_nodes_are_those_of_vgps_up() -> None:
    _, nodes = read(FILE)
    assert {node.name: node.parameters[0] for node in nodes} == {
        spec.name: dict(spec.parameters) for spec in served_graph()
    }
    assert all(node.executable == node.name and node.package == "vgps" for node in nodes)
    needed = {node.name for node in nodes if node.on_exit}
    assert needed == {spec.name for spec in served_graph() if not spec.advisory} and "progress_node" not in needed


def test_arguments_reach_the_nodes_in_their_types() -> None:
    given = {"clock": "realtime", "k": "3", "beta": "2", "rule": "softmax", "progress.estimator": "none"}
    _, nodes = read(FILE, given)
    parameters = {node.name: node.parameters[0] for node in nodes}
    assert "progress_node" not in parameters
    assert parameters["policy_node"]["k"] == 3 and parameters["sim_node"]["clock"] == "realtime"
    beta = parameters["value_node"]["beta"]
    assert beta == 2.0 and type(beta) is float


def test_the_launch_file_changes_no_environment_but_that_of_its_nodes() -> None:
    before = dict(os.environ)
    _, nodes = read(FILE)
    assert dict(os.environ) == before
    assert all(node.additional_env["VGPS_PARENT_PID"] == str(os.getpid()) for node in nodes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["k:=0"], "k is 0; it must be from 1 to 1000"),
        (["clok:=realtime"], "unknown launch argument 'clok'"),
        (["clock:=latency", "latency:=soon"], "latency is 'soon'; it must be a number"),
        (["policy:=nothing_of_that_name"], "unknown checkpoint 'nothing_of_that_name'"),
        (["progress.estimator:=gvl"], "which vision-language model"),
    ],
)
def test_what_cannot_start_is_refused_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_an_unknown_graph_gets_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot"]) == 2 and "choose one of: sim" in capsys.readouterr().err
    assert main(["sim", "--arguments"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(graph_specs())


def test_progress_settings_are_among_the_arguments() -> None:
    assert graph_specs()["progress.every"].default == ProgressOptions().every
    assert graph_specs()["rule"].default == GraphOptions().selection.rule


# Started


@pytest.fixture
def start(checkpoints: Any, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def launch(how: str, domain: int, *words: str) -> subprocess.Popen[bytes]:
        words = (f"policy:={checkpoints.policy}", f"critic:={checkpoints.critic}", *words)
        command = (
            [ROS2, "launch", FILE]
            if how == "ros2"
            else [sys.executable, Path(__file__).parent / "launch_reader.py", FILE]
        )
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(tmp_path)}
        environment["AMENT_PREFIX_PATH"] = sys.prefix
        with (tmp_path / "output.txt").open("wb") as log:
            process = subprocess.Popen([*map(str, command), *words], env=environment, stdout=log, stderr=log)
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def family(parent: int) -> dict[int, str]:
    """Living descendants of a process, with their command lines."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and alive(int(folder.name)):
            try:
                above = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if above == parent:
                found |= {int(folder.name): command} | family(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(done: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def run_briefly(client: TaskClient) -> bool:
    """Whether the graph carries out a task of two control steps, which is too short to succeed."""
    result = client.run(RunTask.Goal(task="put_spoon_on_towel", seed=3, time_limit=0.4))
    return result.outcome == "timed_out" and result.steps == 2


@pytest.mark.parametrize("how", LAUNCHERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_launched_graph_takes_tasks_and_ends_with_its_launch(
    how: str, number: signal.Signals, start: Start, tmp_path: Path
) -> None:
    """The signal goes to the launch process alone, as from a process manager; the nodes must notice."""
    with own_domain() as domain:
        process = start(how, domain, "max_steps:=2", "progress.estimator:=none")
        with TaskClient(domain) as client:
            try:
                client.connect(90.0)
            except Exception:
                pytest.fail((tmp_path / "output.txt").read_text())
            nodes = family(process.pid)
            for name in ("sim_node", "policy_node", "value_node", "gate_node", "task_node"):
                assert any(f"lib/vgps/{name} " in command for command in nodes.values()), name
            if number is signal.SIGINT:
                assert run_briefly(client)
        process.send_signal(number)
        process.wait(60)
        until(lambda: not any(alive(pid) for pid in nodes))


@pytest.mark.parametrize("how", LAUNCHERS)
def test_the_death_of_a_needed_node_stops_the_launch(how: str, start: Start, tmp_path: Path) -> None:
    with own_domain() as domain, TaskClient(domain) as client:
        process = start(how, domain, "max_steps:=2")
        client.connect(90.0)
        nodes = family(process.pid)
        advisory, needed = (
            next(pid for pid, command in nodes.items() if f"lib/vgps/{name} " in command)
            for name in ("progress_node", "gate_node")
        )
        os.kill(advisory, signal.SIGKILL)
        until(lambda: not alive(advisory))
        assert run_briefly(client) and process.poll() is None and alive(needed)
        os.kill(needed, signal.SIGKILL)
        process.wait(60)
        until(lambda: not any(alive(pid) for pid in nodes))
