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
from vgps_sim.collect import demonstrate
from vgps_sim.people.performance import perform
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View
from vgps_sim.scenes import label_names
from vgps_sim.tasks import PickPlace, Task, get_task
from vgps_sim.world import World

Moment = tuple[Array, float, float, Array]  # of a track: hand, gap, tilt, points


def moment_of(stage: Stage) -> Moment:
    """Of a hand over a table, now."""
    tip = stage.tip
    return tip.position.copy(), tip.gap, tip.tilt, stage.task.located(stage)


def track_of(task: Task, moments: Sequence[Moment], heading: float, success: bool) -> Track:
    hand, gap, tilt, points = (np.array(column, np.float64) for column in zip(*moments, strict=True))
    return Track(task.id, task.landmarks, hand, gap, tilt, points, heading, bool(success))


def watched(task_id: str, seed: int, *, failures: float, embodiment: str = "person") -> Track:
    """One performance of a person, 5 moments a second; drawn from task and seed as all are."""
    moments: list[Moment] = []
    heading: list[float] = []

    def watch(stage: Stage, views: Sequence[View]) -> None:
        heading[:] = [stage.embodiment.natural_yaw]
        moments.append(moment_of(stage))

    shown = perform(embodiment, task_id, seed, size=16, failures=failures, watch=watch)
    return track_of(get_task(task_id), moments, heading[0], shown.success)


def acted(world: World, seed: int, quality: str) -> Track:
    """The demonstration that `vgps collect` records of this seed."""
    moments: list[Moment] = []

    def watch(world: World) -> None:
        tool, _ = world.tool_pose()
        gap = world.arm.gap(world.joints().gripper)
        moments.append((tool, gap, 0.0, world.task.located(world)))

    shown = demonstrate(world, seed, quality, watch)
    return track_of(world.task, moments, 0.0, shown.success)


def recorded(columns: Columns, arm: Arm) -> Iterator[Track]:
    """Every episode of a data set of `vgps collect`, from its privileged poses. DataError when it has none."""
    for episode, (first, end) in enumerate(pairwise(columns.bounds)):
        task = get_task(columns.instruction_tasks[columns.instruction[first]])
        state, proprio = (side[first:end].astype(np.float64) for side in (columns.environment_state, columns.state))
        names = label_names(task)
        if state.shape[1] != len(names):
            raise DataError(
                f"episode {episode} of {task.id} has {state.shape[1]} privileged numbers a frame, not {len(names)}; "
                "rewards over points need simulated episodes, as `vgps collect` makes them"
            )
        gap = arm.gap(proprio[:, -1])
        # Of the standard tasks the things go by what they are to the task.
        who = ("object", "target", "distractor") if isinstance(task, PickPlace) else task.landmarks
        points = np.stack([state[:, [names.index(f"{one}_{axis}") for axis in "xyz"]] for one in who], 1)
        # One that ended at once stays where it began.
        rows = np.minimum(np.arange(max(2, end - first)), end - first - 1)
        hand, still = proprio[rows, :3], np.zeros(len(rows))
        success = bool(columns.success[end - 1])
        yield Track(task.id, task.landmarks, hand, gap[rows], still, points[rows], 0.0, success)
