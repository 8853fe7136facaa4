"""`vgps up sim`: Ctrl-C and a killed parent leave no process; who may die alone; one graph a domain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NODES = {"sim_node", "policy_node", "value_node", "gate_node", "task_node"}


def family(parent: int) -> dict[int, str]:
    """Living children of a process, with their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found[int(folder.name)] = command
    return found


def alive(pid: int) -> bool:
    """Running; an orphan that nobody has waited for yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: dict[int, str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def command(checkpoints: Any, tmp_path: Path) -> list[str]:
    words = [sys.executable, "-m", "vgps_node.cli", "up", "sim", "--log", str(tmp_path / "log")]
    return [*words, "--policy", checkpoints.policy, "--critic", checkpoints.critic, "--progress", "none"]


@pytest.fixture
def starting(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command, its nodes on their way up."""
    yield from started(command)


def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    wait_for(process, "starting")
    yield process
    if process.poll() is None:
        process.kill()
    process.stderr.close()
    process.wait()


@pytest.fixture
def up(starting: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The command, its graph up."""
    wait_for(starting, "Ctrl-C")
    return starting


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    heard = []
    assert process.stderr is not None
    for line in process.stderr:
        heard.append(line)
        if word in line:
            return
    pytest.fail("".join(heard))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(up: subprocess.Popen[str], number: signal.Signals) -> None:
    nodes = family(up.pid)
    assert {name for name in NODES if any(name in command for command in nodes.values())} == NODES
    up.send_signal(number)
    assert up.wait(timeout=60) == 0
    assert gone(nodes, 0.0)


def test_ctrl_c_while_the_nodes_are_still_loading(starting: subprocess.Popen[str]) -> None:
    nodes = family(starting.pid)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(timeout=60) == 0
    assert len(nodes) == len(NODES) and gone(nodes, 0.0)


def test_a_killed_parent_leaves_nothing_behind(up: subprocess.Popen[str]) -> None:
    nodes = family(up.pid)
    up.kill()
    assert len(nodes) == len(NODES) and gone(nodes, 60.0)


def test_a_node_that_dies_ends_it_with_the_reason(up: subprocess.Popen[str]) -> None:
    nodes = family(up.pid)
    os.kill(next(pid for pid, command in nodes.items() if "gate_node" in command), signal.SIGKILL)
    assert up.wait(timeout=60) == 1
    assert up.stderr is not None and "gate_node was ended by SIGKILL" in up.stderr.read()
    assert gone(nodes, 0.0)


def test_a_second_graph_in_the_domain_is_refused_with_the_process_that_is_there(
    up: subprocess.Popen[str], command: list[str]
) -> None:
    second = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", timeout=100)
    assert second.returncode == 1 and "Traceback" not in second.stderr
    assert any(str(pid) in second.stderr for pid in family(up.pid)) and "ROS_DOMAIN_ID" in second.stderr
    assert up.poll() is None


def test_the_death_of_progress_node_stops_nothing_else(command: list[str]) -> None:
    for up in started([*command[:-1], "learned"]):
        wait_for(up, "Ctrl-C")
        nodes = family(up.pid)
        progress = next(pid for pid, line in nodes.items() if "progress_node" in line)
        os.kill(progress, signal.SIGKILL)
        wait_for(up, "the graph goes on without progress_node")
        assert up.poll() is None and all(alive(pid) for pid in nodes if pid != progress)
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=60) == 0 and gone(nodes, 0.0)


def test_a_broken_checkpoint_is_named(checkpoints: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(Path(checkpoints.policy).read_bytes()[:-100])
    broken.with_suffix(".json").write_bytes(Path(checkpoints.policy).with_suffix(".json").read_bytes())
    command = [sys.executable, "-m", "vgps_node.cli", "up", "sim", "--log", str(tmp_path / "log")]
    command += ["--policy", str(broken), "--critic", checkpoints.critic]
    done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", timeout=100)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "broken.safetensors: weights" in done.stderr and not (tmp_path / "log").exists()
