"""Where a performance is filmed from: the robot's own front camera, and anywhere around the table."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_sim.people.parts import TABLE, Embodiment
from vgps_sim.scene import CAMERAS, FRONT, Camera, look_at

IN_FRONT = 0.9  # [rad] to either side of the front camera in which nobody stands when it films

INSIDE = 0.85  # of the way from the middle of the picture to its edge
NEAREST = 0.22  # [m]


@dataclass(frozen=True)
class View:
    name: str
    camera: Camera


def front_view(rng: np.random.Generator) -> View:
    """The robot's front camera, put up by hand: a centimetre and a degree off."""
    camera = CAMERAS["front"]
    position = camera.position + rng.uniform(-0.012, 0.012, 3)
    target = camera.target + rng.uniform(-0.01, 0.01, 3)
    return View(FRONT, _camera(position, target, camera.fovy + rng.uniform(-1.5, 1.5)))


def free_view(name: str, embodiment: Embodiment | None, points: Array, rng: np.random.Generator) -> View:
    """Anywhere around the table from where `points` (n, 3) [m] are in the picture and not hidden by an embodiment."""
    while True:
        azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 1.15)
        fovy, around = rng.uniform(34.0, 60.0), rng.uniform(0.17, 0.27)
        # So far away that `around` metres to either side of the middle of the table fill the picture.
        distance = around / np.tan(np.deg2rad(fovy) / 2)
        direction = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        target = TABLE + [0, 0, 0.035] + rng.uniform(-0.04, 0.04, 3)
        camera = _camera(target + distance * np.array(direction), target, fovy)
        if _shows(camera, points) and not (embodiment and embodiment.hides(np.array(camera.position), points)):
            return View(name, camera)


def whole_view(name: str, embodiment: Embodiment, points: Array, rng: np.random.Generator) -> View:
    """From farther off, so that all of a person's arm is in the picture too, which `points` (n, 3) [m] has to hold."""
    middle = points.mean(0)
    while True:
        azimuth, elevation, fovy = rng.uniform(-np.pi, np.pi), rng.uniform(0.15, 0.9), rng.uniform(40.0, 58.0)
        direction = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        target, spare = middle + rng.uniform(-0.05, 0.05, 3), rng.uniform(1.0, 1.15)
        for distance in np.geomspace(0.5, 1.6, 24):  # as near as can be
            camera = _camera(middle + distance * np.array(direction), target, fovy)
            if _shows(camera, points):
                farther = _camera(middle + spare * distance * np.array(direction), target, fovy)
                if not embodiment.hides(np.array(farther.position), points):
                    return View(name, farther)
                break


def _shows(camera: Camera, points: Array) -> bool:
    """All points are well within the picture and none is right before the lens."""
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, look_at(camera))
    local = (points - np.array(camera.position)) @ rotation.reshape(3, 3)
    depth = -local[:, 2]
    edge = INSIDE * np.tan(np.deg2rad(camera.fovy) / 2) * depth
    return bool((depth > NEAREST).all() and (np.abs(local[:, :2]) < edge[:, None]).all())


def _camera(position: Array, target: Array, fovy: float) -> Camera:
    (px, py, pz), (tx, ty, tz) = map(float, position), map(float, target)
    return Camera((px, py, pz), (tx, ty, tz), float(fovy))
