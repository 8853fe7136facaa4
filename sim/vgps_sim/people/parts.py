"""What free-flying manipulators are drawn from: rigid parts that are put where they belong, touching nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import about_x, turned
from vgps_sim.objects import BOX, CAPSULE, LOOKS_ONLY

TABLE = np.array([0.27, 0.0, 0.0])  # [m] middle of where things are laid
Colour = Sequence[float] | Array  # red, green, blue in 0..1
Point = Sequence[float] | Array  # (3,) [m]
Pose = tuple[Array, Array]  # position (3,) [m] and rotation (3, 3), columns the part's axes, in the base frame


@dataclass(frozen=True, eq=False)
class Tip:
    """Where a manipulator is: the point between its fingertips.

    position: (3,) [m] in the base frame. yaw: direction [rad] of the x axis of the tip's frame, along which a long
    thing lies; fingers close along its y axis, z is up. gap: clear width between the fingertips [m]. tilt: turn of
    that frame about its own x axis [rad], as in pouring; only a person tilts.
    """

    position: Array
    yaw: float
    gap: float
    tilt: float = 0.0

    @property
    def axes(self) -> Array:
        """Columns: the frame's axes in the base frame (3, 3)."""
        return turned(self.yaw) @ about_x(self.tilt) if self.tilt else turned(self.yaw)

    def world(self, local: Point) -> Array:
        """A point (3,) of the tip's frame in the base frame [m]."""
        return self.position + self.axes @ np.asarray(local, dtype=np.float64)


class Embodiment(Protocol):
    """A manipulator with the looks and measures of one performance.

    name: in the registry. clearance: lowest height [m] of its tip above a table. side: azimuth [rad] from which it
    reaches over the table, to be set. natural_yaw: of the tip, where the manipulator is then at ease. turn: how far
    from there it still looks right [rad].
    """

    name: str
    clearance: float
    turn: float
    side: float

    @property
    def natural_yaw(self) -> float: ...

    def add(self, spec: mujoco.MjSpec) -> None:
        """Its parts, each a mocap body."""
        ...

    def hides(self, eye: Array, points: Array) -> bool:
        """Whether from `eye` (3,) one would see little but the manipulator, and not the `points` (n, 3) [m]."""
        ...

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        """Where each part is when the tip is there."""
        ...


def beside(side: float, eye: Array) -> bool:
    """Whether `eye` is where somebody stands who reaches over the table from azimuth `side` [rad]."""
    away = np.arctan2(eye[1] - TABLE[1], eye[0] - TABLE[0]) - side
    return bool(abs((away + np.pi) % (2 * np.pi) - np.pi) < 0.75)


def part(spec: mujoco.MjSpec, name: str) -> mujoco.MjsBody:
    return spec.worldbody.add_body(name=name, mocap=True)


def rod(body: mujoco.MjsBody, start: Point, end: Point, radius: float, colour: Colour) -> None:
    """A round stick of a part, in the part's frame."""
    body.add_geom(type=CAPSULE, size=[radius, 0, 0], fromto=[*start, *end], rgba=[*colour, 1.0], **LOOKS_ONLY)


def slab(body: mujoco.MjsBody, centre: Point, half: Point, colour: Colour) -> None:
    """A box of a part, in the part's frame."""
    body.add_geom(type=BOX, size=list(half), pos=list(centre), rgba=[*colour, 1.0], **LOOKS_ONLY)


def pointing(start: Array, end: Array, x_axis: Array) -> Pose:
    """A part at `start` whose z axis points to `end` and whose x axis is as near to `x_axis` as can be."""
    z = (end - start) / np.linalg.norm(end - start)
    x = x_axis - (x_axis @ z) * z
    x /= np.linalg.norm(x)
    return start, np.stack([x, np.cross(z, x), z], axis=1)


def knee(start: Array, end: Array, first: float, second: float, outward: Array) -> Array:
    """The joint of two bones of lengths `first` and `second` [m] from `start` to `end`, bent towards `outward`.

    Out of reach, it lies on the straight line between the ends.
    """
    line = end - start
    distance = float(np.linalg.norm(line))
    line = line / distance
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    along = float(np.clip(along, 0.0, first))
    side = outward - (outward @ line) * line
    return start + along * line + np.sqrt(first**2 - along**2) * side / np.linalg.norm(side)


def follow(data: mujoco.MjData, model: mujoco.MjModel, poses: Iterator[tuple[str, Pose]]) -> None:
    """Put the parts where they belong."""
    for name, (position, rotation) in poses:
        mocap = model.body_mocapid[model.body(name).id]
        data.mocap_pos[mocap] = position
        mujoco.mju_mat2Quat(data.mocap_quat[mocap], rotation.ravel())
