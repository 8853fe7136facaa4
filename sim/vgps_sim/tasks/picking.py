"""The four table-top tasks that SIMPLER made standard, as instructions, layouts and predicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.spaces import Array
from vgps_sim.objects import BASKET_HALF, get_thing
from vgps_sim.tasks.base import LIFTED, REGION_HIGH, REGION_LOW, Goal, Physics, Place


@dataclass(frozen=True)
class PickPlace:
    """Bring `object` to `target` while `distractor` lies beside them.

    unseen: nothing is ever recorded or trained with these sentences, and each has a verb and a noun that no training
        sentence of any task has. reach, heights: of the `Goal`.
    """

    id: str
    object: str
    target: str
    distractor: str
    instruction: str
    paraphrases: tuple[str, ...]
    unseen: tuple[str, ...]
    reach: tuple[float, float]
    heights: tuple[float, float]
    max_steps: int = 60

    @property
    def things(self) -> tuple[str, ...]:
        return (self.object, self.target, self.distractor)

    @property
    def landmarks(self) -> tuple[str, ...]:
        return self.things

    def located(self, physics: Physics) -> Array:
        return np.stack([physics.position(name) for name in self.things])

    @property
    def standing(self) -> tuple[str, ...]:
        return (self.target,)

    @property
    def only_goal(self) -> Goal:
        return Goal(self.object, self.target, self.reach, self.heights)

    def goal(self, physics: Physics) -> Goal:
        return self.only_goal

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
        return self.only_goal.placed(physics)

    def success(self, physics: Physics) -> bool:
        return self.only_goal.reached(physics)

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


TASKS: dict[str, PickPlace] = {
    t.id: t
    for t in (
        PickPlace(
            "put_spoon_on_towel", "spoon", "towel", "green_block",
            "put the spoon on the towel",
            ("place the spoon on the towel", "lay the spoon down on the blue towel", "move the spoon onto the cloth"),
            ("bring the teaspoon over to the dishcloth", "rest the silver spoon on the napkin",
             "transfer the utensil to the towel", "leave the metal spoon lying on the blue rag"),
            (0.055, 0.055), (0.0, 0.02),
        ),
        PickPlace(
            "put_carrot_on_plate", "carrot", "plate", "eggplant",
            "put the carrot on the plate",
            ("place the carrot on the plate", "set the carrot down on the white plate",
             "move the carrot onto the dish"),
            ("bring the orange vegetable to the plate", "transfer the carrot to the saucer",
             "rest the root vegetable on the plate", "leave the orange carrot lying on the round platter"),
            (0.05, 0.05), (0.0, 0.025),
        ),
        PickPlace(
            "stack_green_block_on_yellow_block", "green_block", "yellow_block", "carrot",
            "stack the green block on the yellow block",
            ("put the green block on top of the yellow block", "place the green cube on the yellow cube",
             "pile the green block onto the yellow one"),
            ("position the green brick on the yellow brick", "balance the green box on top of the yellow box",
             "rest the green brick on the yellow one", "build a tower with the green cuboid above the yellow cuboid"),
            (0.02, 0.02), (0.03, 0.046),
        ),
        PickPlace(
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
