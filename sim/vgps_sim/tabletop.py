"""What lies on the table of a running simulation: where it is, how fast it moves, what it touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.tasks import Place


class Tabletop:
    """The things called `names` in a compiled scene. Positions in the base frame [m]."""

    def __init__(self, model: mujoco.MjModel, names: Sequence[str]) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self._bodies = {name: model.body(name).id for name in names}

    def put(self, name: str, place: Place, z: float) -> None:
        """Put a thing somewhere, upright, its frame at height `z` [m] plus the place's lift. Its velocity stays."""
        pose = [place.x, place.y, z + place.lift, np.cos(place.yaw / 2), 0.0, 0.0, np.sin(place.yaw / 2)]
        if get_thing(name).movable:
            self.data.joint(f"{name}_free").qpos[:] = pose
        else:
            mocap = self.model.body_mocapid[self._bodies[name]]
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = pose[:3], pose[3:]

    def put_all(self, places: Mapping[str, Place], heights: Mapping[str, float] | None = None) -> None:
        """Put things on the table. `heights` lifts a thing's frame [m] from where it would lie."""
        for name, place in places.items():
            self.put(name, place, get_thing(name).rest_height + (heights or {}).get(name, 0.0))

    def position(self, thing: str) -> Array:
        return self.data.xpos[self._bodies[thing]].copy()

    def axes(self, thing: str) -> Array:
        """The thing's axes in the base frame, columns of a rotation (3, 3)."""
        return self.data.xmat[self._bodies[thing]].reshape(3, 3).copy()

    def yaw(self, thing: str) -> float:
        """Direction of the thing's x axis in the table's plane [rad]."""
        x_axis = self.axes(thing)[:, 0]
        return float(np.arctan2(x_axis[1], x_axis[0]))

    def speed(self, thing: str) -> float:
        return float(np.linalg.norm(self.data.cvel[self._bodies[thing], 3:]))

    def touches(self, a: str, b: str) -> bool:
        pair = {self._bodies[a], self._bodies[b]}
        return any({int(x), int(y)} == pair for x, y in self.model.geom_bodyid[self.data.contact.geom])

    def camera_pose(self, name: str) -> Array:
        """Pose (4, 4) of a camera in the base frame: x to the right, y down, z forward."""
        number, pose = self.model.camera(name).id, np.eye(4)
        # MuJoCo's cameras look along -z with y up.
        pose[:3, :3] = self.data.cam_xmat[number].reshape(3, 3) * (1.0, -1.0, -1.0)
        pose[:3, 3] = self.data.cam_xpos[number]
        return pose
