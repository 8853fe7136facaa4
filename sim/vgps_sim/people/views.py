"""Where a performance is filmed from: the robot's own front camera, and anywhere around the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.spaces import Array
from vgps_sim.people.parts import TABLE
from vgps_sim.scene import CAMERAS, Camera

FRONT = "front"
IN_FRONT = 0.9  # [rad] to either side of the front camera in which nobody stands when it films
BESIDE = 0.75  # [rad] that a free camera keeps from whoever reaches over the table


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


def free_view(name: str, side: float, rng: np.random.Generator) -> View:
    """Anywhere around the table but behind whoever reaches over it from azimuth `side` [rad]."""
    while True:
        azimuth = rng.uniform(-np.pi, np.pi)
        if abs(_wrapped(azimuth - side)) > BESIDE:
            break
    elevation, fovy = rng.uniform(0.3, 1.15), rng.uniform(34.0, 60.0)
    # So far away that some .17 to .25 m around the middle of the table fill half of the picture.
    distance = rng.uniform(0.17, 0.25) / np.tan(np.deg2rad(fovy) / 2)
    direction = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    target = TABLE + [0, 0, 0.035] + rng.uniform(-0.03, 0.03, 3)
    return View(name, _camera(target + distance * np.array(direction), target, fovy))


def _camera(position: Array, target: Array, fovy: float) -> Camera:
    (px, py, pz), (tx, ty, tz) = map(float, position), map(float, target)
    return Camera((px, py, pz), (tx, ty, tz), float(fovy))


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
