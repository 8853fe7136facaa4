"""What a goal of RunTask asks for, with every default filled in, or why it cannot be. Knows no ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_sim.tasks import ALL_TASKS


class GoalError(VgpsError):
    """A goal that cannot begin; the message says what would be right."""


@dataclass(frozen=True)
class Goal:
    """Fields as in RunTask.action."""

    instruction: str
    task: str = ""
    seed: int = 0
    time_limit: float = 12.0  # [s] on the clock of the observations
    success_progress: float = 0.0  # progress from which it counts as done; 0: as the estimator says

    def __post_init__(self) -> None:
        if not self.instruction:
            raise GoalError("nothing is asked for: say what to do, in words, or name a task")
        if not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise GoalError(f"a time limit of {self.time_limit} s is none; give a number of seconds above 0")
        if not 0 <= self.success_progress <= 1:
            raise GoalError(f"success_progress is {self.success_progress}; it is a part of the task, from 0 to 1")


def simulated(goal: Goal) -> Goal:
    """The same with its task, for a simulator that must be told which world to set up.

    A sentence that names no task is looked up among all the sentences of all tasks; with a task any sentence goes, and
    the nodes hear it as it is.
    """
    if goal.task:
        if goal.task not in ALL_TASKS:
            raise UnknownNameError("task", goal.task, ALL_TASKS)
        return goal
    wanted = _plain(goal.instruction)
    for task in ALL_TASKS.values():
        for sentence in (task.instruction, *task.paraphrases, *task.unseen):
            if _plain(sentence) == wanted:
                return Goal(sentence, task.id, goal.seed, goal.time_limit, goal.success_progress)
    known = "; ".join(f"'{task.instruction}' ({task.id})" for task in ALL_TASKS.values())
    raise GoalError(
        f"no simulated task is told as '{goal.instruction}'. Say one of: {known}; or name a task beside your own words"
    )


def make(
    instruction: str, task: str, seed: int, time_limit: float, success_progress: float, *, simulator: bool, limit: float
) -> Goal:
    """Of what was asked. limit: time limit where none was asked for [s]. Raises GoalError, UnknownNameError."""
    told = instruction.strip() or (ALL_TASKS[task].instruction if task in ALL_TASKS else task)
    goal = Goal(told, task, seed, limit if time_limit == 0 else time_limit, success_progress)
    return simulated(goal) if simulator else goal


def _plain(sentence: str) -> str:
    return " ".join(sentence.casefold().strip(" .!").split())
