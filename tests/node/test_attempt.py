"""An attempt at a task, by a clock that is moved: how it ends, and whose silence is named."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vgps_node.attempt import Attempt, Ending, Feedback, Outcome
from vgps_node.bringup import GATE, POLICY, SIM, VALUE
from vgps_node.gate import Reason, State, Status
from vgps_node.goals import Goal
from vgps_node.moments import Moment, Progress, TaskState

PERIOD = 200_000_000  # [ns]
WORDS = "put the spoon on the towel"
START = 5 * PERIOD  # [ns] the world is not new
CHAIN = {name: f"{name} is silent" for name in (SIM, POLICY, VALUE, GATE)}


class Bench:
    """An attempt and the graph around it, which answers until it is told not to."""

    def __init__(self, *, simulated: bool = True, limit: float = 12.0, least: float = 0.0, spare: int = 0) -> None:
        self.now = 0.0
        goal = Goal(WORDS, "put_spoon_on_towel", 3, limit, least)
        self.attempt = Attempt(
            goal, execute=2, chain=CHAIN, episode=4 if simulated else None, spare=spare, patience=5.0,
            clock=lambda: self.now,
        )  # fmt: skip
        self.dead: set[str] = set()

    def at(self, step: int, **other: Any) -> TaskState:
        settings = {"instruction": WORDS, "episode": 4} | other
        return TaskState(Moment(START + step * PERIOD, 3, step), "put_spoon_on_towel", **settings)

    def step(self, step: int, *, seconds: float = 0.2, **other: Any) -> Feedback | None:
        """One control step of the graph."""
        self.now += seconds
        told = self.attempt.state(self.at(step, **other)) if SIM not in self.dead else None
        if step % 2 == 0 and POLICY not in self.dead:
            self.attempt.candidates()
            if VALUE not in self.dead:
                self.attempt.chunk()
        if GATE not in self.dead:
            self.attempt.sent()
        return told

    def estimate(self, step: int, value: float, *, source: str = "learned", success: bool = False) -> Feedback | None:
        moment = Moment(START + step * PERIOD, 3, step)
        return self.attempt.progress(Progress(moment, source, value, 0.1, success, 5.0))

    def outcome(self) -> Outcome:
        outcome = self.attempt.poll()
        assert outcome is not None
        return outcome


# With a simulator


def test_success_is_the_simulators_word_and_the_last_estimate_is_waited_for() -> None:
    bench = Bench()
    assert bench.step(0) is not None
    assert bench.estimate(0, 0.1) == Feedback(0.1, 0.1, "learned", 0)
    assert bench.step(1) is None  # feedback goes by the estimates as soon as there are any
    assert bench.attempt.poll() is None
    bench.step(2, success=True, done=True)
    assert bench.attempt.poll() is None
    assert bench.estimate(2, 0.9) is not None
    outcome = bench.outcome()
    assert (outcome.ending, outcome.steps, outcome.episode) == (Ending.SUCCEEDED, 2, 4)
    assert outcome.progress == 0.9 and outcome.stamp == START + 2 * PERIOD


def test_an_estimate_that_is_heard_late_tells_the_step_it_is_of() -> None:
    bench = Bench()
    for step in range(4):
        bench.step(step)
    told = [bench.estimate(step, 0.1 * step) for step in (0, 2)]
    assert [t.steps for t in told if t is not None] == [0, 2]


def test_a_last_estimate_that_does_not_come_keeps_nobody() -> None:
    bench = Bench()
    bench.step(0)
    bench.estimate(0, 0.2)
    bench.step(1, success=True, done=True)
    bench.now += Attempt.LAST_WORD - 0.01
    assert bench.attempt.poll() is None
    bench.now += 0.02
    assert bench.outcome().progress == 0.2


def test_where_nobody_estimates_steps_are_told_and_nothing_is_waited_for() -> None:
    bench = Bench()
    told = [bench.step(step) for step in range(3)]
    assert [t.steps for t in told if t is not None] == [0, 1, 2] and all(t and math.isnan(t.progress) for t in told)
    bench.step(3, success=True, done=True)
    assert bench.outcome().ending is Ending.SUCCEEDED and math.isnan(bench.outcome().progress)


def test_estimates_do_not_decide_where_the_simulator_knows() -> None:
    bench = Bench(least=0.5)
    for step in range(6):
        bench.step(step)
        bench.estimate(step, 0.99, success=True)
    assert bench.attempt.poll() is None


def test_the_time_limit_is_by_the_clock_of_the_observations() -> None:
    bench = Bench(limit=1.0)
    for step in range(5):
        bench.step(step, seconds=0.001)
        assert bench.attempt.poll() is None
    bench.step(5, seconds=0.001)
    assert bench.outcome().ending is Ending.TIMED_OUT and "1 s" in bench.outcome().message


def test_success_in_the_very_last_step_is_success() -> None:
    bench = Bench(limit=0.4)
    bench.step(0)
    bench.step(2, success=True, done=True)
    assert bench.outcome().ending is Ending.SUCCEEDED


def test_over_before_its_time_is_failure() -> None:
    bench = Bench()
    bench.step(0)
    bench.step(1, done=True)
    assert bench.outcome().ending is Ending.FAILED


def test_cancelled_is_at_once_and_what_has_ended_stays_so() -> None:
    bench = Bench()
    bench.step(0)
    bench.attempt.cancel()
    assert bench.outcome().ending is Ending.CANCELLED
    bench.step(1, success=True)
    assert bench.outcome().ending is Ending.CANCELLED and bench.outcome().steps == 0


def test_older_episodes_are_not_ours_and_a_newer_one_ends_it() -> None:
    bench = Bench()
    bench.step(0, episode=3, success=True)
    assert bench.estimate(0, 0.5) is None
    bench.step(1)
    assert bench.attempt.poll() is None
    bench.step(0, episode=5, instruction="stack the blocks")
    assert bench.outcome().ending is Ending.STOPPED and "stack the blocks" in bench.outcome().message


def test_asked_twice_the_second_episode_counts() -> None:
    bench = Bench(spare=1)
    bench.step(0)
    bench.attempt.state(TaskState(Moment(START + 9 * PERIOD, 3, 0), "", WORDS, 5))
    assert bench.attempt.poll() is None and bench.attempt.episode == 5
    bench.attempt.state(TaskState(Moment(START + 12 * PERIOD, 3, 0), "", WORDS, 6))
    assert bench.outcome().ending is Ending.STOPPED


# The gate


@pytest.mark.parametrize("state", State)
def test_the_gate_ends_it_when_it_will_not_move_again(state: State) -> None:
    bench = Bench()

    def status(stamp: int) -> Status:
        return Status(Moment(stamp), state, Reason.ESTOP, "pressed", 0, 0, 0.0)

    bench.attempt.gate(status(START))  # before anything was seen of this episode
    bench.step(0)
    bench.attempt.gate(status(START - 1))  # of before
    assert bench.attempt.poll() is None
    bench.attempt.gate(status(START))
    if state in (State.STOPPED, State.FAULT):
        assert bench.outcome().ending is Ending.STOPPED and "pressed" in bench.outcome().message
    else:
        assert bench.attempt.poll() is None


# Silence


@pytest.mark.parametrize("dead", [SIM, POLICY, VALUE, GATE])
@pytest.mark.parametrize("dies_at", [0, 3, 4])
def test_the_silent_node_is_named_and_not_those_that_wait_for_it(dead: str, dies_at: int) -> None:
    """As in lockstep: nothing moves on without the dead one, but the simulator repeats its observation."""
    bench = Bench()
    for step in range(dies_at):
        bench.step(step)
    bench.dead.add(dead)
    stuck = dies_at + (dead in (POLICY, VALUE) and dies_at % 2)  # those have work at even steps only
    bench.step(dies_at)
    for _ in range(60):
        if (outcome := bench.attempt.poll()) is not None:
            break
        bench.step(stuck)
    assert outcome is not None and outcome.ending is Ending.STOPPED
    assert outcome.message.startswith(f"{dead} is silent"), outcome.message
    assert 5.0 < bench.now < 9.0


def test_a_gate_that_holds_for_want_of_chunks_does_not_hide_a_dead_policy() -> None:
    bench = Bench()
    bench.dead.add(POLICY)
    step = 0
    while (outcome := bench.attempt.poll()) is None:
        bench.step(step, seconds=0.7)  # held, so the world goes on
        step += 1
        assert step < 20
    assert outcome.message.startswith("policy_node")


def test_a_slow_graph_is_not_silent() -> None:
    bench = Bench()
    for step in range(8):
        bench.step(step, seconds=4.5)
        assert bench.attempt.poll() is None


# Without a simulator


def test_an_arm_begins_when_it_tells_our_words_and_ends_when_progress_says_so_twice() -> None:
    bench = Bench(simulated=False, least=0.8)
    bench.step(0, instruction="something else", episode=1)
    assert bench.estimate(0, 0.9) is None
    for step, value in enumerate([0.2, 0.85, 0.7, 0.8]):
        bench.step(step)
        bench.estimate(step, value)
        assert bench.attempt.poll() is None
    bench.step(4)
    bench.estimate(4, 0.9)
    outcome = bench.outcome()
    assert outcome.ending is Ending.SUCCEEDED and "learned" in outcome.message and outcome.progress == 0.9


def test_two_estimators_do_not_confirm_each_other() -> None:
    bench = Bench(simulated=False, least=0.8)
    bench.step(0)
    bench.estimate(0, 0.9, source="learned")
    bench.estimate(0, 0.9, source="gvl")
    bench.estimate(0, 0.9, source="gvl")  # said twice, but judged once
    assert bench.attempt.poll() is None
    bench.step(1)
    bench.estimate(1, 0.9, source="gvl")
    assert "gvl" in bench.outcome().message


def test_without_a_threshold_the_estimators_own_word_counts() -> None:
    bench = Bench(simulated=False)
    for step in range(2):
        bench.step(step)
        bench.estimate(step, 0.6, success=True)
    assert bench.outcome().ending is Ending.SUCCEEDED


def test_an_arm_that_nobody_judges_runs_out_of_time_and_that_is_said() -> None:
    bench = Bench(simulated=False, limit=0.4)
    for step in range(3):
        bench.step(step)
    assert bench.outcome().ending is Ending.TIMED_OUT and "nobody" in bench.outcome().message


def test_an_arm_that_does_not_take_the_task_up_is_silent() -> None:
    bench = Bench(simulated=False)
    for step in range(10):
        bench.step(step, seconds=0.6, instruction="the old task", episode=1)
    assert bench.outcome().message.startswith("sim_node is silent")
