"""How a node's process ends, whatever the middleware does, and that no node is in a domain twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vgps_node.domain import own_domain

NODE = """
import ctypes, sys
from rclpy.node import Node
from vgps_node import runtime

class Quiet(Node):
    def __init__(self, context):
        super().__init__("quiet", context=context)
        {begin}
    def destroy_node(self):
        {end}
        super().destroy_node()

runtime.run(Quiet)
"""
HANG = "ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock, as the middleware does when it hangs"


@pytest.fixture
def domain() -> Iterator[int]:
    with own_domain() as domain:
        yield domain


def start(domain: int, *, begin: str = "pass", end: str = "pass", parent: int | None = None) -> subprocess.Popen[str]:
    """A process that runs a node; returns when it is ready."""
    read, write = os.pipe()
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "VGPS_READY_FD": str(write)}
    if parent is not None:
        environment["VGPS_PARENT_PID"] = str(parent)
    process = subprocess.Popen(
        [sys.executable, "-c", NODE.format(begin=begin, end=end)],
        env=environment, pass_fds=(write,), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    os.read(read, 1)  # one byte when it is ready, none when it has ended
    os.close(read)
    return process


def test_a_node_that_is_told_to_stop_ends_with_0(domain: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with start(domain) as process:
            process.send_signal(number)
            assert process.wait(20) == 0


def test_a_node_that_hangs_with_the_interpreter_locked_is_ended_by_the_kernel(domain: int) -> None:
    with start(domain, end=HANG) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGALRM


def test_a_node_that_cannot_start_and_then_hangs_ends_too(domain: int) -> None:
    with start(domain, begin="runtime.end_within(0.5); " + HANG) as process:
        assert process.wait(20) == -signal.SIGALRM


def test_a_node_ends_with_the_process_that_started_it_even_if_it_hangs_then(domain: int) -> None:
    """As when `ros2 launch` alone is killed; the node is its child, and a grandchild of this process."""
    read, write = os.pipe()
    middle = (
        "import os, subprocess, sys, time\n"
        "environment = os.environ | {'VGPS_PARENT_PID': str(os.getpid())}\n"
        f"code = {NODE.format(begin='pass', end=HANG)!r}\n"
        f"child = subprocess.Popen([sys.executable, '-c', code], env=environment, pass_fds=({write},))\n"
        "print(child.pid, flush=True); time.sleep(1000)\n"
    )
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "VGPS_READY_FD": str(write)}
    launch = subprocess.Popen(
        [sys.executable, "-c", middle], env=environment, pass_fds=(write,), stdout=subprocess.PIPE, text=True
    )
    assert launch.stdout is not None
    pid = int(launch.stdout.readline())
    assert os.read(read, 1) == b"1" and _alive(pid)
    launch.kill()
    launch.communicate()
    deadline = time.monotonic() + 60
    while _alive(pid):
        assert time.monotonic() < deadline, "the node outlives the process that started it"
        time.sleep(0.05)
    for end in (read, write):
        os.close(end)


def test_a_second_node_of_the_same_name_is_refused_with_the_process_that_is_there(domain: int) -> None:
    with start(domain) as first:
        with start(domain) as second:
            assert second.wait(20) == 2
            assert second.stderr is not None
            message = second.stderr.read()
        assert f"(process {first.pid}) runs /quiet in ROS domain {domain}" in message and "Traceback" not in message
        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 0
    with start(domain) as again:
        again.send_signal(signal.SIGINT)
        assert again.wait(20) == 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
