"""Demonstrators of mixed quality: the expert, spoiled in the ways people spoil demonstrations.

Half of the flaws are noticed and mended within the episode, so that episodes
which end well carry flaws inside; the rest end the episode in failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_models.spaces import GRIPPER, Array
from vgps_sim.experts import Expert, Intent
from vgps_sim.tasks import Pouring, Sorting
from vgps_sim.world import World

FLAWS = ("missed_grasp", "early_release", "misplaced", "wrong_object", "dithering", "slow", "noisy")
QUALITIES = ("expert", "mixed", "poor", "varied")  # varied: each episode is of one of the others


@dataclass(frozen=True)
class Rates:
    """How often a flaw is drawn for an episode, and how often it is mended."""

    missed_grasp: float = 0.5
    early_release: float = 0.25
    misplaced: float = 0.25
    wrong_object: float = 0.12
    dithering: float = 0.3
    slow: float = 0.25
    noisy: float = 0.5
    mended: float = 0.45


MIXED = Rates()
EXPERT = Rates(0, 0, 0, 0, 0, 0, 0)
POOR = Rates(0.6, 0.4, 0.4, 0.2, 0.5, 0.4, 0.9, mended=0.3)
VARIED = (0.15, 0.35, 0.5)  # shares of the levels in varied data
LEVELS = {"expert": EXPERT, "mixed": MIXED, "poor": POOR}


class Demonstrator:
    """Acts in one episode; what it does wrong is drawn from `rng` beforehand.

    `flaws` names what was drawn; `act` returns the action and whether a flaw
    shaped it.
    """

    IDLE_STEPS = 4  # steps that a demonstrator who believes to be done stays

    def __init__(self, rng: np.random.Generator, quality: str = "mixed") -> None:
        if quality not in QUALITIES:
            raise UnknownNameError("quality", quality, QUALITIES)
        if quality == "varied":
            quality = str(rng.choice(list(LEVELS), p=VARIED))
        rates = LEVELS[quality]
        self.rng, self.expert = rng, Expert()
        self.flaws = tuple(f for f in FLAWS if rng.random() < getattr(rates, f))
        self.mends = bool(rng.random() < rates.mended)
        self.sigma = rng.uniform(0.003, 0.009) if "noisy" in self.flaws else 0.001  # [m]
        self.pace = rng.uniform(0.5, 0.8) if "slow" in self.flaws else 1.0
        start = int(rng.integers(1, 22)) if "dithering" in self.flaws else 10_000
        self.dither = range(start, start + int(rng.integers(3, 9)))
        self.release_at = rng.uniform(0.3, 0.9) if "early_release" in self.flaws else -1.0
        angle, slip = rng.uniform(-np.pi, np.pi), rng.uniform(0.055, 0.1)
        misplaced = (slip * np.cos(angle), slip * np.sin(angle)) if "misplaced" in self.flaws else (0.0, 0.0)
        self.miss = rng.choice([-1.0, 1.0]) * rng.uniform(0.018, 0.04) if "missed_grasp" in self.flaws else 0.0
        self.intent = Intent(place_offset=misplaced)
        self.later: Intent | None = None  # of the second onion, when the first is to go well
        self.drift = np.zeros(3)
        self.carry: float | None = None  # [m] distance to the target when the object was lifted
        self.done_for = 0
        self.held_before = False

    def finished(self) -> bool:
        """It believes to be done and has waited."""
        return self.done_for > self.IDLE_STEPS

    def act(self, world: World) -> tuple[Array, bool]:
        """The next action (7,), and whether a flaw shaped it."""
        if world.step == 0:
            self._aim(world)
        goal = world.task.goal(world)
        if self.later is not None and isinstance(world.task, Sorting) and goal is not world.task.goals[0]:
            self.intent, self.later = self.later, None
        if self.done_for:
            self.done_for += 1
            return self._spoil(self.expert.spec.clip(np.array([0, 0, 0.03, 0, 0, 0, 1.0]))), True
        if world.step in self.dither:
            wander = np.r_[self.rng.normal(0, 0.014, 3), 0, 0, self.rng.normal(0, 0.1), world.commanded_gripper]
            return self.expert.spec.clip(wander), True

        name = self.intent.thing or goal.object
        held = world.finger_contacts(name) == 2 and world.closed_for > 0
        believed = held or (self.intent.believes and world.closed_for >= 2)
        flawed = "slow" in self.flaws or self.sigma > 0.006
        action = self.expert.act(world, self.intent)
        if self.intent.thing or self.intent.offset != (0.0, 0.0):
            flawed = True
            if world.closed_for >= 2 and self.mends and (not held or self._carried(world, name)):
                self.intent = Intent(place_offset=self.intent.place_offset)
                action = self.expert.spec.clip(np.array([0, 0, 0.02, 0, 0, 0, 1.0]))
        elif held:
            flawed |= self.intent.place_offset != (0.0, 0.0) or self.intent.target is not None
            if self.intent.target and self.mends and self._near(world, self.intent.target):
                self.intent = replace(self.intent, target=None)  # the other bin
            if self._let_go(world):
                action[GRIPPER], flawed = 1.0, True
        if believed and action[GRIPPER] == 1.0 and self._spoilt():
            if self.mends:
                self.intent, self.release_at = Intent(), -1.0
            else:
                self.done_for = 1
            flawed = True
        return self._spoil(action), flawed

    def _spoilt(self) -> bool:
        """This release is a mistake, so it is either mended or the end."""
        intent = self.intent
        wrong = intent.believes or intent.thing or intent.target or intent.place_offset != (0.0, 0.0)
        return bool(wrong) or (self.release_at > 0 and self.carry is not None)

    def _aim(self, world: World) -> None:
        """Turn what was drawn into places of this layout."""
        task, goal = world.task, world.task.goal(world)
        if isinstance(task, Sorting):
            first = self.rng.random() < 0.5
            goal = task.goals[0 if first else 1]
        if "wrong_object" in self.flaws and task.distractor:
            self.intent = replace(self.intent, thing=task.distractor)
        elif "wrong_object" in self.flaws and isinstance(task, Sorting):
            other = next(g.target for g in task.goals if g is not goal)
            self.intent = replace(self.intent, target=other)
        elif self.miss:
            yaw = world.yaw(goal.object)  # across the long side: along it would still grasp
            if isinstance(task, Pouring):
                x, y, _ = world.position(goal.object)
                yaw = float(np.arctan2(y, x))
            offset = (-self.miss * np.sin(yaw), self.miss * np.cos(yaw))
            self.intent = replace(self.intent, offset=offset, believes=not self.mends)
        if isinstance(task, Sorting) and not first:
            self.intent, self.later = Intent(), self.intent

    def _near(self, world: World, target: str) -> bool:
        """The hand is over a target."""
        return bool(np.linalg.norm(world.tool_pose()[0][:2] - world.position(target)[:2]) < 0.08)

    def _carried(self, world: World, name: str) -> bool:
        return bool(world.position(name)[2] > 0.05)

    def _let_go(self, world: World) -> bool:
        """The moment of an early release has come."""
        goal = world.task.goal(world)
        away = world.position(goal.target)[:2] - world.position(goal.object)[:2]
        distance = float(np.linalg.norm(away))
        if world.tool_pose()[0][2] < 0.05 or self.release_at < 0 or self.later is not None:
            return False
        self.carry = self.carry or distance
        return distance < self.carry * (1.0 - self.release_at) + 0.01

    def _spoil(self, action: Array) -> Array:
        """Pace and a slowly changing position noise."""
        self.drift = 0.6 * self.drift + 0.8 * self.rng.normal(0.0, self.sigma, 3)
        action = action.copy()
        action[:6] *= self.pace
        action[:3] += self.drift * [1.0, 1.0, 0.5]
        return self.expert.spec.clip(action)
