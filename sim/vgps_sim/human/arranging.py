"""Things on a table, some of which are already where a task wants them, or where it does not."""

from __future__ import annotations

import numpy as np

from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BALL_RADIUS, BALLS, BOWL_RADIUS
from vgps_sim.tasks import PickPlace, Place, Pouring, Sorting, Task

DONE = 0.35  # share of the things to be moved that lie in or on something


def arranged(task: Task, rng: np.random.Generator) -> dict[str, Place]:
    """A layout of the task with a share of its objects in or on one of its targets, balls in the bowl."""
    places = task.layout(rng)
    if isinstance(task, Pouring):
        return places | _poured(places[task.bowl], rng) if rng.random() < DONE else places
    goals = {PickPlace: lambda t: (t.only_goal,), Sorting: lambda t: t.goals}[type(task)](task)
    free = [goal.target for goal in goals]
    for goal in goals:
        if rng.random() < DONE:
            target = str(rng.choice(free))
            free.remove(target)
            at, reach = places[target], np.minimum(goal.reach, 0.04)
            x, y = np.array([at.x, at.y]) + rng.uniform(-1, 1, 2) * 0.7 * reach
            places[goal.object] = Place(float(x), float(y), float(rng.uniform(-np.pi, np.pi)), get_thing(target).top)
    return places


def _poured(bowl: Place, rng: np.random.Generator) -> dict[str, Place]:
    """Balls on the bowl's floor, where they have rolled together more or less."""
    middle = rng.normal(0, 0.012, 2)
    spots = middle + rng.normal(0, rng.uniform(0.008, 0.02), (len(BALLS), 2))
    far = np.linalg.norm(spots, axis=1, keepdims=True)
    spots *= np.minimum(1.0, (BOWL_RADIUS - 2 * BALL_RADIUS) / np.maximum(far, 1e-9))
    top = get_thing("bowl").top
    return {
        ball: Place(bowl.x + float(x), bowl.y + float(y), 0.0, top) for ball, (x, y) in zip(BALLS, spots, strict=True)
    }
