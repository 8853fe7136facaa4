"""What a task is to the worlds that play it.

A task knows nothing of MuJoCo; it asks `Physics` where things are. Success is a
state, not a history: things rest where they belong and the gripper let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vgps_models.spaces import Array

EVENTS = ("grasped", "lifted", "placed")
REGION_LOW, REGION_HIGH = np.array([0.19, -0.15]), np.array([0.35, 0.15])  # [m] where things are laid
LIFTED = 0.025  # [m] above its rest height
STILL = 0.05  # [m/s] slower than this counts as at rest


class Physics(Protocol):
    """What a task may ask of a world. Positions in the base frame [m]."""

    def position(self, thing: str) -> Array: ...
    def axes(self, thing: str) -> Array: ...
    def yaw(self, thing: str) -> float: ...
    def speed(self, thing: str) -> float: ...
    def touches(self, a: str, b: str) -> bool: ...
    def finger_contacts(self, thing: str) -> int: ...


@dataclass(frozen=True)
class Place:
    """Where one thing is laid out: position [m] and yaw [rad]. lift: of its frame from where it would lie [m]."""

    x: float
    y: float
    yaw: float
    lift: float = 0.0


@dataclass(frozen=True)
class Goal:
    """`object` belongs on or in `target`.

    reach: half sizes of the goal in the target's frame [m]. heights: lowest and highest object frame above the
    target's [m].
    """

    object: str
    target: str
    reach: tuple[float, float]
    heights: tuple[float, float]

    def placed(self, physics: Physics) -> bool:
        """The object is where it belongs, held or not."""
        offset = physics.position(self.object) - physics.position(self.target)
        yaw = physics.yaw(self.target)
        c, s = np.cos(yaw), np.sin(yaw)
        local = np.array([c * offset[0] + s * offset[1], -s * offset[0] + c * offset[1]])
        return bool((np.abs(local) < self.reach).all() and self.heights[0] < offset[2] < self.heights[1])

    def reached(self, physics: Physics) -> bool:
        """Placed, let go, at rest, and carried by the target."""
        return (
            self.placed(physics)
            and physics.finger_contacts(self.object) == 0
            and physics.touches(self.object, self.target)
            and physics.speed(self.object) < STILL
        )


class Task(Protocol):
    """What all tasks have.

    instruction: the canonical sentence. paraphrases: others that demonstrations are told with. unseen: sentences for
    tests alone. things: all that lies on the table. distractor: of them, what is mistaken for the object, or nothing.
    max_steps: control steps after which an episode counts as failed.
    """

    @property
    def id(self) -> str: ...
    @property
    def instruction(self) -> str: ...
    @property
    def paraphrases(self) -> tuple[str, ...]: ...
    @property
    def unseen(self) -> tuple[str, ...]: ...
    @property
    def things(self) -> tuple[str, ...]: ...
    @property
    def distractor(self) -> str: ...
    @property
    def max_steps(self) -> int: ...

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the points by which one can see how the task stands."""
        ...

    @property
    def standing(self) -> tuple[str, ...]:
        """Of the things those that nobody lifts."""
        ...

    def goal(self, physics: Physics) -> Goal:
        """What is to be done now."""
        ...

    def located(self, physics: Physics) -> Array:
        """Where the landmarks are (N, 3) [m]."""
        ...

    def layout(self, rng: np.random.Generator) -> dict[str, Place]: ...

    def placed(self, physics: Physics) -> bool:
        """All is where it belongs, held or not."""
        ...

    def success(self, physics: Physics) -> bool: ...

    def events(self, physics: Physics) -> set[str]:
        """Subgoals that hold now, of `EVENTS`."""
        ...
