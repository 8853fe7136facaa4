"""The part of a picture around something, as a camera of a narrow field of view shows it: what a second look sees."""

from __future__ import annotations

import numpy as np
from PIL import Image as Picture

from vgps_models.spaces import Array, Image
from vgps_sim.scene import Camera

AROUND = (0.05, 0.24)  # [m] to either side of the middle that fill the picture's height
COARSE = 0.35  # smallest share of the resolution: a part of a picture has few pixels of its own


def nearer(camera: Camera, points: Array, rng: np.random.Generator) -> Camera:
    """In the same place, aimed at about one of the points (n, 3) [m]."""
    target = points[rng.integers(len(points))]
    around = float(np.exp(rng.uniform(*np.log(AROUND))))
    target = target + rng.uniform(-0.6, 0.6, 3) * around * [1.0, 1.0, 0.3]
    distance = float(np.linalg.norm(np.array(camera.position) - target))
    fovy = float(np.clip(2 * np.rad2deg(np.arctan(around / distance)), 3.0, camera.fovy))
    x, y, z = map(float, target)
    return Camera(camera.position, (x, y, z), fovy)


def coarsened(image: Image, rng: np.random.Generator) -> Image:
    """As if it had been cut out of a larger picture, and enlarged."""
    share, (height, width) = rng.uniform(COARSE, 1.0), image.shape[:2]
    small = (round(width * share), round(height * share))
    how = Picture.Resampling.NEAREST if rng.random() < 0.5 else Picture.Resampling.BILINEAR
    shrunk = Picture.fromarray(image).resize(small, how)
    return np.asarray(shrunk.resize((width, height), Picture.Resampling.BILINEAR))
