"""Pictures of a person over a table, each another pose, with where the arm's joints and the things are in them.

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
from numpy.typing import NDArray

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.pictures import Labelled, write_pictures
from vgps_models.spaces import Array
from vgps_sim.human.filming import camera_frame
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

ARM = ("shoulder", "elbow", "wrist")
POINTS = (*ARM, *dict.fromkeys(name for task in ALL_TASKS.values() for name in task.landmarks))
THICK = {**dict.fromkeys(ARM, 0.075), "wrist": 0.05, "bottle_mouth": 0.02, "balls": 0.025}  # [m] of others their radius
WHOLE = 0.65  # share of the pictures that show all of the arm
HELD = 0.35  # share in which something is held


@dataclass(frozen=True)
class PosesConfig:
    """Make labelled pictures."""

    out: Path = Path("data/poses")  # folder to write, a shard a sub-folder; whole shards are kept
    count: int = 12_000  # pictures, spread evenly over the tasks
    seed: int = 0  # with the shard's number it decides everything
    width: int = 256  # [px]
    height: int = 192  # [px]
    shard: int = 500  # pictures of a folder
    settings: int = 40  # tables, persons and lights of a folder
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
    made: list[Labelled] = []
    number = 0
    while len(made) < count:
        rng = np.random.default_rng([config.seed, start, number])
        task = get_task(list(ALL_TASKS)[(start // config.shard + number) % len(ALL_TASKS)])
        wanted = min(-(-config.shard // config.settings), count - len(made))
        made += poses(task, rng, wanted, config.width, config.height)
        number += 1
    write_pictures(folder, POINTS, made)
    return count


def poses(task: Task, rng: np.random.Generator, count: int, width: int, height: int) -> list[Labelled]:
    """So many pictures of one person at one table."""
    body = Person(rng)
    if isinstance(task, Pouring):
        body.lean_over(rng)
    body.side = float(rng.uniform(-np.pi, np.pi))
    setting = make_setting(task, body, [View("eye", CAMERAS["front"])], task.layout(rng), rng)
    stage = Stage(task, setting, body, Tip(home_of(body.side, rng), body.natural_yaw, 0.04))
    try:
        return [_pose(stage, body, rng, width, height) for _ in range(count)]
    finally:
        stage.close()


def _pose(stage: Stage, body: Person, rng: np.random.Generator, width: int, height: int) -> Labelled:
    task = stage.task
    stage.release()
    places = task.layout(rng)
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
    number = stage.model.camera("eye").id
    stage.model.cam_pos[number], stage.model.cam_quat[number] = camera.position, look_at(camera)
    stage.model.cam_fovy[number] = camera.fovy
    mujoco.mj_forward(stage.model, stage.data)
    rgb, depth = stage.filmed("eye", height, width)
    return labelled(rgb, depth, Intrinsics.of_fovy(width, height, camera.fovy), camera_frame(stage, "eye"), points)


def labelled(
    rgb: NDArray[np.uint8], depth: Array, camera: Intrinsics, pose: Array, points: dict[str, Array]
) -> Labelled:
    """points: where those of `POINTS` are that there are (3,) [m], in the frame in which the camera is at `pose`."""
    pixels, shown = np.zeros((len(POINTS), 2)), np.zeros(len(POINTS), bool)
    under = np.zeros(len(POINTS))
    for k, name in enumerate(POINTS):
        if name not in points:
            continue
        local = (points[name] - pose[:3, 3]) @ pose[:3, :3]
        if local[2] < 0.05:
            continue
        pixels[k] = camera.project(local)
        u, v = np.round(pixels[k]).astype(int)
        if not (0 <= u < camera.width and 0 <= v < camera.height):
            continue
        surface = float(np.median(depth[max(0, v - 1) : v + 2, max(0, u - 1) : u + 2]))
        thick = THICK.get(name) or 1.3 * get_thing(name).radius
        under[k] = (local[2] - surface) * np.linalg.norm(local) / local[2]
        shown[k] = abs(under[k]) < thick
    return Labelled(rgb, pixels, shown, under)


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
