"""A Python policy on the graph in the place of policy_node, by the files of docs/how-to/own-policy.md as they stand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.node import Node

sys.path.insert(0, str(Path(__file__).parents[1]))
from doc_blocks import HOW_TO, files

from vgps_msgs.msg import GateStatus
from vgps_node import topics
from vgps_node.domain import own_domain
from vgps_node.runtime import LATCHED, ros

CLI = [sys.executable, "-m", "vgps_node.cli"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    for name, text in files(HOW_TO / "own-policy.md").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with own_domain() as domain:
        yield os.environ | {"ROS_DOMAIN_ID": str(domain)}


def gate_status(domain: int) -> GateStatus:
    """What the gate said last."""
    heard: list[GateStatus] = []
    with ros([], domain_id=domain) as (context, executor):
        node = Node("reader", context=context)
        node.create_subscription(GateStatus, topics.GATE_STATUS, heard.append, LATCHED)
        executor.add_node(node)
        deadline = time.monotonic() + 20
        while not heard and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        executor.remove_node(node)
        node.destroy_node()
    return heard[-1]


def test_a_policy_of_the_users_own_moves_the_arm_over_ros(tmp_path: Path, environment: dict[str, str]) -> None:
    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *words], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120
        )

    graph = subprocess.Popen(
        [sys.executable, "my_graph.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    try:
        assert graph.stdout is not None
        assert graph.stdout.readline() == "the graph is up\n", graph.stderr and graph.stderr.read()
        done = ask("run", "--task", "put_carrot_on_plate", "--seed", "7", "--time-limit", "2", "--json", "run.json")
        assert done.returncode == 1, done.stderr
        found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
        assert found["outcome"] == "timed_out" and found["steps"] == 10
        status = gate_status(int(environment["ROS_DOMAIN_ID"]))
        assert status.accepted >= 5 and status.rejected == 0
    finally:
        graph.send_signal(signal.SIGTERM)
        _, said = graph.communicate(timeout=30)
    assert graph.returncode == 0, said
