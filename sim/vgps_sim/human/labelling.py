"""Where named points are in a picture of a simulated scene, and whether anything is before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.pictures import Labelled
from vgps_models.spaces import Array
from vgps_sim.objects import get_thing
from vgps_sim.tasks import ALL_TASKS

ARM = ("shoulder", "elbow", "wrist")
POINTS = (*ARM, *dict.fromkeys(name for task in ALL_TASKS.values() for name in task.landmarks))
THICK = {**dict.fromkeys(ARM, 0.075), "wrist": 0.05, "bottle_mouth": 0.02, "balls": 0.025}  # [m] of others their radius
GREY = 127


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture (h, w, 3), its depth (h, w) [m], and the camera's pose (4, 4): x to the right, y down, z forward."""

    rgb: NDArray[np.uint8]
    depth: Array
    camera: Intrinsics
    pose: Array


def labelled(shot: Shot, points: dict[str, Array]) -> Labelled:
    """points: where those of `POINTS` are that there are (3,) [m], in the frame of the camera's pose."""
    pixels, shown = np.zeros((len(POINTS), 2)), np.zeros(len(POINTS), bool)
    under, camera = np.zeros(len(POINTS)), shot.camera
    for k, name in enumerate(POINTS):
        if name not in points:
            continue
        local = (points[name] - shot.pose[:3, 3]) @ shot.pose[:3, :3]
        if local[2] < 0.05:
            continue
        pixels[k] = camera.project(local)
        u, v = np.round(pixels[k]).astype(int)
        if not (0 <= u < camera.width and 0 <= v < camera.height):
            continue
        surface = float(np.median(shot.depth[max(0, v - 1) : v + 2, max(0, u - 1) : u + 2]))
        thick = THICK.get(name) or 1.3 * get_thing(name).radius
        under[k] = (local[2] - surface) * np.linalg.norm(local) / local[2]
        shown[k] = abs(under[k]) < thick
    return Labelled(shot.rgb, pixels, shown, under)


def fitted(picture: Labelled, width: int, height: int) -> Labelled:
    """Scaled to fit, grey around, as a finder scales whatever it is given."""
    h, w = picture.rgb.shape[:2]
    if (h, w) == (height, width):
        return picture
    scale = min(width / w, height / h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    corner = np.array([(width - size[0]) // 2, (height - size[1]) // 2])
    rgb = np.full((height, width, 3), GREY, np.uint8)
    scaled = Picture.fromarray(picture.rgb).resize(size, Picture.Resampling.BILINEAR)
    rgb[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = np.asarray(scaled)
    pixels = np.where(picture.shown[:, None], (picture.pixels + 0.5) * scale - 0.5 + corner, 0.0)
    return Labelled(rgb, pixels, picture.shown, picture.under)
