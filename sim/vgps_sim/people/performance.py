"""One performance, from a seed to the frames of its views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vgps_models.spaces import Image
from vgps_sim.objects import get_thing
from vgps_sim.people.acting import Actor, home_of, nearest_yaw
from vgps_sim.people.embodiments import EMBODIMENTS, get_embodiment
from vgps_sim.people.manner import draw_manner
from vgps_sim.people.parts import Embodiment, Tip
from vgps_sim.people.setting import ROOM, make_setting
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import IN_FRONT, View, free_view, front_view
from vgps_sim.tasks import TASKS, Place, Task, get_task

SHORTEST, LONGEST = 20, 60  # frames


@dataclass(frozen=True, eq=False)
class Performance:
    """frames: view -> (T, size, size, 3) uint8, the same moments in all of them. words: the task as it was told.

    success: the task's own condition, at the last frame. fault: what was to go wrong, or nothing. mended: and to be
    put right.
    """

    task: str
    embodiment: str
    seed: int
    words: str
    frames: dict[str, Image]
    success: bool
    fault: str
    mended: bool

    @property
    def length(self) -> int:
        return len(next(iter(self.frames.values())))


def perform(
    embodiment: str,
    task_id: str,
    seed: int,
    *,
    views: int = 1,
    size: int = 128,
    failures: float = 0.25,
    front: float = 0.5,
    attempt: int = 0,
    watch: Callable[[Stage, Sequence[View]], None] | None = None,
) -> Performance:
    """Play and film one performance; all of it is drawn from embodiment, task, seed and attempt.

    views: cameras that look on; more of them change nothing else. failures: share that is meant to fail.
    front: share whose first view is the robot's front camera. watch: also called at every frame.
    """
    task, make = get_task(task_id), get_embodiment(embodiment)
    key = [list(EMBODIMENTS).index(embodiment), list(TASKS).index(task_id), abs(int(seed)), attempt]
    play, scenery, cameras = (np.random.default_rng(s) for s in np.random.SeedSequence(key).spawn(3))
    words = str(play.choice([task.instruction, *task.paraphrases]))
    manner = draw_manner(play, failures)
    from_front = bool(play.random() < front)
    thing = task.distractor if manner.fault == "wrong_object" else task.object
    places = _layout(task, thing, play)
    body = make(scenery)
    body.side = _side(body, task, thing, places, from_front, play)
    filmed = list(_views(views, body, places, from_front, cameras))
    setting = make_setting(task, body, filmed, places, scenery)
    home = home_of(body.side, play)
    stage = Stage(task, setting, body, Tip(home, body.natural_yaw, float(play.uniform(0.02, 0.05))))
    frames: dict[str, list[Image]] = {view.name: [] for view in filmed}

    def take() -> int:
        for view in filmed:
            frames[view.name].append(stage.picture(view.name, size))
        if watch is not None:
            watch(stage, filmed)
        return len(frames[filmed[0].name])

    try:
        take()
        for _ in _moments(stage, Actor(stage, manner, play, home)):
            if take() == LONGEST:
                break
        success = task.success(stage)
    finally:
        stage.close()
    pictures = {name: np.stack(taken) for name, taken in frames.items()}
    return Performance(task_id, embodiment, seed, words, pictures, success, manner.fault, manner.mended)


def _moments(stage: Stage, actor: Actor) -> Iterator[None]:
    """A frame each, until the actor is done and there are enough of them."""
    count = 1
    for stroke in actor.act():
        for _ in stage.follow(stroke):
            count += 1
            yield
    while count < SHORTEST:
        for _ in stage.follow(actor.rest()):
            count += 1
            yield


def _views(
    count: int, embodiment: Embodiment, places: dict[str, Place], from_front: bool, rng: np.random.Generator
) -> Iterator[View]:
    points = np.array([[place.x, place.y, 0.02] for place in places.values()])
    for number, own in enumerate(rng.spawn(count)):
        front = from_front and number == 0
        yield front_view(own) if front else free_view(f"free_{number}", embodiment, points, own)


def _layout(task: Task, thing: str, rng: np.random.Generator) -> dict[str, Place]:
    """Places that leave room for fingers around the thing that will be grasped."""
    best, most = {}, -np.inf
    for _ in range(30):
        places = task.layout(rng)
        here = places[thing]
        others = [(get_thing(n).radius, p) for n, p in places.items() if n != thing]
        room = min(np.hypot(p.x - here.x, p.y - here.y) - radius for radius, p in others) - get_thing(thing).radius
        if room > most:
            best, most = places, room
        if room > ROOM:
            break
    return best


def _side(
    embodiment: Embodiment, task: Task, thing: str, places: dict[str, Place], from_front: bool,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Azimuth [rad] to reach from, at which neither grasping nor placing the thing twists the wrist too far."""
    asked = [thing, *([task.target] if task.target in ("basket", "yellow_block") else [])]
    best, least = np.pi, np.inf
    for _ in range(100):
        side = embodiment.side = float(rng.uniform(-np.pi, np.pi))
        if from_front and abs(side) < IN_FRONT:
            continue
        ease = embodiment.natural_yaw
        twists = [abs(nearest_yaw(places[n].yaw, get_thing(n).symmetry, ease) - ease) for n in asked]
        if (excess := max(0.0, max(twists) - embodiment.turn)) < least:
            best, least = side, excess
        if excess == 0.0:
            break
    return best
