"""Other words for the instructions of the shipped tasks, for training: one group of sentences a task.

A policy that hears four sentences learns those four, and which episodes were
recorded with which; a wording it has not heard then moves it. So every sentence
seen in training is drawn anew from some hundred that mean the same.

The words that `Task.unseen` is made of in the simulator (bring, rest, brick,
napkin, ...) are left out here on purpose: they test what training has not heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from vgps_models.perception.language import tidy

COUNT = 256  # generated sentences a task
ON = ("on", "onto", "on top of", "upon", "down on", "over on")
IN = ("in", "into", "inside of", "down in", "within")
TELLING = (  # object, preposition, target
    "put {0} {1} {2}", "place {0} {1} {2}", "lay {0} {1} {2}", "set {0} {1} {2}", "move {0} {1} {2}",
    "drop {0} {1} {2}",
    "pick up {0} and put it {1} {2}", "take {0} and place it {1} {2}", "grab {0} and lay it {1} {2}",
    "lift {0} and set it {1} {2}", "carry {0} and drop it {1} {2}", "get {0} {1} {2}", "slide {0} {1} {2}",
    "relocate {0} so that it is {1} {2}", "i want {0} {1} {2}", "{0} goes {1} {2}", "please put {0} {1} {2}",
    "can you place {0} {1} {2}", "pick {0} and lower it {1} {2}", "{0} {1} {2}",
)  # fmt: skip
PILING = ("stack {0} {1} {2}", "pile {0} {1} {2}", "pick up {0} and stack it {1} {2}", "heap {0} {1} {2}")


@dataclass(frozen=True)
class Group:
    """Everything that one task may be called: `known` sentences, and templates x names of object and target."""

    known: tuple[str, ...]
    objects: tuple[str, ...]
    targets: tuple[str, ...]
    links: tuple[str, ...] = ON
    templates: tuple[str, ...] = TELLING

    def sentences(self) -> tuple[str, ...]:
        """The known ones, then `COUNT` others, always the same."""
        made = [
            template.format(f"the {thing}", link, f"the {target}")
            for template, thing, link, target in product(self.templates, self.objects, self.links, self.targets)
        ]
        others = [made[i] for i in np.random.Generator(np.random.PCG64(0)).permutation(len(made))]
        return (*self.known, *[s for s in others if s not in self.known][:COUNT])


GROUPS = (
    Group(
        ("put the spoon on the towel", "place the spoon on the towel", "lay the spoon down on the blue towel",
         "move the spoon onto the cloth"),
        ("spoon", "grey spoon", "steel spoon", "small spoon", "soup spoon", "tablespoon", "ladle", "scoop", "big spoon",
         "kitchen tool", "shiny spoon", "cutlery"),
        ("towel", "blue towel", "cloth", "blue cloth", "fabric", "washcloth", "striped towel", "piece of cloth",
         "hand towel", "mat", "handkerchief", "blanket"),
    ),
    Group(
        ("put the carrot on the plate", "place the carrot on the plate", "set the carrot down on the white plate",
         "move the carrot onto the dish"),
        ("carrot", "orange carrot", "small carrot", "baby carrot", "fresh carrot", "raw carrot", "orange crop",
         "orange food", "orange thing", "orange object", "garden carrot", "orange root"),
        ("plate", "white plate", "dish", "white dish", "dinner plate", "round plate", "tray", "flat dish",
         "white disc", "round dish", "blue rimmed plate", "china"),
    ),
    Group(
        ("stack the green block on the yellow block", "put the green block on top of the yellow block",
         "place the green cube on the yellow cube", "pile the green block onto the yellow one"),
        ("green block", "green cube", "green toy block", "green building block", "green wooden block", "green piece",
         "green square", "green one", "green die", "small green block", "green thing", "green object"),
        ("yellow block", "yellow cube", "yellow toy block", "yellow building block", "yellow wooden block",
         "yellow piece", "yellow square", "yellow one", "yellow die", "yellow thing", "yellow object"),
        ("on", "onto", "on top of", "upon", "over"),
        (*PILING, *TELLING),
    ),
    Group(
        ("put the eggplant in the basket", "place the eggplant into the basket",
         "drop the purple eggplant in the basket", "move the aubergine into the basket"),
        ("eggplant", "purple eggplant", "aubergine", "dark eggplant", "brinjal", "purple fruit", "purple food",
         "purple crop", "purple thing", "purple object", "fresh eggplant", "whole aubergine"),
        ("basket", "straw basket", "brown basket", "woven basket", "bucket", "crate", "tub", "small basket",
         "open basket", "holder", "carton", "pot"),
        IN,
    ),
)  # fmt: skip


@cache
def _members() -> dict[str, tuple[str, ...]]:
    return {sentence: group for group in map(Group.sentences, GROUPS) for sentence in group}


def same_meaning(instruction: str) -> tuple[str, ...]:
    """All sentences that mean what `instruction` means, itself among them; it alone when it is of no shipped task."""
    return _members().get(tidy(instruction), (instruction,))
