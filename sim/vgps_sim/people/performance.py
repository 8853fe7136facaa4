"""One performance, from a seed to the frames of its views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vgps_models.errors import SpecError
from vgps_models.spaces import Image
from vgps_sim.objects import get_thing
from vgps_sim.people.acting import Actor, actor_of, home_of, nearest_yaw
from vgps_sim.people.embodiments import EMBODIMENTS, get_embodiment
from vgps_sim.people.manner import draw_manner
from vgps_sim.people.parts import Embodiment, Tip
from vgps_sim.people.person import Person
from vgps_sim.people.setting import ROOM, make_setting
from vgps_sim.people.stage import FPS, Stage
from vgps_sim.people.views import IN_FRONT, View, free_view, front_view, whole_view
from vgps_sim.tasks import PickPlace, Place, Pouring, Sorting, Task, get_task, number_of

SHORTEST = 20  # frames at `FPS`; the longest are as long as the task may take
TALL = {"bottle": 0.17}  # [m] that a picture must hold of a thing; of others the table does
ACROSS = 0.5  # largest cosine between where the bowl is, seen from the bottle, and where the person is


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
    fps: int = FPS,
    whole: bool = False,
    ahead: float | None = None,
    watch: Callable[[Stage, Sequence[View]], None] | None = None,
) -> Performance:
    """Play and film one performance; all of it is drawn from embodiment, task, seed and attempt.

    views: cameras that look on; more of them change nothing else. failures: share that is meant to fail.
    front: share whose first view is the robot's front camera. watch: also called at every frame.
    fps: frames a second. whole: from farther off, with all of the arm; of a person. ahead: the hand points along the
    x axis, up to so far to either side [rad], as the robot's tool does; none: from anywhere.
    """
    task, make = get_task(task_id), get_embodiment(embodiment)
    key = [list(EMBODIMENTS).index(embodiment), number_of(task_id), abs(int(seed)), attempt]
    play, scenery, cameras = (np.random.default_rng(s) for s in np.random.SeedSequence(key).spawn(3))
    words = str(play.choice([task.instruction, *task.paraphrases]))
    manner = draw_manner(play, failures)
    from_front = bool(play.random() < front)
    grasped, fitted = _concerned(task, manner.fault)
    places = _layout(task, grasped, play)
    body = make(scenery)
    if isinstance(task, Pouring):
        if not isinstance(body, Person):
            raise SpecError(f"a {embodiment} cannot pour; a person can")
        body.lean_over(scenery)
    aside = (task.bottle, task.bowl) if isinstance(task, Pouring) else None
    body.side = _side(body, (*grasped, *fitted), aside, places, from_front, play, ahead)
    filmed = list(
        _views(views, body, places, from_front, cameras) if not whole else _whole(views, body, places, cameras)
    )
    setting = make_setting(task, body, filmed, places, scenery)
    home = home_of(body.side, play)
    stage = Stage(task, setting, body, Tip(home, body.natural_yaw, float(play.uniform(0.02, 0.05))), fps)
    longest, shortest = (count * fps // FPS for count in (task.max_steps, SHORTEST))
    frames: dict[str, list[Image]] = {view.name: [] for view in filmed}

    def take() -> int:
        for view in filmed:
            frames[view.name].append(stage.picture(view.name, size))
        if watch is not None:
            watch(stage, filmed)
        return len(frames[filmed[0].name])

    try:
        take()
        for _ in _moments(stage, actor_of(task)(stage, manner, play, home), shortest):
            if take() == longest:
                break
        success = task.success(stage)
    finally:
        stage.close()
    pictures = {name: np.stack(taken) for name, taken in frames.items()}
    return Performance(task_id, embodiment, seed, words, pictures, success, manner.fault, manner.mended)


def _moments(stage: Stage, actor: Actor, shortest: int) -> Iterator[None]:
    """A frame each, until the actor is done and there are enough of them."""
    count = 1
    for stroke in actor.act():
        for _ in stage.follow(stroke):
            count += 1
            yield
    while count < shortest:
        for _ in stage.follow(actor.rest()):
            count += 1
            yield


def _views(
    count: int, embodiment: Embodiment, places: dict[str, Place], from_front: bool, rng: np.random.Generator
) -> Iterator[View]:
    points = np.array([[p.x, p.y, TALL.get(name, 0.02)] for name, p in places.items()])
    for number, own in enumerate(rng.spawn(count)):
        front = from_front and number == 0
        yield front_view(own) if front else free_view(f"free_{number}", embodiment, points, own)


def _whole(count: int, body: Embodiment, places: dict[str, Place], rng: np.random.Generator) -> Iterator[View]:
    if not isinstance(body, Person):
        raise SpecError(f"of a {body.name} there is no whole arm to be filmed; of a person there is")
    tips = [
        Tip(np.array([p.x, p.y, height]), body.natural_yaw, 0.03) for p in places.values() for height in (0.02, 0.2)
    ]
    points = np.concatenate([body.seen(tip).outline for tip in tips])
    for number, own in enumerate(rng.spawn(count)):
        yield whole_view(f"whole_{number}", body, points, own)


def _concerned(task: Task, fault: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What will be grasped, and what it has to fit into the right way round."""
    if isinstance(task, PickPlace):
        fitted = (task.target,) if task.target in ("basket", "yellow_block") else ()
        return (task.distractor if fault == "wrong_object" else task.object,), fitted
    if isinstance(task, Sorting):
        return tuple(goal.object for goal in task.goals), tuple(goal.target for goal in task.goals)
    return ("bottle",), ()


def _layout(task: Task, grasped: Sequence[str], rng: np.random.Generator) -> dict[str, Place]:
    """Places that leave room for fingers around what will be grasped."""
    best, most = {}, -np.inf
    for _ in range(30):
        places = task.layout(rng)
        room = min(_room(places, thing) for thing in grasped)
        if room > most:
            best, most = places, room
        if room > ROOM:
            break
    return best


def _room(places: dict[str, Place], thing: str) -> float:
    """Between a thing and the nearest other [m]."""
    here = places[thing]
    others = [(get_thing(n).radius, p) for n, p in places.items() if n != thing and not p.lift]
    return min(np.hypot(p.x - here.x, p.y - here.y) - radius for radius, p in others) - get_thing(thing).radius


def _side(
    embodiment: Embodiment, asked: Sequence[str], aside: tuple[str, str] | None, places: dict[str, Place],
    from_front: bool, rng: np.random.Generator, ahead: float | None,
) -> float:  # fmt: skip
    """Azimuth [rad] to reach from, at which neither grasping nor placing the `asked` twists the wrist too far, and from
    which one of `aside` is seen left or right of the other."""
    best, least = np.pi, np.inf
    for _ in range(100):
        side = embodiment.side = float(rng.uniform(-np.pi, np.pi)) if ahead is None else _ahead(embodiment, ahead, rng)
        if from_front and abs(side) < IN_FRONT:
            continue
        ease = embodiment.natural_yaw
        twists = [abs(nearest_yaw(places[n].yaw, get_thing(n).symmetry, ease) - ease) for n in asked]
        excess = max(0.0, max(twists) - embodiment.turn)
        if aside is not None and ahead is None:
            there, here = places[aside[1]], places[aside[0]]
            excess = max(excess, abs(np.cos(np.arctan2(there.y - here.y, there.x - here.x) - side)) - ACROSS)
        if excess < least:
            best, least = side, excess
        if excess == 0.0:
            break
    return best


def _ahead(embodiment: Embodiment, most: float, rng: np.random.Generator) -> float:
    """A side from which the hand is at ease when it points along the x axis, give or take `most` [rad]."""
    embodiment.side = 0.0
    return float(rng.uniform(-most, most) - embodiment.natural_yaw)
