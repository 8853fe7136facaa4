"""What a goal of RunTask asks for, with every default filled in, or why it cannot be. Knows no ROS."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_sim.tasks import ALL_TASKS, Task

# Words around a request that change nothing about it.
POLITE = {
    *("please", "kindly", "thanks", "thank", "you", "hey", "hi", "hello", "ok", "okay", "so", "now", "then", "just"),
    *("robot", "vgps", "can", "could", "would", "will", "i", "we", "want", "need", "like", "to", "and", "for", "me"),
    *("us", "bit", "quickly", "carefully", "again"),
}
NEGATIONS = {"not", "don", "dont", "never", "no", "stop"}
ARTICLES = {"the", "a", "an"}
SAME = {"onto": "on", "into": "in", "upon": "on"}  # as another word
SIMILAR = 0.6  # likeness 0..1 from which a sentence is suggested


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
            raise GoalError("nothing is asked for: say what to do, in words, or name a task; `vgps tasks` lists them")
        if not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise GoalError(f"the time limit is {self.time_limit} s; give a number of seconds above 0")
        if not 0 <= self.success_progress <= 1:
            raise GoalError(f"success_progress is {self.success_progress}; it is a part of the task, from 0 to 1")


def known_tasks(sentences: Collection[str] | None) -> dict[str, Task]:
    """The simulator's tasks of which a policy was trained on some sentence; None: all of them."""
    if sentences is None:
        return dict(ALL_TASKS)
    trained = {_plain(sentence) for sentence in sentences}
    return {name: task for name, task in ALL_TASKS.items() if trained & {_plain(s) for s in _sentences(task)}}


def simulated(goal: Goal, tasks: Mapping[str, Task] = ALL_TASKS) -> Goal:
    """The same with its task, for a simulator that must be told which world to set up.

    A sentence without a task is looked up among all the sentences of all tasks; articles and polite words around it do
    not count. With a task any sentence goes, and the nodes get it as it is. tasks: those that the policy knows.
    """
    if goal.task:
        if goal.task not in ALL_TASKS:
            raise UnknownNameError("task", goal.task, tasks)
        if goal.task not in tasks:
            raise GoalError(f"the policy was not trained on the task {goal.task}; it knows{_offered(tasks)}")
        return goal
    wanted = _plain(goal.instruction)
    for task in ALL_TASKS.values():
        for sentence in _sentences(task):
            if _asks_for(wanted, _plain(sentence)):
                return simulated(replace(goal, instruction=sentence, task=task.id), tasks)
    near = _nearest(wanted, tasks)
    did_you_mean = f"did you mean '{near}'? " if near else ""
    raise GoalError(
        f"the simulator has no task '{goal.instruction.strip()}'; {did_you_mean}The policy knows{_offered(tasks)}\n"
        "Name the task beside words of your own: --task"
    )


def make(
    instruction: str,
    task: str,
    seed: int,
    time_limit: float,
    success_progress: float,
    *,
    simulator: bool,
    limit: float,
    tasks: Mapping[str, Task] = ALL_TASKS,
) -> Goal:
    """Of what was asked. limit: time limit where none was asked for [s]. Raises GoalError, UnknownNameError."""
    sentence = instruction.strip() or (ALL_TASKS[task].instruction if task in ALL_TASKS else task)
    goal = Goal(sentence, task, seed, limit if time_limit == 0 else time_limit, success_progress)
    return simulated(goal, tasks) if simulator else goal


def _sentences(task: Task) -> tuple[str, ...]:
    return (task.instruction, *task.paraphrases, *task.unseen)


def _plain(sentence: str) -> str:
    """Lower case, single spaces, no punctuation, no articles, one word for on and onto."""
    words = re.sub(r"[^\w\s]", " ", sentence.casefold()).split()
    return " ".join(SAME.get(word, word) for word in words if word not in ARTICLES)


def _asks_for(wanted: str, sentence: str) -> bool:
    """Whether a request is the sentence with nothing but polite words around it."""
    before, found, after = f" {wanted} ".partition(f" {sentence} ")
    return bool(found) and set(f"{before} {after}".split()) <= POLITE


def _nearest(wanted: str, tasks: Mapping[str, Task]) -> str:
    """The sentence that is most like the request; empty when none is, or when the request is not to do something."""
    if NEGATIONS & set(wanted.split()):
        return ""
    sentences = {_plain(s): s for task in tasks.values() for s in _sentences(task)}
    near = difflib.get_close_matches(wanted, sentences, n=1, cutoff=SIMILAR)
    return sentences[near[0]] if near else ""


def _offered(tasks: Mapping[str, Task]) -> str:
    """The tasks, a line each."""
    lines = [f"  {task.instruction}  (--task {task.id})" for task in tasks.values()]
    return "\n".join([":", *lines]) if lines else " no task of the simulator"
