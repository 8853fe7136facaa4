"""Pouring: what is in the bottle into the bowl, and the bottle back onto the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import (
    BALL_RADIUS,
    BALLS,
    BOTTLE_LENGTH,
    BOTTLE_RADIUS,
    BOWL_RADIUS,
    BOWL_RIM,
    FLOOR,
)
from vgps_sim.tasks.base import LIFTED, STILL, Goal, Physics, Place

UPRIGHT = 0.97  # cosine of the bottle's tilt at which it still counts as standing
AWAY = (0.125, 0.17)  # [m] of the bowl from the bottle


@dataclass(frozen=True)
class Pouring:
    """At least `enough` of the balls in the bowl, and the bottle standing on the table, let go."""

    id: str
    instruction: str
    paraphrases: tuple[str, ...]
    unseen: tuple[str, ...]
    enough: int
    bottle: str = "bottle"
    bowl: str = "bowl"
    distractor: str = ""
    max_steps: int = 100

    @property
    def things(self) -> tuple[str, ...]:
        return (self.bottle, self.bowl, *BALLS)

    @property
    def landmarks(self) -> tuple[str, ...]:
        """The bottle is two points, so that one sees how it leans; the balls are one, in their middle."""
        return (self.bottle, "bottle_mouth", self.bowl, "balls")

    @property
    def standing(self) -> tuple[str, ...]:
        return (self.bowl,)

    def located(self, physics: Physics) -> Array:
        balls = np.mean([physics.position(ball) for ball in BALLS], axis=0)
        return np.stack([physics.position(self.bottle), self.mouth(physics), physics.position(self.bowl), balls])

    def goal(self, physics: Physics) -> Goal:
        """Where the bottle is carried; it is not put down there."""
        return Goal(self.bottle, self.bowl, (BOWL_RADIUS, BOWL_RADIUS), (0.0, 0.2))

    def layout(self, rng: np.random.Generator) -> dict[str, Place]:
        """The bowl beside the bottle as the arm sees it, on either side; the balls in the bottle."""
        side = float(rng.choice([-1.0, 1.0]))
        x, y = float(rng.uniform(0.27, 0.34)), float(-side * rng.uniform(0.02, 0.08))
        angle = float(rng.uniform(-0.35, 0.35) + side * np.pi / 2)
        away = float(rng.uniform(*AWAY))
        bowl = Place(x + away * np.cos(angle), y + away * np.sin(angle), float(rng.uniform(-np.pi, np.pi)))
        places = {self.bottle: Place(x, y, float(rng.uniform(-np.pi, np.pi))), self.bowl: bowl}
        turn = rng.uniform(-np.pi, np.pi)
        for number, ball in enumerate(BALLS):  # in two columns, which leaves them room
            around = turn + np.pi * (number % 2)
            out = 0.0075 * np.array([np.cos(around), np.sin(around)])
            lift = 2 * FLOOR + 2.4 * BALL_RADIUS * (number // 2) + 0.5 * BALL_RADIUS * (number % 2)
            places[ball] = Place(x + float(out[0]), y + float(out[1]), 0.0, lift)
        return places

    def mouth(self, physics: Physics) -> Array:
        """Middle of the bottle's opening (3,) [m]."""
        return physics.position(self.bottle) + BOTTLE_LENGTH * physics.axes(self.bottle)[:, 2]

    def poured(self, physics: Physics) -> int:
        """How many balls are in the bowl."""
        return sum(self._in_bowl(physics, ball) for ball in BALLS)

    def left(self, physics: Physics) -> int:
        """How many are still in the bottle."""
        return sum(self._in_bottle(physics, ball) for ball in BALLS)

    def placed(self, physics: Physics) -> bool:
        return self.poured(physics) >= self.enough

    def success(self, physics: Physics) -> bool:
        return (
            self.placed(physics)
            and self.stands(physics)
            and physics.finger_contacts(self.bottle) == 0
            and physics.speed(self.bottle) < STILL
        )

    def stands(self, physics: Physics) -> bool:
        """The bottle is upright on the table."""
        height = physics.position(self.bottle)[2] - get_thing(self.bottle).rest_height
        return bool(physics.axes(self.bottle)[2, 2] > UPRIGHT and height < 0.006)

    def events(self, physics: Physics) -> set[str]:
        now: set[str] = set()
        if physics.finger_contacts(self.bottle) == 2:
            height = physics.position(self.bottle)[2] - get_thing(self.bottle).rest_height
            now |= {"grasped", "lifted"} if height > LIFTED else {"grasped"}
        return now | {"placed"} if self.placed(physics) else now

    def _in_bowl(self, physics: Physics, ball: str) -> bool:
        offset = physics.position(ball) - physics.position(self.bowl)
        return bool(np.hypot(*offset[:2]) < BOWL_RADIUS and -FLOOR < offset[2] < BOWL_RIM)

    def _in_bottle(self, physics: Physics, ball: str) -> bool:
        local = physics.axes(self.bottle).T @ (physics.position(ball) - physics.position(self.bottle))
        return bool(np.hypot(*local[:2]) < BOTTLE_RADIUS and -FLOOR < local[2] < BOTTLE_LENGTH)


POURING = Pouring(
    "pour_balls",
    "pour the balls from the bottle into the bowl",
    (
        "pour what is in the bottle into the bowl",
        "empty the green bottle into the bowl",
        "pick up the bottle and pour the balls into the bowl",
    ),
    ("decant the beads out of the flask over the dish", "tip the yellow marbles from the flagon to the basin"),
    enough=7,
)
