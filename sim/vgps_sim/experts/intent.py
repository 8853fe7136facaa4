"""What a hand is after."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Intent:
    """What the hand is after; the defaults are right, a flaw changes them.

    thing: what to grasp, None for the task's object. target: where to bring it, None for the task's. offset: of the
    grasp from the object's middle [m, base frame]. place_offset: of the release from the target's middle [m].
    believes: take closed fingers for a held object.
    """

    thing: str | None = None
    target: str | None = None
    offset: tuple[float, float] = (0.0, 0.0)
    place_offset: tuple[float, float] = (0.0, 0.0)
    believes: bool = False
