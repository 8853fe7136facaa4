"""Which way is up: the plane that most of the depth lies on, which in front of a person at work is the table."""

from __future__ import annotations

import numpy as np

from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array

WITHIN = 0.006  # [m] of the plane a point counts as on it
FAR = 2.0  # [m] beyond this is the room
AROUND = 0.45  # [m] of hands a table is
TRIES = 300
LEAST = 0.15  # share of the points near by that a table has to have


def camera_over_table(depth: Array, camera: Intrinsics, near: Array | None = None, seed: int = 0) -> Array:
    """Pose (4, 4) of the camera in a frame on the table: z up from it, x where the camera looks along it.

    depth (h, w) [m] with NaN for holes. near (3,) [m]: where hands are at work, in the camera's frame: only what is
    `AROUND` there counts, or the largest plane might be that of a wall. By random triples (RANSAC, Fischler & Bolles
    1981) and a least-squares plane through what agrees. Raises DataError where no plane stands out.
    """
    camera.require(depth.shape, "depth")
    rows, columns = np.mgrid[0 : depth.shape[0] : 4, 0 : depth.shape[1] : 4]
    far = depth[rows, columns]
    points = camera.lift(np.stack([columns, rows], -1).astype(np.float64), far)[np.isfinite(far) & (far < FAR)]
    if near is not None:
        points = points[np.linalg.norm(points - near, axis=1) < AROUND]
    best = np.zeros(len(points), bool)
    random = np.random.default_rng(seed)
    for _ in range(TRIES if len(points) >= 100 else 0):
        a, b, c = points[random.choice(len(points), 3, replace=False)]
        normal = np.cross(b - a, c - a)
        if (norm := float(np.linalg.norm(normal))) > 1e-9:
            on = np.abs((points - a) @ (normal / norm)) < WITHIN
            best = on if on.sum() > best.sum() else best
    if best.sum() < max(100, LEAST * len(points)):
        raise DataError(
            f"no table stands out in the depth ({best.sum()} of {len(points)} points on a plane); "
            "give the camera's pose, or film more of the table"
        )
    middle = points[best].mean(0)
    up = np.linalg.svd(points[best] - middle, full_matrices=False)[2][2]
    up = up if up @ -middle > 0 else -up  # towards the camera
    forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
    x = forward / np.linalg.norm(forward)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(up, x), up])
    pose[2, 3] = -float(up @ middle)
    return pose
