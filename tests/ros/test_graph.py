"""The whole graph, each node a process of its own: parity with one process, a dead node, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vgps_node.bringup import GraphOptions
from vgps_node.conditions import Steered
from vgps_sim.episode import WorldSource
from vgps_sim.results import Job
from vgps_sim.tasks import TASKS

MAX_STEPS = 6  # enough for three decisions; what matters is that they are the same


def jobs(checkpoints, count: int) -> list[Job]:
    side = Steered(checkpoints.policy, checkpoints.critic, 10, "argmax").condition("guided")
    tasks = list(TASKS)
    return [Job(side, tasks[i % 4], 500_000 + i, execute=2, max_steps=MAX_STEPS) for i in range(count)]


@pytest.fixture(scope="module")
def session(checkpoints, tmp_path_factory):
    from vgps_node.session import RosSession

    options = GraphOptions(policy=checkpoints.policy, critic=checkpoints.critic, max_steps=MAX_STEPS)
    with RosSession(options, tmp_path_factory.mktemp("log")) as session:
        yield session


def test_twenty_seeds_over_ros_in_lockstep_act_as_in_one_process(session, checkpoints):
    here = WorldSource()
    for job in jobs(checkpoints, 20):
        over_ros, in_process = session.play(job), here.play(job)
        assert over_ros.steps == in_process.steps and over_ros.success == in_process.success
        np.testing.assert_allclose(over_ros.actions, in_process.actions, rtol=0, atol=1e-5)
        chosen = [[r.chosen for r in result.records] for result in (over_ros, in_process)]
        assert chosen[0] == chosen[1]
    here.close()


def test_choosing_takes_milliseconds_when_the_image_came_first(session, checkpoints):
    records = [r for job in jobs(checkpoints, 4) for r in session.play(job).records]
    assert all(record.ms["value"] >= 0 and record.ms["loop"] > 0 for record in records)


def test_settings_are_refused_by_name(session, checkpoints):
    from vgps_models.errors import VgpsError

    side = Steered(checkpoints.policy, str(Path(checkpoints.critic).with_name("none.safetensors")), 10, "argmax")
    condition = type(jobs(checkpoints, 1)[0].condition)("guided", side, side.__dict__)
    with pytest.raises(VgpsError, match="value_node refused"):
        session.play(Job(condition, next(iter(TASKS)), 500_100, execute=2, max_steps=MAX_STEPS))


def test_a_dead_node_ends_the_evaluation_with_its_name(checkpoints, tmp_path):
    from vgps_node.session import RosSession
    from vgps_node.supervisor import NodeDiedError

    options = GraphOptions(policy=checkpoints.policy, critic=checkpoints.critic, max_steps=MAX_STEPS)
    with RosSession(options, tmp_path) as session:
        (job, *_) = jobs(checkpoints, 1)
        session.play(job)
        pids = dict(session.supervisor.pids)
        os.kill(pids["value_node"], signal.SIGKILL)
        with pytest.raises(NodeDiedError, match="value_node was ended by SIGKILL"):
            for _ in range(50):
                session.play(job)
    assert not [name for name, pid in pids.items() if _alive(pid)]


def test_ctrl_c_stops_everything_within_five_seconds(checkpoints, tmp_path):
    command = [
        sys.executable, "-m", "vgps_node.cli", "up", "sim", "--policy", checkpoints.policy,
        "--critic", checkpoints.critic,
    ]  # fmt: skip
    graph = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        children = _wait_for(lambda: _children(graph.pid, 4), 60.0)
        assert graph.stdout is not None
        began = time.monotonic()
        graph.send_signal(signal.SIGINT)
        graph.wait(timeout=5.0)
        assert time.monotonic() - began < 5.0
        assert not [pid for pid in children if _alive(pid)]
    finally:
        graph.kill()


def _children(parent: int, count: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found if len(found) >= count else []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(found, timeout: float):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("did not happen in time")
