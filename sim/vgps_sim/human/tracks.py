"""Tracks of a person and of the robot at one task, from simulation: what a perfect detector would see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vgps_models.irl.tracks import Track
from vgps_models.spaces import Array
from vgps_sim.env import execute, start
from vgps_sim.flaws import QUALITIES, Demonstrator
from vgps_sim.kinematics import ToolServo
from vgps_sim.people.performance import perform
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View
from vgps_sim.tasks import Physics, Pouring, Task, number_of
from vgps_sim.world import World

BALLS = "balls"  # all of them are one landmark, in their middle


def landmarks_of(task: Task) -> tuple[str, ...]:
    if isinstance(task, Pouring):
        return (task.bottle, "bottle_mouth", task.bowl, BALLS)
    return task.landmarks


def located(task: Task, physics: Physics) -> Array:
    """Where `landmarks_of` a task are (N, 3) [m]."""
    found = task.located(physics)
    if isinstance(task, Pouring):
        found[BALLS] = np.mean([at for name, at in found.items() if name.startswith("ball_")], axis=0)
    return np.stack([found[name] for name in landmarks_of(task)])


def watched(task_id: str, seed: int, *, failures: float, embodiment: str = "person") -> Track:
    """One performance of a person, 5 moments a second; drawn from task and seed as all are."""
    rows: list[tuple[Array, float, float, Array]] = []
    heading: list[float] = []

    def watch(stage: Stage, views: Sequence[View]) -> None:
        tip = stage.tip
        heading[:] = [stage.embodiment.natural_yaw]
        rows.append((tip.position.copy(), tip.gap, tip.tilt, located(stage.task, stage)))

    shown = perform(embodiment, task_id, seed, size=16, failures=failures, watch=watch)
    return _track(task_id, rows, heading[0], shown.success, embodiment)


def acted(world: World, seed: int, quality: str) -> Track:
    """One demonstration of the robot; it draws what `collect.demonstrate` draws."""
    servo, task = ToolServo(world.spec), world.task
    start(world, servo, seed)
    demonstrator = Demonstrator(
        np.random.default_rng([number_of(task.id), seed, QUALITIES.index(quality) + 1]), quality
    )
    rows = [_moment(world)]
    while world.step < task.max_steps and not world.success and not demonstrator.finished():
        action, _ = demonstrator.act(world)
        execute(world, servo, action)
        rows.append(_moment(world))
    return _track(task.id, rows, 0.0, world.success, "robot")


def _moment(world: World) -> tuple[Array, float, float, Array]:
    tool, _ = world.tool_pose()
    gap = 2 * world.joints().gripper * world.arm.gripper_travel
    return tool, gap, 0.0, located(world.task, world)


def _track(
    task: str, rows: list[tuple[Array, float, float, Array]], heading: float, success: bool, source: str
) -> Track:
    from vgps_sim.tasks import get_task

    hand, gap, tilt, points = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return Track(task, landmarks_of(get_task(task)), hand, gap, tilt, points, heading, bool(success), source)
