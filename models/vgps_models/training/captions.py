"""Sentences about recorded frames, and which of them are true: what an image-text model learns from.

A claim is one thing that can be said ("the spoon is in the gripper"), with many wordings. Whether it is true of
a frame is read from the simulator's facts, so that every sentence is compared with every frame, not only with
the one it was made for. Some nouns and some turns of phrase are kept out of training, to measure with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from vgps_models.data import Columns
from vgps_models.perception.phrases import GROUPS, Group
from vgps_models.training.truth import SCENES, Degrees, Facts

VARIETY = 24  # wordings of a claim that training draws from; instructions have six times as many
APART = 3  # nouns of every thing that training does not hear

# Fact -> turns of phrase; {0} the object, {1} on or in, {2} the target. The last of each is kept out of training.
FORMS: Mapping[str, tuple[str, ...]] = {
    "todo": (
        "still to do: put the {0} {1} the {2}", "the {0} has yet to be put {1} the {2}",
        "not done yet: the {0} {1} the {2}", "the {0} must still go {1} the {2}",
        "nobody has laid the {0} {1} the {2} so far",
    ),
    "on": (
        "the {0} is {1} the {2}", "the {0} lies {1} the {2}", "the {0} rests {1} the {2}",
        "there is the {0} {1} the {2}", "the {0} has been put {1} the {2}", "the {0} now sits {1} the {2}",
    ),
    "beside": (
        "the {0} lies beside the {2}", "the {0} is next to the {2}", "the {0} is not {1} the {2}",
        "the {0} lies on the table, apart from the {2}", "the {0} lies somewhere else than {1} the {2}",
        "the {0} is on the bare table beside the {2}",
    ),
    "near": (
        "the gripper is at the {0}", "the robot hand reaches for the {0}", "the hand is close to the {0}",
        "the robot is about to grasp the {0}", "the fingers are around the {0}",
    ),
    "held": (
        "the gripper holds the {0}", "the {0} is in the gripper", "a robot hand grips the {0}",
        "the robot has grasped the {0}", "the {0} is held by the robot", "the fingers hold on to the {0}",
    ),
    "lifted": (
        "the {0} is in the air", "the {0} is lifted off the table", "the robot lifts the {0}",
        "the robot carries the {0}", "the {0} hangs in the hand above the table",
    ),
    "above": (
        "the {0} is held above the {2}", "the {0} hovers over the {2}", "the robot holds the {0} over the {2}",
        "the {0} is about to be let go over the {2}",
    ),
    "scene": (
        "a {0} and a {2} on a table", "a robot with a {0} and a {2}", "a table with a {2} and a {0}",
        "a photo of a {0} and a {2}",
    ),
    "there": ("there is a {0}", "a photo of a {0}", "a robot arm and a {0}", "one can see a {0}"),
}  # fmt: skip
ANYWHERE: Mapping[str, tuple[str, ...]] = {  # claims about no thing in particular
    "empty": ("the gripper is empty", "the robot holds nothing", "the robot hand has nothing in it"),
    "any": (
        "a robot arm and objects on a table", "a robot at a table", "a photo of a robot arm",
        "a table with things and a robot", "some things lie before a robot",
    ),
}  # fmt: skip
UNDONE = ("still to do: {task}", "not done yet: {task}")
FINISHED = ("see to it that the {0} ends up {1} the {2}", "the {0} should finish {1} the {2}")  # unheard instructions
OF_THE_OBJECT = ("near", "held", "lifted", "there")  # facts that say nothing of the target


@dataclass(frozen=True)
class Claim:
    """task: whose things it is about, "" for none's. fact: of `FORMS`, `ANYWHERE`, or "done". Wordings that training
    hears, and others that it does not."""

    task: str
    fact: str
    heard: tuple[str, ...]
    unheard: tuple[str, ...]


def claims(variety: int = VARIETY) -> tuple[Claim, ...]:
    """All claims, in a fixed order. C of them. variety: wordings of each."""
    out = [Claim("", fact, forms[:-1], forms[-1:]) for fact, forms in ANYWHERE.items()]
    for task, group in zip(SCENES, GROUPS, strict=True):
        told = _instructions(group)[: 6 * variety]
        out.append(Claim(task, "done", told, _worded(FINISHED, group, variety, heard=False)))
        for fact, forms in FORMS.items():
            heard = _worded(forms[:-1], group, variety, heard=True)
            if fact == "todo":  # the instruction as it stands, whatever it looks like
                heard += tuple(form.format(task=sentence) for form in UNDONE for sentence in told[:variety])
            out.append(Claim(task, fact, heard, _worded(forms[-1:], group, variety, heard=False)))
    return tuple(out)


def truth(columns: Columns, made: Sequence[Claim]) -> Degrees:
    """How true every claim is of every frame; NaN where nobody can say. Shape (N, C)."""
    facts, tasks = Facts.of(columns), np.array(columns.instruction_tasks)[columns.instruction]
    distractors = np.array([SCENES[task].distractor for task in columns.instruction_tasks])[columns.instruction]
    out = np.zeros((len(columns), len(made)), np.float32)
    for i, claim in enumerate(made):
        if not claim.task:
            out[:, i] = facts.empty if claim.fact == "empty" else 1.0
            continue
        mine = tasks == claim.task
        if claim.fact in ("scene", "there"):
            out[mine, i] = 1.0
        else:
            out[mine, i] = 1 - facts.done[mine] if claim.fact == "todo" else getattr(facts, claim.fact)[mine]
        if claim.fact in OF_THE_OBJECT:  # it may be there as the distractor of another task
            other = ~mine & (distractors == SCENES[claim.task].object)
            known = {"near": np.nan, "there": 1.0}
            out[other, i] = known.get(claim.fact) if claim.fact in known else facts.other_held[other]
    return out


def _instructions(group: Group) -> tuple[str, ...]:
    """What the task may be called, without the nouns that are kept apart."""
    apart = [*group.objects[-APART:], *group.targets[-APART:]]
    return tuple(
        s for s in group.sentences() if s in group.known or not any(f"the {noun} " in f"{s} " for noun in apart)
    )


def _worded(forms: Sequence[str], group: Group, variety: int, *, heard: bool) -> tuple[str, ...]:
    """The forms with the first nouns, then others; all of one side of the split, and always the same."""
    objects, targets = (nouns[:-APART] if heard else nouns[-APART:] for nouns in (group.objects, group.targets))
    links = group.links[:2]
    made = list(dict.fromkeys(form.format(o, link, t) for form, o, link, t in product(forms, objects, links, targets)))
    plain = [form.format(objects[0], links[0], targets[0]) for form in forms]
    order = np.random.Generator(np.random.PCG64(1)).permutation(len(made))
    return tuple(dict.fromkeys([*plain, *(made[i] for i in order[:variety])]))
