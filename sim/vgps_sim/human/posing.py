"""Pictures of a person or the robot over a table, each another pose, with where a person's joints and the things are.

What a finder of points learns from, as `vgps_sim.scenes` is for the robot's encoder: in an episode hand and things are
where they belong, and a finder that must find them anywhere wants the opposite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import mujoco
import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.pictures import Labelled, write_pictures
from vgps_models.spaces import Array
from vgps_sim.human.arranging import arranged
from vgps_sim.human.closer import coarsened, nearer
from vgps_sim.human.labelling import POINTS, Shot, labelled
from vgps_sim.human.robot_posing import robot_poses, robot_world
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BALLS
from vgps_sim.people.acting import home_of
from vgps_sim.people.parts import Tip
from vgps_sim.people.person import Person
from vgps_sim.people.setting import make_setting
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View, free_view, whole_view
from vgps_sim.scene import CAMERAS, look_at
from vgps_sim.tasks import ALL_TASKS, Pouring, Task, get_task
from vgps_sim.workers import one_thread
from vgps_sim.world import World

WHOLE = 0.65  # share of the pictures that show all of the arm
HELD = 0.35  # share in which something is held


@dataclass(frozen=True)
class PosesConfig:
    """Make labelled pictures."""

    out: Path = Path("data/poses")  # folder to write, a shard a sub-folder; whole shards are kept
    count: int = 16_000  # pictures, spread evenly over the tasks
    seed: int = 0  # with the shard's number it decides everything
    width: int = 256  # [px]
    height: int = 192  # [px]
    shard: int = 500  # pictures of a folder
    settings: int = 40  # tables, persons and lights of a folder
    robot: float = 0.3  # share of the settings in which the robot is at work
    nearer: float = 0.4  # share of the pictures that show a part alone, as a second look does
    processes: int = 2  # worker processes, one thread each


def collect_poses(config: PosesConfig, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Write what is missing of the pictures; `progress` is told how many more are done."""
    starts = range(0, config.count, config.shard)
    jobs = [(config, start, min(config.shard, config.count - start)) for start in starts]
    if config.processes == 1:
        for job in jobs:
            progress(_write_shard(job))
        return config.out
    with one_thread(), get_context("spawn").Pool(config.processes) as pool:
        for done in pool.imap_unordered(_write_shard, jobs):
            progress(done)
    return config.out


def _write_shard(job: tuple[PosesConfig, int, int]) -> int:
    config, start, count = job
    folder = config.out / f"{start:07d}"
    if (folder / "meta.json").exists():
        return count
    made, worlds = list[Labelled](), dict[str, World]()
    number = 0
    while len(made) < count:
        rng = np.random.default_rng([config.seed, start, number])
        task = get_task(list(ALL_TASKS)[(start // config.shard + number) % len(ALL_TASKS)])
        wanted = min(-(-config.shard // config.settings), count - len(made))
        size, near = (config.width, config.height), config.nearer
        if rng.random() < config.robot:
            world = worlds[task.id] = worlds.get(task.id) or robot_world(task.id)
            made += robot_poses(world, rng, wanted, size, near)
        else:
            made += poses(task, rng, wanted, size, near)
        number += 1
    for world in worlds.values():
        world.close()
    write_pictures(folder, POINTS, made)
    return count


def poses(task: Task, rng: np.random.Generator, count: int, size: tuple[int, int], near: float = 0.0) -> list[Labelled]:
    """So many pictures (width, height) [px] of one person at one table, a share of them from `nearer` by."""
    body = Person(rng)
    if isinstance(task, Pouring):
        body.lean_over(rng)
    body.side = float(rng.uniform(-np.pi, np.pi))
    setting = make_setting(task, body, [View("eye", CAMERAS["front"])], task.layout(rng), rng)
    stage = Stage(task, setting, body, Tip(home_of(body.side, rng), body.natural_yaw, 0.04))
    try:
        return [_pose(stage, body, rng, size, rng.random() < near) for _ in range(count)]
    finally:
        stage.close()


def _pose(stage: Stage, body: Person, rng: np.random.Generator, size: tuple[int, int], near: bool) -> Labelled:
    task, (width, height) = stage.task, size
    stage.release()
    places = arranged(task, rng)
    for name, place in places.items():
        stage.put(name, place, stage.rest_height(name))
    stage.stand(_anywhere(stage, body, rng))
    if rng.random() < HELD:
        _take(stage, body, rng)
    points = {**_arm(body, stage.tip), **dict(zip(task.landmarks, task.located(stage), strict=True))}
    whole = rng.random() < WHOLE
    on_table = np.array([[p.x, p.y, 0.02] for p in places.values()])
    outline = body.seen(stage.tip).outline
    view = whole_view if whole else free_view
    camera = view("eye", body, np.concatenate([outline, on_table]) if whole else on_table, rng).camera
    if near:
        camera = nearer(camera, np.array([points[name] for name in ("wrist", *task.landmarks)]), rng)
    number = stage.model.camera("eye").id
    stage.model.cam_pos[number], stage.model.cam_quat[number] = camera.position, look_at(camera)
    stage.model.cam_fovy[number] = camera.fovy
    mujoco.mj_forward(stage.model, stage.data)
    rgb, depth = stage.filmed("eye", height, width)
    rgb = coarsened(rgb, rng) if near else rgb
    return labelled(Shot(rgb, depth, Intrinsics.of_fovy(width, height, camera.fovy), stage.camera_pose("eye")), points)


def _arm(body: Person, tip: Tip) -> dict[str, Array]:
    seen = body.seen(tip)
    return {"shoulder": seen.shoulder, "elbow": seen.elbow, "wrist": seen.hand[0]}


def _anywhere(stage: Stage, body: Person, rng: np.random.Generator) -> Tip:
    """Over the table or near a thing."""
    if rng.random() < 0.6:
        near = stage.position(str(rng.choice([name for name in stage.task.things if name not in BALLS])))
        at = near + [*rng.normal(0, 0.03, 2), rng.uniform(0.0, 0.12)]
    else:
        at = rng.uniform([0.08, -0.28, 0.02], [0.46, 0.28, 0.32])
    at[2] = max(at[2], body.clearance)
    return Tip(at, body.natural_yaw + float(rng.uniform(-1, 1)) * body.turn, float(rng.uniform(0.006, 0.09)))


def _take(stage: Stage, body: Person, rng: np.random.Generator) -> None:
    """Something in the hand, where the hand is; a bottle tilted, now and then."""
    names = [name for name in stage.task.things if get_thing(name).movable and name not in BALLS]
    name, tip = str(rng.choice(names)), stage.tip
    pour = isinstance(stage.task, Pouring)
    held = Tip(tip.position, tip.yaw, stage.width(name), 0.0)
    thing = get_thing(name)
    stage.stand(held)
    down = 0.045 if pour else thing.grasp_height - thing.rest_height
    joint = stage.data.joint(f"{name}_free")
    joint.qpos[:3] = tip.position + rng.normal(0, 0.003, 3) - [0, 0, down]
    yaw = tip.yaw + (rng.integers(2) * np.pi if thing.symmetry == 2 else rng.integers(4) * np.pi / 2)
    joint.qpos[3:] = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
    mujoco.mj_forward(stage.model, stage.data)
    stage.grasp(name)
    lifted = np.array([0, 0, max(0.0, down - tip.position[2] + thing.rest_height)])
    stage.stand(Tip(tip.position + lifted, tip.yaw, held.gap, float(rng.uniform(-1.9, 1.9)) if pour else 0.0))
