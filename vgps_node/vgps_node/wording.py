"""Say a task in other words: a controller under the canonical sentence, a training paraphrase or an unseen one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_models.spaces import Controller, Decision, Observation
from vgps_sim.results import Condition, EvaluationError

WORDINGS = ("canonical", "seen", "unseen")
STREAM = 13  # keeps this draw apart from all others of the same episode


@dataclass(frozen=True)
class Worded:
    """A controller that hears the wording's sentence in place of the world's, one and the same all episode."""

    controller: Controller
    wording: str

    def __call__(self, observation: Observation) -> Decision:
        told = reword(observation.instruction, self.wording, observation.key[0])
        return self.controller(replace(observation, instruction=told))


@dataclass(frozen=True)
class WordedFactory:
    """Makes a controller and wraps it. Picklable when the factory is."""

    factory: Callable[[], Controller]
    wording: str

    def __call__(self) -> Controller:
        return Worded(self.factory(), self.wording)


def in_words(condition: Condition, wording: str) -> Condition:
    """The same side of an evaluation under another wording; the canonical one changes nothing."""
    if wording not in WORDINGS:
        raise UnknownNameError("wording", wording, WORDINGS)
    if wording == "canonical":
        return condition
    if condition.factory is None:
        raise EvaluationError(f"condition '{condition.name}' has no controller here that could hear other words")
    name = f"{condition.name}:{wording}"
    return Condition(name, WordedFactory(condition.factory, wording), {**condition.settings, "wording": wording})


def reword(instruction: str, wording: str, seed: int) -> str:
    """What the task of a canonical `instruction` is called in the episode of `seed`."""
    from vgps_sim.tasks import ALL_TASKS  # loads the simulator

    task = next((t for t in ALL_TASKS.values() if t.instruction == instruction), None)
    if task is None:
        raise UnknownNameError("instruction", instruction, [t.instruction for t in ALL_TASKS.values()])
    sentences = {"canonical": (instruction,), "seen": task.paraphrases, "unseen": task.unseen}[wording]
    random = np.random.Generator(np.random.PCG64([abs(int(seed)), STREAM]))
    return sentences[int(random.integers(len(sentences)))]
