"""`vgps up sim`: Ctrl-C stops everything within five seconds and leaves no process; so does a killed parent."""

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
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found[int(folder.name)] = command
    return found


def alive(pid: int) -> bool:
    """Running; an orphan that nobody has waited for yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
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
def starting(checkpoints: Any, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, its nodes on their way up."""
    command = [sys.executable, "-m", "vgps_node.cli", "up", "sim", "--log", str(tmp_path / "log")]
    command += ["--policy", checkpoints.policy, "--critic", checkpoints.critic, "--progress", "none"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
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
def test_a_signal_stops_everything_within_five_seconds(up: subprocess.Popen[str], number: signal.Signals) -> None:
    nodes = family(up.pid)
    assert {name for name in NODES if any(name in command for command in nodes.values())} == NODES
    began = time.monotonic()
    up.send_signal(number)
    assert up.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert gone(nodes, 0.0)


def test_ctrl_c_while_the_nodes_are_still_loading(starting: subprocess.Popen[str]) -> None:
    nodes, began = family(starting.pid), time.monotonic()
    starting.send_signal(signal.SIGINT)
    assert starting.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert len(nodes) == len(NODES) and gone(nodes, 0.0)


def test_a_killed_parent_leaves_nothing_behind(up: subprocess.Popen[str]) -> None:
    nodes = family(up.pid)
    up.kill()
    assert len(nodes) == len(NODES) and gone(nodes, 5.0)


def test_a_node_that_dies_ends_it_with_the_reason(up: subprocess.Popen[str]) -> None:
    nodes = family(up.pid)
    os.kill(next(pid for pid, command in nodes.items() if "gate_node" in command), signal.SIGKILL)
    assert up.wait(timeout=10) == 1
    assert up.stderr is not None and "gate_node was ended by SIGKILL" in up.stderr.read()
    assert gone(nodes, 0.0)


def test_a_broken_checkpoint_is_named(checkpoints: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(Path(checkpoints.policy).read_bytes()[:-100])
    broken.with_suffix(".json").write_bytes(Path(checkpoints.policy).with_suffix(".json").read_bytes())
    command = [sys.executable, "-m", "vgps_node.cli", "up", "sim", "--log", str(tmp_path / "log")]
    command += ["--policy", str(broken), "--critic", checkpoints.critic]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "broken.safetensors: weights" in done.stderr and not (tmp_path / "log").exists()
