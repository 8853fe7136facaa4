"""One attempt at one task: what is heard of it goes in, and how it ended comes out. Knows no ROS."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from vgps_node.bringup import GATE, POLICY, SIM, VALUE
from vgps_node.gate import State, Status
from vgps_node.goals import Goal
from vgps_node.moments import Progress, TaskState
from vgps_node.silence import Silence

SLACK = 1e-3  # [s] by which stamps may be rounded


class Ending(str, Enum):
    """How a goal of RunTask ends; values as in RunTask.action."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # it was over without success before its time was
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"  # by the emergency stop, a fault, somebody else's episode, or a node that fell silent
    CANCELLED = "cancelled"
    REFUSED = "refused"  # never begun


@dataclass(frozen=True)
class Outcome:
    """How it ended. progress: the last estimate; NaN for none. stamp: of the last observation [ns]; 0 for none."""

    ending: Ending
    message: str
    progress: float = math.nan
    steps: int = 0
    episode: int = 0
    stamp: int = 0


@dataclass(frozen=True)
class Feedback:
    """How far it is; fields as in RunTask.action."""

    progress: float
    spread: float
    source: str
    steps: int


class Attempt:
    """From the first observation of an episode to its end.

    Without a simulator the first state that tells our instruction begins it, and success is what an estimator of
    progress says twice running; with one (`episode` is given) success is the simulator's, and estimates are feedback.

    execute: control steps of a chunk; candidates are due at every multiple.
    chain: what to say of a node that is silent, for each of SIM, POLICY, VALUE and GATE; see `Silence`.
    episode: number that the simulator gave; None on an arm. spare: later episodes that are ours as well, because the
        simulator was asked more than once.
    patience: steady time that a node may keep the others waiting [s].
    """

    CONFIRM = 2  # estimates of one source, one after another, that it takes to call a task done
    LAST_WORD = 3.0  # [s] at most that the estimate of the last moment is waited for

    def __init__(
        self,
        goal: Goal,
        *,
        execute: int,
        chain: Mapping[str, str],
        episode: int | None = None,
        spare: int = 0,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.goal, self.execute, self.episode = goal, execute, episode
        self._simulated, self._spare, self._clock = episode is not None, spare, clock
        self._first: int | None = None  # stamp of the first observation [ns]
        self._now: TaskState | None = None  # the newest one
        self._told: Progress | None = None  # the newest estimate
        self._judged: dict[str, int] = {}  # source -> stamp of its newest estimate [ns]
        self._done: Counter[str] = Counter()  # source -> estimates in a row that call it done
        self._outcome: Outcome | None = None
        self._until: float | None = None  # steady time to which the last estimate is waited for
        self._silence = Silence(chain, patience=patience, clock=clock)
        self._silence.ask(SIM)

    # What is heard

    def state(self, state: TaskState) -> Feedback | None:
        """A task state; feedback while nobody estimates progress."""
        if self._over or not self._ours(state):
            return None
        self._silence.heard(SIM)
        again = self._now is not None and state.moment.stamp <= self._now.moment.stamp
        if self._first is None:
            self._first, self.episode = state.moment.stamp, state.episode
        if again:
            self._silence.ask(SIM)
            return None
        self._now = state
        if state.success:
            self._end(Ending.SUCCEEDED, f"done in {state.moment.step} control steps", last_word=True)
        elif self._late(state):
            limit = f"the time limit of {self.goal.time_limit:g} s"
            self._end(Ending.TIMED_OUT, f"not done within {limit}{self._blind()}", last_word=state.done)
        elif state.done:
            self._end(Ending.FAILED, f"over without success at control step {state.moment.step}", last_word=True)
        else:
            self._expect(state)
        return Feedback(math.nan, math.nan, "", state.moment.step) if self._told is None else None

    def progress(self, told: Progress) -> Feedback | None:
        """An estimate; feedback when it is of this attempt."""
        now = self._now
        if now is None or self._first is None or told.moment.stamp < self._first or told.moment.seed != now.moment.seed:
            return None
        if told.moment.stamp <= self._judged.get(told.source, -1):
            return None  # an observation may be said twice, and so is judged twice
        self._judged[told.source] = told.moment.stamp
        self._told = told
        if not self._simulated and not self._over:
            least = self.goal.success_progress
            done = told.value >= least if least else told.success
            self._done[told.source] = self._done[told.source] + 1 if done else 0
            if self._done[told.source] >= self.CONFIRM:
                self._end(Ending.SUCCEEDED, f"{told.source} says so: progress {told.value:.2f}")
        if self._until is not None and told.moment.stamp >= now.moment.stamp:
            self._until = self._clock()  # that was the last word
        return Feedback(told.value, told.spread, told.source, told.moment.step)

    def candidates(self) -> None:
        self._silence.heard(POLICY)
        if not self._over and self._now is not None:
            self._silence.ask(VALUE)

    def chunk(self) -> None:
        self._silence.heard(VALUE)

    def sent(self) -> None:
        """The gate gave a command to the arm, be it to hold."""
        self._silence.heard(GATE)

    def gate(self, status: Status) -> None:
        """Stop when the gate will not move the arm again by itself."""
        if self._first is None or status.moment.stamp < self._first:
            return  # of before
        if status.state in (State.STOPPED, State.FAULT):
            what = "a fault" if status.state is State.FAULT else "the emergency stop"
            self._end(Ending.STOPPED, f"{what} stopped the arm: {status.detail}")

    def cancel(self) -> None:
        """Asked for by the client. What has ended stays as it ended."""
        self._end(Ending.CANCELLED, "cancelled on request")

    # What comes out

    def poll(self) -> Outcome | None:
        """How it ended; None while it runs."""
        if not self._over and (late := self._silence.late()):
            self._end(Ending.STOPPED, late)
        if self._outcome is None or (self._until is not None and self._clock() < self._until):
            return None
        outcome, told = self._outcome, self._told
        return Outcome(
            outcome.ending, outcome.message, told.value if told else math.nan, outcome.steps, outcome.episode,
            outcome.stamp,
        )  # fmt: skip

    @property
    def _over(self) -> bool:
        return self._outcome is not None

    def _ours(self, state: TaskState) -> bool:
        """Whether a state belongs to this attempt; another episode ends it."""
        if self._simulated:
            assert self.episode is not None
            if state.episode < self.episode:
                return False
            if state.episode <= self.episode + self._spare:
                if state.episode > self.episode:  # asked twice, begun twice: the second counts
                    self._spare -= state.episode - self.episode
                    self.episode, self._first, self._now = state.episode, None, None
                return True
        elif self._first is None:
            return state.instruction == self.goal.instruction and not state.done
        elif (state.episode, state.instruction) == (self.episode, self.goal.instruction):
            return True
        self._end(Ending.STOPPED, f"another episode has begun: '{state.instruction}'")
        return False

    def _expect(self, state: TaskState) -> None:
        """Who has something to do about a new observation."""
        self._silence.ask(SIM)
        self._silence.ask(GATE)
        if state.moment.step % self.execute == 0:
            self._silence.ask(POLICY)

    def _late(self, state: TaskState) -> bool:
        assert self._first is not None
        return (state.moment.stamp - self._first) * 1e-9 >= self.goal.time_limit - SLACK

    def _blind(self) -> str:
        if self._simulated or self._told is not None:
            return ""
        return "; nobody has estimated progress, so nobody could say that it is done"

    def _end(self, ending: Ending, message: str, *, last_word: bool = False) -> None:
        """last_word: the estimate of this moment is still to come, if anybody estimates."""
        if self._over:
            return
        now = self._now
        steps, stamp = (now.moment.step, now.moment.stamp) if now else (0, 0)
        self._outcome = Outcome(ending, message, steps=steps, episode=self.episode or 0, stamp=stamp)
        self._silence.clear()
        waits = last_word and self._told is not None and self._told.moment.stamp < stamp
        self._until = self._clock() + self.LAST_WORD if waits else None
