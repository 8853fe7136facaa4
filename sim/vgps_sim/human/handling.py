"""A hand that a policy moves: where adversarial imitation tries out what it has learned of a person.

Real physics of the things on the table; the hand itself is a point with a gap, as the person's is while it performs.
It holds what it closes on and lets go when it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mujoco
import numpy as np

from vgps_models.irl.tracks import Track, seen
from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.human.tracks import moment_of, track_of
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BOTTLE_LENGTH
from vgps_sim.people.acting import home_of
from vgps_sim.people.parts import Pose, Tip
from vgps_sim.people.setting import Setting
from vgps_sim.people.stage import FPS, Stage, Stroke
from vgps_sim.scene import furnish
from vgps_sim.tasks import PickPlace, Pouring, Sorting, Task, get_task, number_of

Moves = Callable[[Array], Array]  # what is seen of a moment (S,) -> the next move (5,), both as of `Track`
REACH = 0.014  # [m] from a thing's middle within which fingers close on it
ALONG = 0.035  # [m] the same along a long thing
CLOSED, OPENED = 0.003, 0.006  # [m] more than its width: still holding it; letting it go
LOWEST, WIDEST = 0.008, 0.09  # [m] of the tip above the table; of its gap


class Unseen:
    """A manipulator of which there is nothing to draw."""

    name, clearance, turn = "unseen", LOWEST, 0.7

    def __init__(self, side: float) -> None:
        self.side = side

    @property
    def natural_yaw(self) -> float:
        return self.side + np.pi

    def add(self, spec: mujoco.MjSpec) -> None:
        pass

    def hides(self, eye: Array, points: Array) -> bool:
        return False

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        return iter(())


def handled(task_id: str, seed: int, policy: Moves) -> Track:
    """One episode, 5 moves a second, until it succeeds and for as long as the task may take."""
    task, rng = get_task(task_id), np.random.default_rng([number_of(task_id), abs(int(seed)), 7])
    places, body = task.layout(rng), Unseen(float(rng.uniform(-np.pi, np.pi)))
    spec = mujoco.MjSpec()
    furnish(spec)
    for name in task.things:
        get_thing(name).add(spec, name)
    setting = Setting(spec, places, dict.fromkeys(task.things, 1.0), ())
    stage = Stage(task, setting, body, Tip(home_of(body.side, rng), body.natural_yaw, float(rng.uniform(0.02, 0.05))))
    hand = _Hand(stage)
    try:
        rows = [moment_of(stage)]
        while len(rows) < task.max_steps and not task.success(stage):
            hand.move(policy(seen(*rows[-1], body.natural_yaw)))
            rows.append(moment_of(stage))
        return track_of(task, rows, body.natural_yaw, task.success(stage))
    finally:
        stage.close()


class _Hand:
    def __init__(self, stage: Stage) -> None:
        self.stage, self.task = stage, stage.task

    def move(self, wanted: Array) -> None:
        """Carry out a move as far as a hand can."""
        stage, tip = self.stage, self.stage.tip
        position = tip.position + turned(stage.embodiment.natural_yaw) @ wanted[:3]
        position = np.clip(position, [-0.1, -0.45, LOWEST], [0.65, 0.45, 0.45])
        gap = float(np.clip(tip.gap + wanted[3], 0.004, WIDEST))
        tilt = float(np.clip(tip.tilt + wanted[4], -2.6, 2.6)) if isinstance(self.task, Pouring) else 0.0
        if stage.held is not None:
            width = stage.width(stage.held.name)
            if gap > width + OPENED:
                stage.release()
            else:
                gap = max(gap, width)
        for _ in stage.follow(Stroke(position, tip.yaw, gap, 1 / FPS, np.zeros(3), tilt)):
            pass
        if stage.held is None:
            self._close()

    def _close(self) -> None:
        """On what is between the fingers."""
        tip = self.stage.tip
        for name in _graspable(self.task):
            if tip.gap > self.stage.width(name) + CLOSED:
                continue
            way = self.stage.axes(name).T @ (tip.position - self.stage.position(name))
            tall = BOTTLE_LENGTH if name == "bottle" else REACH
            long = ALONG if get_thing(name).symmetry == 2 else REACH
            if np.hypot(way[0] * REACH / long, way[1]) < REACH and -REACH < way[2] < tall:
                self.stage.grasp(name)
                return


def _graspable(task: Task) -> tuple[str, ...]:
    if isinstance(task, Sorting):
        return tuple(goal.object for goal in task.goals)
    return (task.object, task.distractor) if isinstance(task, PickPlace) else (task.things[0],)
