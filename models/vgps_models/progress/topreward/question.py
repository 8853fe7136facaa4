"""The question of TOPReward: frames of the episode so far in the order of time, and whether the task is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.progress.topreward.score import Parts

VERSION = 1  # raise it when the words change


def prefix(last: int, most: int) -> NDArray[np.intp]:
    """Indices of at most `most` frames evenly spread over frames 0 .. `last`, both of these among them.

    Shape (min(most, last + 1),), increasing. most: at least 2.
    """
    return np.unique(np.linspace(0, last, min(most, last + 1)).round().astype(np.intp))


def question(task: str, shown: Sequence[Parts]) -> list[Any]:
    """shown: of `Clip.shown`, those of one prefix. The words come last, so that every picture can inform them."""
    return [
        *(part for moment in shown for part in moment),
        f"The pictures above show, in the order of time, a robot or a person from the beginning of an attempt until "
        f"now ({len(shown)} moments). Their task: {task}.\nStatement: the task is now completely done.\nIs this "
        "statement True or False? Answer with that one word.",
    ]
