"""Tracks of a person and of the robot at one task, from simulation: what a perfect detector would see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from vgps_models.data import Columns
from vgps_models.errors import DataError
from vgps_models.irl.tracks import Track
from vgps_models.spaces import Array
from vgps_sim.arms import Arm
from vgps_sim.env import execute, start
from vgps_sim.flaws import QUALITIES, Demonstrator
from vgps_sim.kinematics import ToolServo
from vgps_sim.people.performance import perform
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View
from vgps_sim.scenes import label_names
from vgps_sim.tasks import Physics, PickPlace, Pouring, Task, get_task, number_of
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


def recorded(columns: Columns, arm: Arm) -> Iterator[Track]:
    """Every episode of a data set of `vgps collect`, from its privileged poses. DataError when it has none."""
    for episode, (first, end) in enumerate(pairwise(columns.bounds)):
        task = get_task(columns.instruction_tasks[columns.instruction[first]])
        state = columns.environment_state[first:end].astype(np.float64)
        names = label_names(task)
        if state.shape[1] != len(names):
            raise DataError(
                f"episode {episode} of {task.id} has {state.shape[1]} privileged numbers a frame, not {len(names)}; "
                "rewards over points need simulated episodes, as `vgps collect` makes them"
            )
        proprio = columns.state[first:end].astype(np.float64)
        gap = 2 * proprio[:, -1] * arm.gripper_travel
        points = np.stack([_point(task, name, names, state) for name in landmarks_of(task)], 1)
        done = bool(columns.success[end - 1])
        # One that ended at once stays where it began.
        rows = np.minimum(np.arange(max(2, end - first)), end - first - 1)
        yield Track(
            task.id, landmarks_of(task), proprio[rows, :3], gap[rows], np.zeros(len(rows)), points[rows], 0.0, done,
            "robot",
        )  # fmt: skip


def _point(task: Task, landmark: str, names: tuple[str, ...], state: Array) -> Array:
    """A landmark in every frame (T, 3) of what `labels` said (T, E)."""
    if landmark == BALLS:
        balls = [name for name in task.things if name.startswith("ball_")]
        return np.mean([_point(task, ball, names, state) for ball in balls], axis=0)
    who = landmark
    if isinstance(task, PickPlace):
        who = ("object", "target", "distractor")[task.things.index(landmark)]
    return state[:, [names.index(f"{who}_{axis}") for axis in "xyz"]]


def _moment(world: World) -> tuple[Array, float, float, Array]:
    tool, _ = world.tool_pose()
    gap = 2 * world.joints().gripper * world.arm.gripper_travel
    return tool, gap, 0.0, located(world.task, world)


def _track(
    task: str, rows: list[tuple[Array, float, float, Array]], heading: float, success: bool, source: str
) -> Track:
    hand, gap, tilt, points = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return Track(task, landmarks_of(get_task(task)), hand, gap, tilt, points, heading, bool(success), source)
