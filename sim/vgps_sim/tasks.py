"""The four table-top tasks that SIMPLER made standard, as instructions, layouts and predicates.

A task knows nothing of MuJoCo; it asks `Physics` where things are. Success is a
state, not a history: the object rests where it belongs and the gripper let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_models.spaces import Array
from vgps_sim.objects import BASKET_HALF, get_thing

EVENTS = ("grasped", "lifted", "placed")
REGION_LOW, REGION_HIGH = np.array([0.19, -0.15]), np.array([0.35, 0.15])  # [m] where things are laid
LIFTED = 0.025  # [m] above its rest height
STILL = 0.05  # [m/s] slower than this counts as at rest


class Physics(Protocol):
    """What a task may ask of a world. Positions in the base frame [m]."""

    def position(self, thing: str) -> Array: ...
    def yaw(self, thing: str) -> float: ...
    def speed(self, thing: str) -> float: ...
    def touches(self, a: str, b: str) -> bool: ...
    def finger_contacts(self, thing: str) -> int: ...


@dataclass(frozen=True)
class Place:
    """Where one thing is laid out: position [m] and yaw [rad]."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class Task:
    """Bring `object` to `target` while `distractor` lies beside them.

    instruction: the canonical sentence. paraphrases: others that demonstrations are told with.
    unseen: sentences for tests alone; nothing is ever recorded or trained with them, and each has a
        verb and a noun that no training sentence of any task has.
    """

    id: str
    object: str
    target: str
    distractor: str
    instruction: str
    paraphrases: tuple[str, ...]
    unseen: tuple[str, ...]
    reach: tuple[float, float]  # [m] half sizes of the goal in the target's frame
    heights: tuple[float, float]  # [m] lowest and highest object frame above the target's

    @property
    def things(self) -> tuple[str, ...]:
        return (self.object, self.target, self.distractor)

    def layout(self, rng: np.random.Generator) -> dict[str, Place]:
        """Places for all things that leave the gripper room to close on any of them."""
        while True:
            places: dict[str, Place] = {}
            for name in (self.target, self.object, self.distractor):
                thing = get_thing(name)
                for _ in range(40):
                    x, y = rng.uniform(REGION_LOW, REGION_HIGH)
                    if all(
                        np.hypot(x - p.x, y - p.y) > thing.radius + get_thing(other).radius
                        for other, p in places.items()
                    ):
                        turn = np.pi / 2 if thing.symmetry == 2 else np.pi / 4
                        places[name] = Place(float(x), float(y), float(rng.uniform(-turn, turn)))
                        break
            if len(places) == 3:
                return places

    def placed(self, physics: Physics) -> bool:
        """The object is where it belongs, held or not."""
        offset = physics.position(self.object) - physics.position(self.target)
        yaw = physics.yaw(self.target)
        c, s = np.cos(yaw), np.sin(yaw)
        local = np.array([c * offset[0] + s * offset[1], -s * offset[0] + c * offset[1]])
        return bool((np.abs(local) < self.reach).all() and self.heights[0] < offset[2] < self.heights[1])

    def success(self, physics: Physics) -> bool:
        """Placed, let go, at rest, and carried by the target."""
        return (
            self.placed(physics)
            and physics.finger_contacts(self.object) == 0
            and physics.touches(self.object, self.target)
            and physics.speed(self.object) < STILL
        )

    def events(self, physics: Physics) -> set[str]:
        """Subgoals that hold now, of `EVENTS`."""
        held = physics.finger_contacts(self.object) == 2
        height = physics.position(self.object)[2] - get_thing(self.object).rest_height
        now = {"grasped"} if held else set()
        if held and height > LIFTED:
            now.add("lifted")
        if self.placed(physics):
            now.add("placed")
        return now


TASKS: dict[str, Task] = {
    t.id: t
    for t in (
        Task(
            "put_spoon_on_towel", "spoon", "towel", "green_block",
            "put the spoon on the towel",
            ("place the spoon on the towel", "lay the spoon down on the blue towel", "move the spoon onto the cloth"),
            ("bring the teaspoon over to the dishcloth", "rest the silver spoon on the napkin",
             "transfer the utensil to the towel", "leave the metal spoon lying on the blue rag"),
            (0.055, 0.055), (0.0, 0.02),
        ),
        Task(
            "put_carrot_on_plate", "carrot", "plate", "eggplant",
            "put the carrot on the plate",
            ("place the carrot on the plate", "set the carrot down on the white plate",
             "move the carrot onto the dish"),
            ("bring the orange vegetable to the plate", "transfer the carrot to the saucer",
             "rest the root vegetable on the plate", "leave the orange carrot lying on the round platter"),
            (0.05, 0.05), (0.0, 0.025),
        ),
        Task(
            "stack_green_block_on_yellow_block", "green_block", "yellow_block", "carrot",
            "stack the green block on the yellow block",
            ("put the green block on top of the yellow block", "place the green cube on the yellow cube",
             "pile the green block onto the yellow one"),
            ("position the green brick on the yellow brick", "balance the green box on top of the yellow box",
             "rest the green brick on the yellow one", "build a tower with the green cuboid above the yellow cuboid"),
            (0.02, 0.02), (0.03, 0.046),
        ),
        Task(
            "put_eggplant_in_basket", "eggplant", "basket", "spoon",
            "put the eggplant in the basket",
            ("place the eggplant into the basket", "drop the purple eggplant in the basket",
             "move the aubergine into the basket"),
            ("bring the purple vegetable to the basket", "deposit the eggplant inside the container",
             "toss the purple aubergine into the bin", "transfer the eggplant to the wicker hamper"),
            BASKET_HALF, (0.0, 0.035),
        ),
    )
}  # fmt: skip


def get_task(task_id: str) -> Task:
    """The task called `task_id`; the error lists the valid ones."""
    try:
        return TASKS[task_id]
    except KeyError:
        raise UnknownNameError("task", task_id, TASKS) from None
