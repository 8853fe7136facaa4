"""Tasks over the real graph with the shipped models: asked for, watched, cancelled, refused, ended by a dead node."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from rclpy.action import ActionClient
from rclpy.node import Node

from vgps_models.contract import Contract
from vgps_models.progress.measures import Curve
from vgps_msgs import msg, srv
from vgps_msgs.action import RunTask
from vgps_node import bringup, messages, topics
from vgps_node.bringup import POLICY, TASK, served_graph
from vgps_node.cli import main
from vgps_node.domain import own_domain
from vgps_node.gate import Reason
from vgps_node.moments import Moment, Progress, TaskState
from vgps_node.runtime import LATCHED, RELIABLE, ros
from vgps_node.supervisor import Supervisor
from vgps_node.task_client import NoGraphError, TaskClient
from vgps_node.task_node import TaskNode

SPOON, SEED = "put the spoon on the towel", 500_000  # a seed that guided control solves
PATIENCE = 6.0  # [s] longer than the gate's own patience in lockstep, so a dead node is not taken for a slow one


@dataclass
class Graph:
    """A graph in a domain of its own, and somebody who listens to everything that is said about tasks."""

    domain: int
    supervisor: Supervisor
    node: Node
    executor: Any
    action: ActionClient
    begun: list[msg.TaskBegin]
    ended: list[msg.TaskEnd]
    sent: list[msg.SentAction]
    states: list[msg.TaskState]

    def until(self, done: Callable[[], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def ask(self, feedback: list[RunTask.Feedback] | None = None, **goal: Any) -> Any:
        """The handle of an accepted goal."""
        heard = [] if feedback is None else feedback
        future = self.action.send_goal_async(
            RunTask.Goal(**goal), feedback_callback=lambda message: heard.append(message.feedback)
        )
        self.until(future.done)
        handle = future.result()
        assert handle is not None and handle.accepted
        return handle

    def result(self, handle: Any) -> RunTask.Result:
        future = handle.get_result_async()
        self.until(future.done)
        return future.result().result

    def run(self, feedback: list[RunTask.Feedback] | None = None, **goal: Any) -> RunTask.Result:
        return self.result(self.ask(feedback, **goal))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    specs = [
        replace(spec, parameters={**spec.parameters, "patience": PATIENCE}) if spec.name == TASK else spec
        for spec in served_graph()
    ]
    commands = {spec.name: spec.command() for spec in specs}
    with own_domain() as domain:
        environment = bringup.environment() | {"ROS_DOMAIN_ID": str(domain)}
        log = tmp_path_factory.mktemp("log")
        with Supervisor(commands, log, environment) as supervisor, ros([], domain_id=domain) as (context, executor):
            node = Node("listener", context=context)
            executor.add_node(node)
            graph = Graph(
                domain, supervisor, node, executor, ActionClient(node, RunTask, topics.RUN_TASK), [], [], [], []
            )
            contract = Contract.load()
            topics_heard: list[tuple[Any, str, list[Any]]] = [
                (msg.TaskBegin, topics.TASK_BEGIN, graph.begun),
                (msg.TaskEnd, topics.TASK_END, graph.ended),
                (msg.SentAction, contract.action.topic, graph.sent),
                (msg.TaskState, contract.task.topic, graph.states),
            ]
            for kind, topic, heard in topics_heard:
                node.create_subscription(kind, topic, heard.append, RELIABLE)
            supervisor.wait_ready(120.0)
            with TaskClient(domain) as client:
                assert client.connect(60.0) == pytest.approx(12.0)
            graph.until(lambda: graph.action.server_is_ready() and node.count_publishers(topics.TASK_END))
            yield graph
            graph.action.destroy()
            executor.remove_node(node)
            node.destroy_node()


def start(graph: Graph, *arguments: str) -> subprocess.Popen[str]:
    """`vgps run` in the graph's domain."""
    command = [sys.executable, "-m", "vgps_node.cli", "run", *arguments]
    environment = os.environ | {"ROS_DOMAIN_ID": str(graph.domain)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def test_a_goal_succeeds_and_progress_rises_on_the_way(graph: Graph, tmp_path: Path) -> None:
    """Asked for by `vgps run`, which shows it, writes it down and says so by its exit code."""
    file = tmp_path / "run.json"
    process = start(graph, "Put the spoon on the towel.", "--seed", str(SEED), "--json", str(file))
    graph.until(lambda: graph.ended or process.poll() is not None, 120.0)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.startswith("succeeded: ") and "learned:progress" in err, out + err
    run = json.loads(file.read_text(encoding="utf-8"))
    assert run["success"] and run["outcome"] == "succeeded" and run["time_limit"] == 12.0 and run["seed"] == SEED
    steps = [told["steps"] for told in run["estimates"]]
    values = np.array([told["progress"] for told in run["estimates"]])
    assert (
        steps == sorted(steps) and steps[0] <= 2 and len(steps) >= run["steps"] // 2 - 1 and steps[-1] == run["steps"]
    )
    assert Curve.of(values).voc > 0.7 and values[-1] - values[0] > 0.5 and run["progress"] == values[-1]
    graph.until(lambda: graph.ended)
    begin, end = graph.begun[-1], graph.ended[-1]
    assert (begin.goal, begin.task, begin.instruction, begin.seed) == (end.goal, "put_spoon_on_towel", SPOON, SEED)
    assert end.success and end.steps == run["steps"] and end.progress == pytest.approx(run["progress"], abs=1e-3)
    # The last state is on a topic of its own, and may be heard after the end.
    graph.until(lambda: graph.states[-1].episode == end.episode and graph.states[-1].success)
    assert messages.stamp_of(graph.states[-1]) == messages.stamp_of(end)


def test_a_cancelled_goal_leaves_the_arm_at_rest_and_it_stays_so(graph: Graph) -> None:
    heard: list[RunTask.Feedback] = []
    handle = graph.ask(heard, instruction=SPOON, seed=SEED)
    graph.until(lambda: heard and heard[-1].steps >= 3)
    graph.sent.clear()
    began = time.monotonic()
    cancelled = handle.cancel_goal_async()
    result = graph.result(handle)
    seconds = time.monotonic() - began
    assert cancelled.result().goals_canceling and result.outcome == "cancelled" and not result.success
    assert "confirmed" not in result.message
    graph.until(lambda: any(one.reason == Reason.EPISODE_OVER for one in graph.sent))
    held = [one.hold for one in graph.sent]
    assert held.index(True) <= 5  # control steps that were on their way
    assert held[held.index(True) :] == [True] * (len(held) - held.index(True))
    print(f"cancelled -> result {1e3 * seconds:.0f} ms; {held.index(True)} more steps moved the arm")
    graph.until(lambda: graph.ended[-1].outcome == "cancelled")


def test_a_second_goal_is_refused_with_the_reason_and_the_first_goes_on(graph: Graph) -> None:
    begun = len(graph.begun)
    handle = graph.ask(task="put_spoon_on_towel", time_limit=2.0)
    second = graph.run(instruction="put the carrot on the plate")
    assert second.outcome == "refused" and f"'{SPOON}'; `vgps cancel`" in second.message
    first = graph.result(handle)
    assert first.outcome == "timed_out" and "2 s" in first.message and first.steps == 10
    unknown = graph.run(instruction="fold the shirt")
    assert unknown.outcome == "refused" and SPOON in unknown.message
    graph.until(lambda: len(graph.begun) > begun)
    assert len(graph.begun) == begun + 1 and math.isnan(unknown.progress)


def test_any_words_go_with_a_named_task_and_the_nodes_hear_them(graph: Graph) -> None:
    words = "bring the teaspoon over to the dishcloth please"
    assert graph.run(instruction=words, task="put_spoon_on_towel", time_limit=0.4).outcome == "timed_out"
    assert {state.instruction for state in graph.states if state.episode == graph.states[-1].episode} == {words}


def test_the_emergency_stop_ends_it_and_the_next_goal_runs(graph: Graph) -> None:
    stop = graph.node.create_client(srv.EStop, topics.ESTOP)
    graph.until(stop.service_is_ready)
    heard: list[RunTask.Feedback] = []
    handle = graph.ask(heard, instruction=SPOON)
    graph.until(lambda: heard)
    pressed = stop.call_async(srv.EStop.Request(engaged=True))
    result = graph.result(handle)
    assert result.outcome == "stopped" and "emergency stop" in result.message
    graph.until(pressed.done)
    released = stop.call_async(srv.EStop.Request(engaged=False))
    graph.until(released.done)
    assert graph.run(instruction=SPOON, time_limit=0.4).outcome == "timed_out"


def test_vgps_stop_holds_the_arm_and_every_refusal_names_vgps_release(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    stopping = subprocess.Popen([sys.executable, "-m", "vgps_node.cli", "stop", "--wait", "60"], stdout=subprocess.PIPE)
    while (result := graph.run(instruction=SPOON, time_limit=0.4)).outcome == "timed_out":
        assert stopping.poll() in (None, 0)
    assert result.outcome in ("stopped", "refused") and "vgps release" in result.message
    out = stopping.communicate(timeout=60)[0].decode()
    assert stopping.returncode == 0 and "emergency stop is engaged" in out and "vgps release" in out
    refused = graph.run(instruction=SPOON)
    assert refused.outcome == "refused" and "vgps release" in refused.message and refused.steps == 0
    assert main(["status", "--json", "--wait", "60"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["gate"]["state"] == "STOPPED" and "vgps release" in status["gate"]["detail"]
    assert main(["release", "--wait", "60"]) == 0
    assert "is released" in capsys.readouterr().out
    graph.until(lambda: graph.run(instruction=SPOON, time_limit=0.4).outcome == "timed_out")


def test_the_emergency_stop_lasts_between_tasks(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    assert graph.run(instruction=SPOON, time_limit=0.4).outcome == "timed_out"  # the episode is over
    assert main(["stop", "--wait", "60"]) == 0
    graph.until(lambda: graph.run(instruction=SPOON, time_limit=0.4).outcome == "refused")
    assert graph.run(instruction=SPOON).outcome == "refused"
    assert main(["release", "--wait", "60"]) == 0
    graph.until(lambda: graph.run(instruction=SPOON, time_limit=0.4).outcome == "timed_out")


def test_vgps_status_and_watch_show_the_running_graph(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    assert main(["status", "--json", "--wait", "60", "--seconds", "3"]) == 0
    status = json.loads(capsys.readouterr().out)
    own = {"sim_node", "policy_node", "value_node", "gate_node", "task_node"}
    assert status["domain"] == graph.domain and own <= set(status["nodes"]) and status["missing"] == []
    assert status["rates"]["/clock"] > 20 and status["rates"]["/camera/front/image_raw"] > 0.5
    assert status["task"]["instruction"] and status["task"]["state"] == "timed_out" and status["clock"] > 0
    assert main(["status", "--wait", "60", "--seconds", "0.2"]) == 0
    assert "gate" in capsys.readouterr().out
    picture, film = tmp_path / "now.png", tmp_path / "film.mp4"
    assert main(["watch", "--picture", str(picture), "--wait", "60"]) == 0
    with Image.open(picture) as shown:
        assert shown.width >= 768
        for half in np.split(np.asarray(shown)[:256, :512], 2, axis=1):
            assert half.std() > 20, "a camera is missing"
    command = ["watch", "--port", "-1", "--film", str(film), "--task", "--wait", "60"]
    watching = subprocess.Popen(
        [sys.executable, "-m", "vgps_node.cli", *command], stderr=subprocess.PIPE, encoding="utf-8"
    )
    graph.until(lambda: film.is_file())
    while watching.poll() is None:
        assert graph.run(instruction=SPOON, time_limit=0.4).outcome == "timed_out"
    assert watching.returncode == 0 and watching.stderr is not None and "pictures" in watching.stderr.read()
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


def test_other_ends_have_another_exit_code(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    assert main(["run", SPOON, "--time-limit", "0.4", "--wait", "60"]) == 1
    assert capsys.readouterr().out.startswith("timed_out: ")
    assert main(["run", "fold the shirt", "--wait", "60"]) == 1
    assert "refused: the simulator has no task 'fold the shirt'" in capsys.readouterr().out


def test_vgps_cancel_ends_the_task_of_another_terminal(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    outcomes: list[str] = []
    for _ in range(10):  # it may come between two goals, or when one has just succeeded
        cancelling = subprocess.Popen([sys.executable, "-m", "vgps_node.cli", "cancel", "--wait", "60"])
        while cancelling.poll() is None:
            outcomes.append(graph.run(instruction=SPOON).outcome)
        if "cancelled" in outcomes:
            break
    assert "cancelled" in outcomes and cancelling.returncode == 0
    assert main(["cancel", "--wait", "60"]) == 1 and "no task is running" in capsys.readouterr().out


def test_a_cancelled_task_is_not_under_way(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although the world, and its clock, may go on."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    heard: list[RunTask.Feedback] = []
    handle = graph.ask(heard, instruction=SPOON)
    graph.until(lambda: heard)
    handle.cancel_goal_async()
    assert graph.result(handle).outcome == "cancelled"
    assert main(["status", "--json", "--wait", "60"]) == 0
    assert json.loads(capsys.readouterr().out)["task"]["state"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed terminal"])
def test_ctrl_c_and_a_closed_terminal_cancel(graph: Graph, number: signal.Signals) -> None:
    seed = 77 + number
    process = start(graph, SPOON, "--seed", str(seed))
    graph.until(lambda: any(begin.seed == seed for begin in graph.begun))
    goal = next(begin.goal for begin in graph.begun if begin.seed == seed)
    process.send_signal(number)
    graph.until(lambda: any(end.goal == goal for end in graph.ended))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out.startswith("cancelled: "), out + err
    assert graph.ended[-1].outcome == "cancelled"


def test_an_interrupt_between_any_two_lines_cancels(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    with TaskClient(graph.domain) as client:
        client.connect(20.0)
        ready, sent = client._action.server_is_ready, []

        def interrupting() -> bool:
            if not sent:
                sent.append(signal.raise_signal(signal.SIGINT))
            return ready()

        monkeypatch.setattr(client._action, "server_is_ready", interrupting)
        result = client.run(RunTask.Goal(instruction=SPOON, seed=78))
    assert sent and client.interrupted and result.outcome == "cancelled"


def test_a_node_that_dies_ends_it_with_its_name(graph: Graph) -> None:
    """The last one: the graph is broken afterwards."""
    heard: list[RunTask.Feedback] = []
    handle = graph.ask(heard, instruction=SPOON, seed=SEED)
    graph.until(lambda: heard)
    os.kill(graph.supervisor.pids[POLICY], signal.SIGKILL)
    result = graph.result(handle)
    assert result.outcome == "stopped" and result.message.startswith("policy_node is silent")
    with TaskClient(graph.domain) as client:
        client.connect(30.0)
        os.kill(graph.supervisor.pids[TASK], signal.SIGINT)
        with pytest.raises(NoGraphError, match="went away"):
            client.run(RunTask.Goal(instruction=SPOON, time_limit=3600.0))


def test_where_no_graph_is_the_command_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with own_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        assert main(["run", SPOON, "--wait", "0.3"]) == 1
    error = capsys.readouterr().err
    assert "vgps up sim" in error and f"domain {domain}" in error


def test_an_arm_without_a_simulator_is_told_and_its_progress_decides() -> None:
    """The real task_node and gate_node; the test is the arm's driver and the estimator."""
    from std_msgs.msg import String

    from vgps_node.gate_node import GateNode

    contract = Contract.load()
    with (
        own_domain() as domain,
        ros(["--ros-args", "-p", "task_node:simulator:=false"], domain_id=domain) as (context, executor),
    ):
        nodes = [GateNode(context), TaskNode(context), Node("arm", context=context)]
        arm = nodes[-1]
        for node in nodes:
            executor.add_node(node)
        assert not nodes[1].get_parameter("simulator").value
        told: list[str] = []
        arm.create_subscription(String, topics.INSTRUCTION, lambda message: told.append(message.data), LATCHED)
        states = arm.create_publisher(msg.TaskState, contract.task.topic, RELIABLE)
        progress = arm.create_publisher(msg.Progress, topics.PROGRESS, RELIABLE)
        action = ActionClient(arm, RunTask, topics.RUN_TASK)

        def until(done: Callable[[], Any]) -> None:
            deadline = time.monotonic() + 30
            while not done():
                assert time.monotonic() < deadline
                executor.spin_once(timeout_sec=0.05)

        until(lambda: action.server_is_ready() and states.get_subscription_count() >= 2)
        until(lambda: progress.get_subscription_count() and arm.count_publishers(topics.INSTRUCTION))
        sent = action.send_goal_async(RunTask.Goal(instruction="open the drawer", success_progress=0.8))
        until(sent.done)
        handle: Any = sent.result()
        result = handle.get_result_async()
        until(lambda: told)
        assert told == ["open the drawer"]
        for step, value in enumerate([0.3, 0.9, 0.5, 0.9, 0.95]):
            assert not result.done()
            moment = Moment(10**9 * (step + 1), 0, step)
            states.publish(messages.task_state_to_msg(TaskState(moment, "", told[0], 1)))
            until(lambda: nodes[1]._attempt is not None and nodes[1]._attempt._now is not None)
            until(lambda: nodes[1]._attempt._now.moment.step == step)  # noqa: B023
            progress.publish(messages.progress_to_msg(Progress(moment, "test", value, 0.0, False, 1.0)))
            until(lambda: nodes[1]._attempt is None or nodes[1]._attempt._told is not None)
            until(lambda: result.done() or nodes[1]._attempt is None or nodes[1]._attempt._told.value == value)  # noqa: B023
        until(result.done)
        answer = result.result().result
        assert answer.outcome == "succeeded" and answer.progress == 0.95 and "test says so" in answer.message
        assert nodes[0].gate._paused  # nothing moves the arm until the next goal
        action.destroy()
        for node in nodes:
            executor.remove_node(node)
            node.destroy_node()
