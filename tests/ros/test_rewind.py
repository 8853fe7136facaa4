"""Time that goes back (a restarted simulator, a bag in a loop): buffers are cleared, it is logged, and all goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from node_bench import CONTRACT, Bench
from rcl_interfaces.msg import Log
from trajectory_msgs.msg import JointTrajectory

from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.domain import own_domain
from vgps_node.gate_node import GateNode
from vgps_node.moments import ArmState, Candidates, Chunk, Moment, TaskState
from vgps_node.policy_node import PolicyNode
from vgps_node.progress_node import ProgressNode
from vgps_node.runtime import ros
from vgps_node.value_node import ValueNode
from vgps_sim.kinematics import ToolServo

SECOND = 1_000_000_000  # [ns]
HOME = ArmState(ToolServo().solve_home(), 1.0)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with own_domain() as domain, ros([], domain_id=domain) as (context, executor):
        bench = Bench(context, executor, request.param)
        yield bench
        bench.close()


@pytest.fixture
def log(bench: Bench) -> list[Log]:
    return bench.listen(Log, "/rosout")


def moment(seconds: float, seed: int) -> TaskState:
    return TaskState(Moment(int(seconds * SECOND), seed=seed, step=0), "put_spoon_on_towel", "put it", episode=1)


def see(bench: Bench, task: TaskState, shade: int) -> None:
    for feature in CONTRACT.images.values():
        pixels = np.full(feature.shape, shade, np.uint8)
        bench.say(feature.topic, messages.image_to_msg(pixels, task.moment.stamp, "f"))


def show(bench: Bench, task: TaskState, shade: int) -> None:
    see(bench, task, shade)
    bench.observe(task, HOME)


def warned(bench: Bench, log: list[Log]) -> None:
    bench.until(lambda: any("time went back from 50.00 s to" in entry.msg for entry in log))


@pytest.mark.parametrize("bench", [PolicyNode], indirect=True)
def test_the_policy_proposes_for_the_new_moment(bench: Bench, log: list[Log]) -> None:
    proposed = bench.listen(msg.Candidates, topics.CANDIDATES)
    for seconds in (10, 50):  # the first stamp will come again, and mean something else
        show(bench, moment(seconds, seed=1), 10)
    bench.until(lambda: len(proposed) == 2)
    show(bench, moment(10, seed=2), 200)
    bench.until(lambda: len(proposed) == 3)
    warned(bench, log)
    first, _, again = map(messages.candidates_from_msg, proposed)
    assert again.moment == moment(10, seed=2).moment and not np.array_equal(first.actions, again.actions)


@pytest.mark.parametrize("bench", [ValueNode], indirect=True)
def test_the_value_node_scores_the_new_image(bench: Bench, log: list[Log]) -> None:
    scores = bench.listen(msg.Scores, topics.SCORES)
    actions = np.random.default_rng(0).uniform(-0.02, 0.02, (5, 4, 7))

    def ask(task: TaskState) -> Any:
        known = len(scores)
        bench.say(topics.CANDIDATES, messages.candidates_to_msg(Candidates(task.moment, actions)))
        bench.until(lambda: len(scores) > known)
        return messages.scores_from_msg(scores[-1])

    answers = []
    for seconds, seed, shade in ((10, 1, 10), (50, 1, 10), (10, 2, 200), (9, 3, 100)):
        task = moment(seconds, seed)
        show(bench, task, shade)
        answers.append(ask(task))
    warned(bench, log)
    assert [answer.moment.seed for answer in answers] == [1, 1, 2, 3]
    assert not any(answer.abstained for answer in answers)
    assert not np.array_equal(answers[0].mean, answers[2].mean)


@pytest.mark.parametrize("bench", [GateNode], indirect=True)
def test_the_gate_follows_the_new_episode(bench: Bench, log: list[Log]) -> None:
    commands = bench.listen(JointTrajectory, topics.JOINT_COMMAND)
    still = np.tile([0, 0, 0, 0, 0, 0, 1.0], (4, 1))
    for seconds, seed in ((50, 1), (1, 2)):
        task, known = moment(seconds, seed), len(commands)
        bench.observe(task, HOME)
        bench.say(topics.CHUNK, messages.chunk_to_msg(Chunk(task.moment, still)))
        bench.until(lambda: len(commands) > known)  # noqa: B023
        assert messages.stamp_of(commands[-1]) == task.moment.stamp
    warned(bench, log)
    assert bench.node.gate.status().rejected == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("bench", [ProgressNode], indirect=True)
def test_progress_is_estimated_for_the_new_episode(bench: Bench, log: list[Log]) -> None:
    estimates = bench.listen(msg.Progress, topics.PROGRESS)
    for seconds, seed in ((50, 1), (1, 2)):
        known = len(estimates)
        see(bench, moment(seconds, seed), 100)
        bench.say(CONTRACT.task.topic, messages.task_state_to_msg(moment(seconds, seed)))
        bench.until(lambda: len(estimates) > known)  # noqa: B023
        assert estimates[-1].seed == seed
    warned(bench, log)
