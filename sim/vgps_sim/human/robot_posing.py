"""Pictures of the robot over a table with where the things are in them: a finder that has never seen an arm of metal
takes it for something else.

Half of them are moments of demonstrations, the others arms anywhere, for the reasons that `vgps_sim.scenes` gives.
"""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.pictures import Labelled
from vgps_models.spaces import Array
from vgps_sim.arms import tool_down
from vgps_sim.collect import demonstrate
from vgps_sim.domain import BROAD
from vgps_sim.human.arranging import arranged
from vgps_sim.human.closer import coarsened, nearer
from vgps_sim.human.labelling import Shot, fitted, labelled
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BALLS
from vgps_sim.people.views import free_view, front_view
from vgps_sim.scene import Camera, look_at
from vgps_sim.tasks import Place
from vgps_sim.world import World

PLAYED = 0.5  # share of the settings that are moments of a demonstration
FRONT = 0.6  # share of the pictures from the front camera
SMALL = 0.4  # share of those that are as small and square as the policy's
POLICY_SIZE = 128  # [px]
HELD = 0.35  # share of the arms anywhere that hold something
ABOUT = ((0.14, -0.2, 0.0), (0.4, 0.2, 0.1))  # [m] where a free camera looks, whatever has rolled away
CAMERA = "shoulder"  # the camera that is put where it is wanted


def robot_world(task_id: str) -> World:
    """A world for `robot_poses`, to be used again: each has its renderers."""
    return World(task_id, image_size=16, cameras=("front",), domain=BROAD)


def robot_poses(
    world: World, rng: np.random.Generator, count: int, size: tuple[int, int], near: float = 0.0
) -> list[Labelled]:
    """So many pictures (width, height) [px] of the robot at one task, a share of them from `nearer` by."""
    if rng.random() < PLAYED:
        return _played(world, rng, count, size, near)
    made = []
    for _ in range(count):
        _anywhere(world, rng)
        made.append(_picture(world, rng, size, rng.random() < near))
    return made


def _played(world: World, rng: np.random.Generator, count: int, size: tuple[int, int], near: float) -> list[Labelled]:
    """Moments of one demonstration of mixed quality."""
    states = list[Array]()
    demonstrate(world, int(rng.integers(100_000)), "mixed", lambda world: states.append(world.state()))
    made = []
    for row in rng.integers(len(states), size=count):
        world.set_state(states[row])
        world.vary_looks(rng)
        made.append(_picture(world, rng, size, rng.random() < near))
    return made


def _anywhere(world: World, rng: np.random.Generator) -> None:
    """An arm over the table or at a thing, which it may hold."""
    task = world.task
    places, heights = arranged(task, rng), dict[str, float]()
    movable = [name for name in task.things if get_thing(name).movable and name not in BALLS]
    name, yaw = str(rng.choice(movable)), float(rng.uniform(-1.8, 1.8))
    thing, opening = get_thing(name), float(rng.choice([1.0, 1.0, 0.5, 0.0]))
    low, high = world.arm.workspace_low, world.arm.workspace_high
    at = rng.uniform([low[0], low[1], 0.01], [high[0] - 0.06, high[1], 0.2])
    if rng.random() < 0.5:
        near = str(rng.choice(task.things[:4]))
        at[:2] = [places[near].x, places[near].y] + rng.normal(0, 0.025, 2)
        at[2] = rng.uniform(0.015, 0.12)
    if rng.random() < HELD:
        at[2] = max(at[2], thing.grasp_height)
        turn = rng.integers(4) * np.pi / 2 if thing.symmetry != 2 else rng.integers(2) * np.pi
        x, y = at[:2] + rng.normal(0, 0.003, 2)
        places[name] = Place(float(x), float(y), yaw + float(turn))
        heights[name] = at[2] - thing.grasp_height
        opening = min(1.0, thing.width / (2 * world.arm.gripper_travel))
    world.place(places, world.solve(np.asarray(at), tool_down(yaw)), opening, heights)
    world.vary_looks(rng)


def _picture(world: World, rng: np.random.Generator, size: tuple[int, int], near: bool) -> Labelled:
    """From the front camera put up by hand, from anywhere around, or from nearer by."""
    landmarks, (width, height) = world.task.located(world), size
    points = dict(zip(world.task.landmarks, landmarks, strict=True))
    front = rng.random() < FRONT
    about = np.clip(landmarks, ABOUT[0], ABOUT[1])
    camera = (front_view(rng) if front else free_view(CAMERA, None, about, rng)).camera
    if front and not near and rng.random() < SMALL:
        return fitted(labelled(_shot(world, camera, POLICY_SIZE, POLICY_SIZE), points), width, height)
    if not near:
        return labelled(_shot(world, camera, height, width), points)
    shot = _shot(world, nearer(camera, landmarks, rng), height, width)
    return labelled(replace(shot, rgb=coarsened(shot.rgb, rng)), points)


def _shot(world: World, camera: Camera, height: int, width: int) -> Shot:
    number = world.model.camera(CAMERA).id
    world.model.cam_pos[number], world.model.cam_quat[number] = camera.position, look_at(camera)
    world.model.cam_fovy[number] = camera.fovy
    mujoco.mj_camlight(world.model, world.data)
    rgb, depth = world.filmed(CAMERA, height, width)
    return Shot(rgb, depth, Intrinsics.of_fovy(width, height, camera.fovy), world.camera_pose(CAMERA))
