"""Sorting by what can be seen: the good onion into the green bin, the blemished one into the red."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BIN_HALF
from vgps_sim.tasks.base import LIFTED, REGION_HIGH, REGION_LOW, Goal, Physics, Place

ASIDE = (0.148, 0.168)  # [m] of a bin's middle from the x axis; the onions lie between the bins
MIDDLE = 0.045  # [m] largest distance of an onion from the x axis
APART = 0.06  # [m] between the onions along x, so that fingers that close along y touch one of them


@dataclass(frozen=True)
class Sorting:
    """Each of `goals`, in any order. Which bin is on the left is drawn with the layout."""

    id: str
    instruction: str
    paraphrases: tuple[str, ...]
    unseen: tuple[str, ...]
    goals: tuple[Goal, ...]
    distractor: str = ""
    max_steps: int = 100

    @property
    def things(self) -> tuple[str, ...]:
        return (*(goal.object for goal in self.goals), *(goal.target for goal in self.goals))

    @property
    def landmarks(self) -> tuple[str, ...]:
        return self.things

    @property
    def standing(self) -> tuple[str, ...]:
        return tuple(goal.target for goal in self.goals)

    def located(self, physics: Physics) -> Array:
        return np.stack([physics.position(name) for name in self.things])

    def goal(self, physics: Physics) -> Goal:
        """Of what is held; else the first that is not reached."""
        held = [goal for goal in self.goals if physics.finger_contacts(goal.object) == 2]
        open_ = [goal for goal in self.goals if not goal.placed(physics)]
        return (held or open_ or list(self.goals[-1:]))[0]

    def layout(self, rng: np.random.Generator) -> dict[str, Place]:
        sides = rng.permutation([-1.0, 1.0])
        places = {
            goal.target: Place(
                float(rng.uniform(0.24, 0.31)), float(side * rng.uniform(*ASIDE)), float(rng.uniform(-0.2, 0.2))
            )
            for goal, side in zip(self.goals, sides, strict=True)
        }
        low, high = [REGION_LOW[0], -MIDDLE], [REGION_HIGH[0], MIDDLE]
        while True:
            spots = rng.uniform(low, high, (len(self.goals), 2))
            if np.diff(np.sort(spots[:, 0])).min() > APART:
                break
        for goal, (x, y) in zip(self.goals, spots, strict=True):
            places[goal.object] = Place(float(x), float(y), float(rng.uniform(-np.pi, np.pi)))
        return places

    def placed(self, physics: Physics) -> bool:
        return all(goal.placed(physics) for goal in self.goals)

    def success(self, physics: Physics) -> bool:
        return all(goal.reached(physics) for goal in self.goals)

    def events(self, physics: Physics) -> set[str]:
        now: set[str] = set()
        for goal in self.goals:
            if physics.finger_contacts(goal.object) == 2:
                height = physics.position(goal.object)[2] - get_thing(goal.object).rest_height
                now |= {"grasped", "lifted"} if height > LIFTED else {"grasped"}
        return now | {"placed"} if self.placed(physics) else now


SORTING = Sorting(
    "sort_onions",
    "sort the good onion into the green bin and the blemished onion into the red bin",
    (
        "put the good onion in the green bin and the blemished onion in the red bin",
        "sort the onions, the good one into the green bin and the spotted one into the red bin",
        "place the clean onion in the green bin and the bad onion in the red one",
    ),
    (
        "separate the produce, healthy in the emerald tray and rotten in the crimson tray",
        "divide the bulbs by quality between the two crates",
    ),
    tuple(
        Goal(onion, target, BIN_HALF, (0.0, 0.035))
        for onion, target in (("good_onion", "green_bin"), ("blemished_onion", "red_bin"))
    ),
)
