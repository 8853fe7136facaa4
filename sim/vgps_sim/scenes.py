"""Random scenes with labels: what the image encoder learns from.

An episode shows a few layouts from many similar poses; an encoder that must
locate things to a few millimetres wants the opposite. Here every picture has
its own layout, arm pose and light. The labels (where things are, where they
appear) exist in simulation only and serve as an auxiliary loss. The format is
`vgps_models.training.scenes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.spaces import Array
from vgps_models.training.scenes import write_scenes
from vgps_models.training.truth import STATE_NAMES
from vgps_sim.arms import tool_down
from vgps_sim.domain import get_domain
from vgps_sim.objects import get_thing
from vgps_sim.tasks import REGION_HIGH, REGION_LOW, TASKS, PickPlace, Place, Task
from vgps_sim.workers import one_thread
from vgps_sim.world import World

VIEWS = ("front", "wrist")
KINDS = {"free": 0.3, "approach": 0.35, "held": 0.25, "placed": 0.1}  # shares of situations


@dataclass(frozen=True)
class ScenesConfig:
    """Make labelled random scenes."""

    out: Path = Path("data/scenes")  # folder to write, a shard a sub-folder; whole shards are kept
    count: int = 24_000  # scenes, spread evenly over the tasks
    seed: int = 0  # with the scene's number it decides everything
    domain: str = "target"  # target | broad: cameras, light and colours differ a lot from scene to scene
    image_size: int = 128  # [px]
    shard: int = 500  # scenes of one task in a folder
    processes: int = 2  # worker processes, one thread each


def collect_scenes(config: ScenesConfig, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Write what is missing of the scene set; `progress` is told how many scenes more are done."""
    starts = range(0, config.count, config.shard)
    jobs = [(config, start, min(config.shard, config.count - start)) for start in starts]
    with one_thread(), get_context("spawn").Pool(config.processes) as pool:
        for done in pool.imap_unordered(_write_shard, jobs):
            progress(done)
    return config.out


def _write_shard(job: tuple[ScenesConfig, int, int]) -> int:
    config, start, count = job
    folder = config.out / f"{start:07d}"
    if (folder / "meta.json").exists():
        return count
    task = list(TASKS)[start // config.shard % len(TASKS)]
    world = World(task, image_size=config.image_size, domain=get_domain(config.domain))
    instructions = (world.task.instruction, *world.task.paraphrases)
    scenes = []
    for i in range(start, start + count):
        rng = np.random.default_rng([config.seed, i])
        words = int(rng.integers(len(instructions)))
        scenes.append(random_scene(world, rng) | {"instruction": words})
    world.close()
    arrays = {name: np.array([scene[name] for scene in scenes]) for name in scenes[0]}
    write_scenes(folder, arrays, instructions=instructions, cameras=VIEWS)
    return count


def random_scene(world: World, rng: np.random.Generator) -> dict[str, Any]:
    """Arrange `world` at random; its pictures and labels."""
    task = _standard(world)
    thing, target = get_thing(task.object), get_thing(task.target)
    places, heights = task.layout(rng), dict[str, float]()
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    position, yaw, opening = _anywhere(rng), float(rng.uniform(-1.8, 1.8)), float(rng.choice([1.0, 1.0, 0.0]))
    turn = float(rng.integers(2)) * np.pi if thing.symmetry == 2 else float(rng.integers(4)) * np.pi / 2
    if kind == "held":
        grip = thing.grasp_height - thing.rest_height  # fingertips relative to the object's frame
        position[2] = max(position[2], thing.grasp_height)
        if rng.random() < 0.5:  # over its target, as before a release
            position[:2] = [places[task.target].x, places[task.target].y] + rng.normal(0, 0.03, 2)
        along = rng.normal(0, 0.008) if thing.symmetry == 2 else 0.0
        places[task.object] = Place(
            position[0] + along * np.cos(yaw), position[1] + along * np.sin(yaw), yaw + turn + rng.normal(0, 0.04)
        )
        heights[task.object] = position[2] - grip - thing.rest_height + rng.normal(0, 0.002)
        opening = thing.width / (2 * world.arm.gripper_travel)
    elif kind == "placed":
        spread = rng.uniform(-1, 1, 2) * np.minimum(task.reach, 0.04)
        places[task.object] = Place(
            places[task.target].x + spread[0], places[task.target].y + spread[1], rng.uniform(-np.pi, np.pi)
        )
        heights[task.object] = target.top
    if kind in ("approach", "placed"):
        at = places[task.object]
        position[:2] = [at.x, at.y] + rng.normal(0, 0.025, 2)
        position[2] = heights.get(task.object, 0.0) + rng.uniform(thing.grasp_height, 0.11)
        period = 2 * np.pi / thing.symmetry
        yaw = at.yaw + rng.normal(0, 0.25)
        yaw -= period * np.round(yaw / period)
    rotation = tool_down(yaw) @ _tilt(rng)
    q = world.solve(np.asarray(position), rotation)
    world.place(places, q, opening, heights)
    world.vary_looks(rng)
    return _labels(world) | world.images() | {"held": kind == "held"}


def label_names(task: Task) -> tuple[str, ...]:
    """What `labels` says of a task's worlds: `STATE_NAMES`, or of the tasks that people are watched at the place of
    each landmark and whether something is held."""
    if isinstance(task, PickPlace):
        return STATE_NAMES
    return (*(f"{landmark}_{axis}" for landmark in task.landmarks for axis in "xyz"), "held")


def labels(world: World) -> Array:
    """Privileged state of this moment, `label_names` (E,): base frame [m], [rad], held 0 or 1."""
    task = world.task
    held = float(world.finger_contacts(task.goal(world).object) == 2)
    if not isinstance(task, PickPlace):
        return np.append(task.located(world), held)
    things = [world.position(name) for name in task.things]
    named = dict(zip(("object", "target", "distractor"), things, strict=True))
    found = {f"{who}_{axis}": at[i] for who, at in named.items() for i, axis in enumerate("xyz")}
    found |= {"object_yaw": world.yaw(task.object), "held": held}
    return np.array([found[name] for name in STATE_NAMES])


def _labels(world: World) -> dict[str, Any]:
    task = _standard(world)
    where = [world.position(task.object), world.position(task.target)]
    seen = [[world.project(view, point) for point in where] for view in VIEWS]
    return {
        "proprio": world.proprio(world.joints()),
        "object_position": np.float32(where[0]),
        "target_position": np.float32(where[1]),
        "object_yaw": np.float32(world.yaw(task.object)),
        "pixels": np.array([[(u, v) for u, v, _ in row] for row in seen], np.float32) * world.image_size,
        "visible": np.array([[inside for _, _, inside in row] for row in seen]),
    }


def _standard(world: World) -> PickPlace:
    if not isinstance(world.task, PickPlace):
        raise SpecError(f"scenes are made of the standard tasks ({', '.join(TASKS)}), not of {world.task.id}")
    return world.task


def _anywhere(rng: np.random.Generator) -> list[float]:
    x, y = rng.uniform(REGION_LOW - 0.02, REGION_HIGH + 0.02)
    return [float(x), float(y), float(rng.uniform(0.004, 0.14))]


def _tilt(rng: np.random.Generator) -> Array:
    """A hand is never quite vertical: a few hundredths of a radian."""
    a, b = rng.normal(0, 0.03, 2)
    return Rotation.from_rotvec([0.0, a, b]).as_matrix()
