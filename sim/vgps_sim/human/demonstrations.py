"""A person in simulation who shows a task, as a demonstration for an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vgps_models.errors import DataError
from vgps_models.keypoints.paths import cleaned
from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.people.performance import Performance, perform
from vgps_sim.people.person import Person
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View
from vgps_sim.retarget.handled import Demonstration, holds
from vgps_sim.retarget.reaching import Noise
from vgps_sim.retarget.shown import above, shown
from vgps_sim.tasks import Place, Task, number_of

FPS = 25  # frames a second in which a person is watched
LOWEST = 0.012  # [m] above the table fingertips are
SIDEWAYS = 0.6  # [rad] to either side of straight ahead to which the hand points, as the arm's own tool does
TIPS = (3, 4, 7, 8)  # landmarks of thumb and index finger: last joints and tips
FAILURES = {"expert": 0.0, "mixed": 0.35}  # quality -> share of the performances that are meant to fail
ATTEMPTS = 10
SEEN = Noise()


@dataclass(frozen=True, eq=False)
class Shot:
    """performance: what the person really did. demonstration: what was seen of it."""

    performance: Performance
    demonstration: Demonstration


def demonstrated(task_id: str, seed: int, quality: str = "expert", noise: Noise = SEEN) -> Shot:
    """One performance, seen from where the arm stands; all of it is drawn from task and seed.

    quality: see `FAILURES`. noise: of whoever finds the points of hand and arm; its turn is not used.
    """
    for attempt in range(ATTEMPTS):
        seen = _Seen()
        performed = perform(
            "person", task_id, seed, size=16, failures=FAILURES[quality], front=0.0, attempt=attempt, fps=FPS,
            ahead=SIDEWAYS, watch=seen,
        )  # fmt: skip
        made = seen.demonstration(task_id, np.random.default_rng([number_of(task_id), seed, attempt]), noise)
        if holds(made):
            return Shot(performed, made)
    raise DataError(f"{task_id}, seed {seed}: the person took nothing in {ATTEMPTS} attempts")


def movable(task: Task) -> tuple[str, ...]:
    """What hands take."""
    return tuple(name for name in task.landmarks if name in task.things and get_thing(name).movable)


class _Seen:
    def __init__(self) -> None:
        self.hand: list[Array] = []
        self.arm: list[Array] = []
        self.things: list[dict[str, Array]] = []
        self.places: dict[str, Place] = {}

    def __call__(self, stage: Stage, views: Sequence[View]) -> None:
        body = stage.embodiment
        assert isinstance(body, Person)
        self.places = self.places or dict(stage.places)
        seen = body.seen(stage.tip)
        self.hand.append(seen.hand)
        self.arm.append(np.stack([seen.shoulder, seen.elbow, seen.hand[0]]))
        self.things.append({name: stage.position(name) for name in movable(stage.task)})

    def demonstration(self, task_id: str, random: np.random.Generator, noise: Noise) -> Demonstration:
        """As a detector saw it: each point of the person shaken in each frame, then cleaned as recordings are.

        Things are where they are.
        """
        hand, arm = np.array(self.hand), np.array(self.arm)
        size = np.full(hand.shape, noise.joints)
        size[:, TIPS] = noise.tip
        points = np.concatenate([hand + random.normal(0, 1, hand.shape) * size, arm], axis=1)
        points[:, len(size[0]) :] += random.normal(0, noise.joints, arm.shape)
        points, _ = cleaned(points, np.arange(len(hand)) / FPS)
        person = above(shown(points[:, : len(size[0])], points[:, len(size[0]) :], 1 / FPS), LOWEST)
        things = {name: np.array([where[name] for where in self.things]) for name in self.things[0]}
        return Demonstration(task_id, person, things, self.places)
