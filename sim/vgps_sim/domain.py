"""How much the looks of a scene vary from seed to seed: the target domain hardly, a broad one a lot.

A generalist is trained on scenes that differ in camera, light and colour; the place where it is put
to work is one of them. The critic learns from that place alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_sim.objects import LOOKS_ONLY
from vgps_sim.tasks import REGION_HIGH, REGION_LOW

CLUTTER_LOW, CLUTTER_HIGH = np.array([0.0, -0.36]), np.array([0.50, 0.36])  # [m] where clutter stands ...
AROUND = 0.07  # [m] ... but not nearer than this to where tasks are laid out


@dataclass(frozen=True)
class Domain:
    """Half widths of what is drawn for a scene, and ranges of factors."""

    light: tuple[float, float] = (0.8, 1.15)  # factor of every lamp
    material: tuple[float, float] = (0.9, 1.1)  # factor of each colour channel of the table and the arm
    tint: tuple[float, float] = (0.92, 1.08)  # factor of a thing's colour
    hue: float = 0.0  # largest relative change of one channel of a thing's colour
    camera_shift: float = 0.0  # [m] along each axis
    camera_turn: float = 0.0  # [rad] about each axis
    camera_fovy: float = 0.0  # [deg]
    lamp_turn: float = 0.0  # largest change of each component of the lamp's direction
    clutter: int = 0  # things around the place of work that no task knows, in view and out of reach


TARGET = Domain()
BROAD = Domain(
    light=(0.6, 1.4),
    material=(0.6, 1.3),
    tint=(0.8, 1.2),
    hue=0.15,
    camera_shift=0.012,
    camera_turn=0.025,
    camera_fovy=1.5,
    lamp_turn=0.4,
)
# The place of work after somebody has run into the cameras: nothing looks otherwise, but nothing is where it was.
KNOCKED = Domain(camera_shift=0.03, camera_turn=0.06)
# The place of work with things standing around it, and with things of the same shape in colours of their own.
CLUTTERED = Domain(clutter=6)
RECOLOURED = Domain(tint=(0.7, 1.3), hue=0.4)
DOMAINS = {"target": TARGET, "broad": BROAD, "knocked": KNOCKED, "cluttered": CLUTTERED, "recoloured": RECOLOURED}


def get_domain(name: str) -> Domain:
    """The domain of that name; the error lists the valid ones."""
    if name not in DOMAINS:
        raise UnknownNameError("domain", name, DOMAINS)
    return DOMAINS[name]


def add_clutter(spec: mujoco.MjSpec, domain: Domain) -> None:
    """Things that are only seen, put aside until `Looks.vary` gives them a place."""
    for number in range(domain.clutter):
        body = spec.worldbody.add_body(name=f"clutter_{number}", mocap=True, pos=[0.0, 0.0, -1.0])
        kind = (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_ELLIPSOID)[number % 3]
        body.add_geom(type=kind, size=[0.03, 0.03, 0.03], rgba=[0.5, 0.5, 0.5, 1.0], **LOOKS_ONLY)


class Looks:
    """The appearance of one compiled scene, redrawn at will."""

    def __init__(self, model: mujoco.MjModel, domain: Domain) -> None:
        self.domain, self._model = domain, model
        self._rgba, self._materials = model.geom_rgba.copy(), model.mat_rgba.copy()
        self._diffuse, self._direction = model.light_diffuse.copy(), model.light_dir.copy()
        self._position, self._orientation = model.cam_pos.copy(), model.cam_quat.copy()
        self._fovy = model.cam_fovy.copy()

    def vary(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draw light, colours and cameras anew; `data` then holds where the cameras are."""
        domain, model = self.domain, self._model
        model.light_diffuse[:] = self._diffuse * rng.uniform(*domain.light)
        model.mat_rgba[:, :3] = np.clip(self._materials[:, :3] * rng.uniform(*domain.material, 3), 0, 1)
        tint = rng.uniform(*domain.tint, (len(self._rgba), 1))
        if domain.hue:
            tint = tint * (1 + rng.uniform(-domain.hue, domain.hue, (len(self._rgba), 3)))
        tint = np.where((model.geom_matid >= 0)[:, None], 1.0, tint)  # a changed geom colour would hide its material
        model.geom_rgba[:, :3] = np.clip(self._rgba[:, :3] * tint, 0, 1)
        if domain.lamp_turn:
            change = rng.uniform(-domain.lamp_turn, domain.lamp_turn, self._direction.shape)
            direction = self._direction + change
            model.light_dir[:] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        for number in range(domain.clutter):
            self._place_clutter(data, number, rng)
        if domain.camera_shift or domain.camera_turn or domain.camera_fovy:
            self._move_cameras(rng)
            mujoco.mj_camlight(model, data)

    def _place_clutter(self, data: mujoco.MjData, number: int, rng: np.random.Generator) -> None:
        """On the table around the rectangle in which tasks are laid out."""
        body = self._model.body(f"clutter_{number}")
        geom, size = body.geomadr[0], rng.uniform(0.015, 0.04, 3)
        self._model.geom_size[geom], self._model.geom_rgba[geom, :3] = size, rng.uniform(0.05, 0.95, 3)
        low, high = REGION_LOW - AROUND, REGION_HIGH + AROUND
        while True:
            x, y = rng.uniform(CLUTTER_LOW, CLUTTER_HIGH)
            if not (low[0] < x < high[0] and low[1] < y < high[1]):
                break
        yaw, place = rng.uniform(-np.pi, np.pi), body.mocapid[0]
        tall = size[1] if number % 3 == 1 else size[2]  # half of it; a cylinder's is its second number
        data.mocap_pos[place] = x, y, tall
        data.mocap_quat[place] = np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)

    def _move_cameras(self, rng: np.random.Generator) -> None:
        domain, model = self.domain, self._model
        shift, turn = domain.camera_shift, domain.camera_turn
        model.cam_pos[:] = self._position + rng.uniform(-shift, shift, self._position.shape)
        model.cam_fovy[:] = self._fovy + rng.uniform(-domain.camera_fovy, domain.camera_fovy, self._fovy.shape)
        for camera, quat in enumerate(self._orientation):
            turned = quat.copy()
            mujoco.mju_quatIntegrate(turned, rng.uniform(-turn, turn, 3), 1.0)
            model.cam_quat[camera] = turned
