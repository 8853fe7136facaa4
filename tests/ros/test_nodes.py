"""Each node alone on a real graph, with the test in the place of its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_bench import CONTRACT, Bench
from trajectory_msgs.msg import JointTrajectory

from vgps_msgs import msg, srv
from vgps_node import messages, topics
from vgps_node.domain import own_domain
from vgps_node.gate import Reason, State
from vgps_node.gate_node import GateNode
from vgps_node.moments import ArmState, Candidates, Chunk, Moment, TaskState
from vgps_node.observing import ObservationInput
from vgps_node.policy_node import PolicyNode
from vgps_node.progress_node import ProgressNode
from vgps_node.runtime import image_qos, ros
from vgps_node.sim_node import SimNode
from vgps_node.value_node import ValueNode
from vgps_sim.kinematics import ToolServo

PERIOD = 200_000_000  # [ns]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with own_domain() as domain, ros([], domain_id=domain) as (context, executor):
        bench = Bench(context, executor, request.param)
        yield bench
        bench.close()


def task_state(step: int = 0) -> TaskState:
    return TaskState(Moment((step + 1) * PERIOD, seed=9, step=step), "put_spoon_on_towel", "put it", episode=1)


def still() -> np.ndarray:
    return np.tile([0, 0, 0, 0, 0, 0, 1.0], (4, 1))


HOME = ArmState(ToolServo().solve_home(), 1.0)


@pytest.mark.parametrize("bench", [GateNode], indirect=True)
def test_the_gate_passes_a_chunk_on_and_says_it_again_when_asked_again(bench: Bench) -> None:
    commands = bench.listen(JointTrajectory, topics.JOINT_COMMAND)
    sent = bench.listen(msg.SentAction, CONTRACT.action.topic)
    task = task_state()
    bench.observe(task, HOME)
    bench.say(topics.CHUNK, messages.chunk_to_msg(Chunk(task.moment, still())))
    bench.until(lambda: commands and sent)
    command = messages.command_from_msg(commands[0], CONTRACT)
    assert np.abs(command.q - HOME.q).max() < 1e-3 and command.gripper == 1.0
    assert messages.stamp_of(commands[0]) == messages.stamp_of(sent[0]) == task.moment.stamp
    assert not sent[0].hold and sent[0].action[6] == 1.0
    bench.observe(task, HOME)  # as the simulator does when no command came
    bench.until(lambda: len(commands) == 2)
    assert messages.command_from_msg(commands[1], CONTRACT).q.tolist() == command.q.tolist()


@pytest.mark.parametrize("bench", [GateNode], indirect=True)
def test_the_gate_says_why_it_holds_and_stops_when_told(bench: Bench) -> None:
    statuses = bench.listen(msg.GateStatus, topics.GATE_STATUS)
    sent = bench.listen(msg.SentAction, CONTRACT.action.topic)
    bench.observe(task_state(), HOME)
    bench.say(topics.CHUNK, messages.chunk_to_msg(Chunk(task_state().moment, still() * np.nan)))
    bench.until(lambda: sent)
    assert sent[0].hold and sent[0].reason == Reason.NOT_FINITE and "NaN" in sent[0].detail
    bench.until(lambda: statuses and statuses[-1].reason == Reason.NOT_FINITE)
    assert statuses[-1].state == State.HOLDING and statuses[-1].rejected == 1
    assert bench.ask(srv.EStop, topics.ESTOP, srv.EStop.Request(engaged=True)).ok
    bench.observe(task_state(1), HOME)
    bench.until(lambda: len(sent) == 2)
    assert sent[1].hold and sent[1].reason == Reason.ESTOP
    assert bench.ask(srv.EStop, topics.ESTOP, srv.EStop.Request(engaged=False)).ok
    assert not bench.ask(srv.ClearFault, topics.CLEAR_FAULT, srv.ClearFault.Request()).ok


@pytest.mark.parametrize("bench", [GateNode], indirect=True)
def test_the_gate_holds_by_the_steady_clock_when_nothing_comes(bench: Bench) -> None:
    sent = bench.listen(msg.SentAction, CONTRACT.action.topic)
    assert bench.set(hold_after=0.05) == ""
    bench.observe(task_state(), HOME)
    bench.until(lambda: sent)
    assert sent[0].hold and sent[0].reason == Reason.NOTHING_RECEIVED
    assert re.search(r"execute out of range.* Max: 4", bench.set(execute=9))
    assert "hold_after" in bench.set(hold_after=-1.0)


@pytest.mark.parametrize("bench", [SimNode], indirect=True)
def test_the_simulator_plays_on_commands_and_repeats_what_got_lost(bench: Bench) -> None:
    states = bench.listen(msg.TaskState, CONTRACT.task.topic)
    arms: list[tuple[TaskState, Any]] = []
    ObservationInput(bench.probe, CONTRACT, lambda task, seen: arms.append((task, seen)), arms.clear, reliable=True)
    bench.until(lambda: all(bench.probe.count_publishers(f.topic) for f in CONTRACT.images.values()))
    refused = bench.ask(srv.Reset, topics.RESET, srv.Reset.Request(task="fly", seed=1))
    assert not refused.ok and "put_spoon_on_towel" in refused.message
    assert not bench.ask(srv.Step, topics.STEP, srv.Step.Request(n=1)).ok
    begun = bench.ask(srv.Reset, topics.RESET, srv.Reset.Request(task="put_spoon_on_towel", seed=1))
    assert begun.ok and bench.set(republish_after=0.2) == ""
    bench.until(lambda: len(states) >= 2 and arms)
    assert {messages.stamp_of(state) for state in states} == {messages.from_time(begun.stamp)}
    task, seen = arms[0]
    assert seen.key == (1, 0) and set(seen.images) == set(CONTRACT.images) and seen.instruction == task.instruction
    stamp = task.moment.stamp
    command = messages.command_to_msg(stay(bench), stamp, CONTRACT)
    bench.say(topics.JOINT_COMMAND, command)
    bench.until(lambda: states[-1].step == 1)
    bench.say(topics.JOINT_COMMAND, command)  # late: it answers an older observation
    repeated = len(states)
    bench.until(lambda: len(states) > repeated)
    assert states[-1].step == 1 and states[-1].loop_ms > 0
    stepped = bench.ask(srv.Step, topics.STEP, srv.Step.Request(n=2))
    assert stepped.ok and stepped.state.step == 3
    wrong = bench.ask(srv.SetClock, topics.SET_CLOCK, srv.SetClock.Request(clock="sundial"))
    assert not wrong.ok and "lockstep" in wrong.message


def stay(bench: Bench) -> Any:
    """The command to stay where the simulated arm is."""
    servo, arm = ToolServo(), bench.node.sim.arm()  # type: ignore[attr-defined]
    servo.reset(arm.q, arm.gripper)
    return servo.hold()


def camera(bench: Bench, moment: Moment, value: int = 7) -> None:
    for feature in CONTRACT.images.values():
        pixels = np.full(feature.shape, value, np.uint8)
        bench.say(feature.topic, messages.image_to_msg(pixels, moment.stamp, "f"))


@pytest.mark.parametrize("bench", [PolicyNode], indirect=True)
def test_the_policy_proposes_at_planned_steps_whatever_comes_first(bench: Bench) -> None:
    proposed = bench.listen(msg.Candidates, topics.CANDIDATES)
    camera(bench, task_state().moment)
    bench.observe(task_state(), HOME)
    bench.until(lambda: proposed)
    first = messages.candidates_from_msg(proposed[0])
    assert first.moment == task_state().moment and first.actions.shape == (10, 4, 7) and first.sample_ms > 0
    assert bench.set(k=3) == "" and "k out of range" in bench.set(k=0) and "polcy" in bench.set(checkpoint="polcy")
    bench.observe(task_state(1), HOME)  # nothing is planned at step 1
    camera(bench, task_state(1).moment)
    bench.observe(task_state(2), HOME)
    camera(bench, task_state(2).moment)
    bench.until(lambda: len(proposed) == 2)
    assert messages.candidates_from_msg(proposed[1]).actions.shape == (3, 4, 7)
    assert proposed[1].step == 2
    bench.observe(task_state(2), HOME)  # the same observation again gives the same chunks
    camera(bench, task_state(2).moment)
    bench.until(lambda: len(proposed) == 3)
    assert proposed[2].actions == proposed[1].actions
    bench.observe(task_state(), HOME)  # time goes back: the first chunks depend on the observation alone
    camera(bench, task_state().moment)
    bench.until(lambda: len(proposed) == 4)
    again = messages.candidates_from_msg(proposed[3]).actions
    # Three rows are multiplied in another order than ten; a draw is some ten steps of a network of a few layers.
    assert again.shape == (3, 4, 7) and np.allclose(again, first.actions[:3], rtol=0, atol=1e-5)


@pytest.mark.parametrize("bench", [ValueNode], indirect=True)
def test_the_value_node_waits_for_the_image_when_candidates_come_first(bench: Bench) -> None:
    chunks, scores = bench.listen(msg.ActionChunk, topics.CHUNK), bench.listen(msg.Scores, topics.SCORES)
    task = task_state()
    actions = np.random.default_rng(0).uniform(-0.02, 0.02, (5, 4, 7))
    bench.say(topics.CANDIDATES, messages.candidates_to_msg(Candidates(task.moment, actions)))
    bench.observe(task, HOME)
    camera(bench, task.moment)
    bench.until(lambda: chunks and scores)
    judged = messages.scores_from_msg(scores[0])
    assert judged.chosen == int(np.argmax(judged.mean)) and judged.encode_ms > 0 and not judged.abstained
    assert np.array_equal(messages.chunk_from_msg(chunks[0]).actions, actions[judged.chosen])
    assert "softmax" in bench.set(rule="best") and bench.set(rule="first") == ""
    later = replace(task.moment, stamp=9 * PERIOD, step=2)
    bench.say(topics.CANDIDATES, messages.candidates_to_msg(Candidates(later, actions)))
    bench.until(lambda: len(chunks) == 2)  # the first one needs no image
    assert np.array_equal(messages.chunk_from_msg(chunks[1]).actions, actions[0])


@pytest.mark.parametrize("bench", [ProgressNode], indirect=True)
def test_progress_is_told_of_images_alone_at_planned_steps_and_at_the_end(bench: Bench) -> None:
    heard = bench.listen(msg.Progress, topics.PROGRESS)
    assert bench.set(every=3) == "" and "out of range" in bench.set(every=0) and "progres" in bench.set(checkpoint="x")
    assert "read-only" in bench.set(estimator="none") and bench.set(use_sim_time=False) == ""

    def see(task: TaskState) -> None:
        camera(bench, task.moment)
        bench.say(CONTRACT.task.topic, messages.task_state_to_msg(task))

    see(task_state())
    bench.until(lambda: heard)
    told = messages.progress_from_msg(heard[0])
    assert told.moment == task_state().moment and told.source == "learned:progress" and told.ms > 0
    assert 0 <= told.value <= 1 and told.spread >= 0
    assert told.success == (told.value >= bench.node.estimator.threshold)  # type: ignore[attr-defined]
    see(task_state(1))  # nothing is judged at step 1 ...
    see(replace(task_state(2), done=True))  # ... but the end always is
    bench.until(lambda: len(heard) == 2)
    assert heard[1].step == 2
    assert bench.set(checkpoint="imagetext") == ""  # an estimator of another kind
    see(task_state(3))
    bench.until(lambda: len(heard) == 3)
    assert heard[2].source == "vlmrm:imagetext:alpha=0.25" and 0 <= heard[2].value <= 1


def test_progress_asks_a_vision_language_model_as_its_parameters_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over HTTP, from a local endpoint: three shuffles of the episode so far, no learned estimator beside it."""
    pytest.importorskip("openai")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    from vlm_server import Server, truth_of  # pyright: ignore[reportMissingImports]

    from vgps_models.progress import Clip

    shades = [10, 60, 110, 160, 210]
    views = {name: np.stack([np.full(f.shape, v, np.uint8) for v in shades]) for name, f in CONTRACT.images.items()}
    with Server(truth_of(Clip(views, "put it"), [0.0, 0.2, 0.4, 0.6, 0.9])) as server, own_domain() as domain:
        settings = {
            "estimator": "gvl", "period": 0.1, "frames": 15, "gvl.shuffles": 3, "gvl.chat.model": "m",
            "gvl.chat.base_url": server.url, "gvl.chat.cache": str(tmp_path),
        }  # fmt: skip
        arguments = [part for name, value in settings.items() for part in ("-p", f"progress_node:{name}:={value}")]
        with ros(["--ros-args", *arguments], domain_id=domain) as (context, executor):
            bench = Bench(context, executor, ProgressNode)
            heard = bench.listen(msg.Progress, topics.PROGRESS)
            for step, shade in enumerate(shades):
                task = replace(task_state(step), done=step == len(shades) - 1)
                camera(bench, task.moment, shade)
                bench.say(CONTRACT.task.topic, messages.task_state_to_msg(task))
            bench.until(lambda: heard)
            while heard[-1].step < 4:  # the end is asked about again, in case a question was under way
                camera(bench, task.moment, shades[-1])
                bench.say(CONTRACT.task.topic, messages.task_state_to_msg(task))
                known = len(heard)
                bench.until(lambda: len(heard) > known)  # noqa: B023
            told = messages.progress_from_msg(heard[-1])
            assert (told.value, told.source) == (pytest.approx(0.9), "gvl-1:m") and told.spread < 1e-6
            assert all(one.source == "gvl-1:m" for one in heard) and server.requests % 3 == 0
            for node in (bench.node, bench.probe):
                executor.remove_node(node)
                node.destroy_node()


def test_images_are_reliable_where_the_world_waits_for_them() -> None:
    assert image_qos(True).reliability != image_qos(False).reliability
    assert image_qos(True).depth > image_qos(False).depth == 1
