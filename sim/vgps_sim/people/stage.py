"""A table on which a manipulator is moved by hand: physics for all that it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.errors import SpecError
from vgps_models.spaces import Array, Image
from vgps_sim.objects import get_thing
from vgps_sim.people.parts import Embodiment, Tip, follow
from vgps_sim.people.setting import Setting
from vgps_sim.renderers import Renderers
from vgps_sim.tabletop import Tabletop
from vgps_sim.tasks import Task

FPS = 5  # as the robot's data


@dataclass(frozen=True, eq=False)
class Stroke:
    """One movement from wherever the tip is.

    position: where to, (3,) [m]; yaw [rad], gap [m] and tilt [rad] at its end. seconds: its duration. bow: how far the
    middle of the path lies off the straight line, (3,) [m].
    """

    position: Array
    yaw: float
    gap: float
    seconds: float
    bow: Array
    tilt: float = 0.0

    def at(self, start: Tip, fraction: float) -> Tip:
        """The tip at a fraction of the duration: it sets off and arrives softly."""
        s = fraction**3 * (10 - 15 * fraction + 6 * fraction**2)  # minimum jerk
        position = start.position + s * (self.position - start.position) + 4 * s * (1 - s) * self.bow
        yaw, gap = start.yaw + s * (self.yaw - start.yaw), start.gap + s * (self.gap - start.gap)
        return Tip(position, yaw, gap, start.tilt + s * (self.tilt - start.tilt))


@dataclass(frozen=True, eq=False)
class Held:
    """A thing in the tip's grasp. offset, turn: its frame in the tip's, (3,) [m] and (3, 3)."""

    name: str
    offset: Array
    turn: Array


class Stage(Tabletop):
    """`Physics` for a task: a held thing counts as touched by two fingers. fps: frames a second of `follow`."""

    def __init__(self, task: Task, setting: Setting, embodiment: Embodiment, tip: Tip, fps: int = FPS) -> None:
        super().__init__(setting.spec.compile(), task.things)
        self.task, self.embodiment, self.tip = task, embodiment, tip
        self.places, self.scales, self.clutter = setting.places, setting.scales, setting.clutter
        self.held: Held | None = None
        self._renderers = Renderers(self.model)
        self._steps, self._per_frame = 0, round(1 / (fps * self.model.opt.timestep))
        if abs(self._per_frame * self.model.opt.timestep * fps - 1) > 1e-6:
            raise SpecError(
                f"{fps} frames a second are no whole number of steps of {self.model.opt.timestep} s; 25 are"
            )
        for name, place in setting.places.items():
            self.put(name, place, self.rest_height(name))
        mujoco.mj_step(self.model, self.data, 50)  # things settle
        self._show()

    # -- measures ----------------------------------------------------------

    def rest_height(self, thing: str) -> float:
        return get_thing(thing).rest_height * self.scales[thing]

    def top(self, thing: str) -> float:
        """Height [m] on which something put on `thing` stands, above the table."""
        return get_thing(thing).top * self.scales[thing]

    def width(self, thing: str) -> float:
        return get_thing(thing).width * self.scales[thing]

    def finger_contacts(self, thing: str) -> int:
        return 2 if self.held and self.held.name == thing else 0

    def upright(self, thing: str) -> float:
        """Cosine between the thing's z axis and the vertical."""
        return float(self.axes(thing)[2, 2])

    # -- doing -------------------------------------------------------------

    def grasp(self, thing: str) -> None:
        """From now on the thing goes with the tip."""
        axes = self.tip.axes
        self.held = Held(thing, axes.T @ (self.position(thing) - self.tip.position), axes.T @ self.axes(thing))

    def release(self) -> None:
        """From now on it falls."""
        self.held = None

    def follow(self, stroke: Stroke) -> Iterator[None]:
        """Carry out a movement, stopping whenever a frame is due."""
        start, done = self.tip, 0
        steps = max(1, round(stroke.seconds / self.model.opt.timestep))
        while done < steps:
            count = min(steps - done, self._per_frame - self._steps % self._per_frame)
            if self.held is None:
                mujoco.mj_step(self.model, self.data, count)
            else:
                for i in range(done, done + count):
                    self._carry(self.held, stroke.at(start, i / steps), stroke.at(start, (i + 1) / steps))
                    mujoco.mj_step(self.model, self.data)
            done, self._steps = done + count, self._steps + count
            self.tip = stroke.at(start, done / steps)
            self._show()
            if self._steps % self._per_frame == 0:
                yield

    def stand(self, tip: Tip) -> None:
        """Be there at once, with what is held."""
        self.tip = tip
        self._show()

    def picture(self, camera: str, size: int) -> Image:
        return self._renderers.draw(self.data, camera, size, size)

    def filmed(self, camera: str, height: int, width: int) -> tuple[Image, Array]:
        """A picture (height, width, 3) and its depth (height, width) [m]."""
        size = (height, width)
        return self._renderers.draw(self.data, camera, *size), self._renderers.depth(self.data, camera, *size)

    def close(self) -> None:
        self._renderers.close()

    def _carry(self, held: Held, now: Tip, then: Tip) -> None:
        """Put the held thing where it is `now`, on its way to where it will be `then`."""
        joint, here, later = self.data.joint(f"{held.name}_free"), now.world(held.offset), then.world(held.offset)
        quat, turned, spin = np.empty(4), np.empty(4), np.empty(3)
        mujoco.mju_mat2Quat(quat, (now.axes @ held.turn).ravel())
        mujoco.mju_mat2Quat(turned, (then.axes @ held.turn).ravel())
        mujoco.mju_subQuat(spin, turned, quat)
        joint.qpos[:3], joint.qpos[3:] = here, quat
        joint.qvel[:3], joint.qvel[3:] = (later - here) / self.model.opt.timestep, spin / self.model.opt.timestep

    def _show(self) -> None:
        """Draw the manipulator, and what it holds, where the tip is."""
        if self.held is not None:
            self._carry(self.held, self.tip, self.tip)
        follow(self.data, self.model, self.embodiment.poses(self.tip))
        mujoco.mj_forward(self.model, self.data)
