"""The pose of a flat figure from its points in a picture, and how far it can be believed.

A small flat figure has two poses that look nearly alike: leaning this way or that. Both are found, the second as the
first mirrored along the line of sight (Schweighofer and Pinz, Robust Pose Estimation from a Planar Target, 2006), and
refined. The one that fits the picture better is taken, and depth, where there is any, votes as well.

OpenCV's SOLVEPNP_IPPE and SOLVEPNP_IPPE_SQUARE, which return both, are not used: they give nonsense for markers that
are seen squarely from the front or lean about an axis of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.opencv import opencv
from vgps_models.spaces import Array

GRID = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 5)]), -1).reshape(-1, 2)  # where depth is asked, in the figure
WITHIN = 0.85  # of the figure: its edge shows what is behind


@dataclass(frozen=True)
class Trust:
    error: float = 1.5  # [px] root mean square error of a pose's points, above which it is dropped
    noise: float = 0.15  # [px] standard deviation of a point in the picture
    small: float = 12.0  # [px] width, where it is narrowest, of a figure that is believed by half
    apart: float = 20.0  # [deg] between the two poses, from which on taking the wrong one is a mistake
    depth: float = 0.003  # [m] standard deviation of depth


@dataclass(frozen=True, eq=False)
class Pose:
    """Of a figure in the camera's frame.

    position (3,) [m], rotation (3, 3): columns are the figure's axes. error [px]: root mean square of its points.
    confidence 0..1: falls for what is small, seen from the side, or could as well be turned the other way.
    """

    position: Array
    rotation: Array
    error: float
    confidence: float

    @property
    def matrix(self) -> Array:
        """(4, 4)"""
        made = np.eye(4)
        made[:3, :3], made[:3, 3] = self.rotation, self.position
        return made


def planar_pose(
    figure: Array, pixels: Array, camera: Intrinsics, trust: Trust, *, depth: Array | None = None
) -> Pose | None:
    """Of points (N, 2) [m] of a figure, N >= 4 and not in a line, seen at pixels (N, 2); None if they fit no pose.

    depth (height, width) [m], NaN for holes.
    """
    found = _two(figure, pixels, camera)
    scored = []
    for rotation, position in found:
        points = figure @ rotation[:, :2].T + position
        # One that lies behind the camera, or shows it its back, cannot be seen.
        if points[:, 2].min() <= 0 or rotation[:, 2] @ position >= 0:
            continue
        misfit = float(((camera.project(points) - pixels) ** 2).sum())
        odds = misfit / trust.noise**2 + _depth_misfit(figure, rotation, position, camera, depth, trust)
        scored.append((odds, float(np.sqrt(misfit / len(pixels))), rotation, position))
    scored.sort(key=lambda one: one[0])
    if not scored or scored[0][1] > trust.error:
        return None
    _, error, rotation, position = scored[0]
    confidence = _large(pixels, trust) * _facing(rotation, position)
    for odds, _, other, _ in scored[1:]:
        confidence *= _clear(odds - scored[0][0], rotation, other, trust)
    return Pose(position, rotation, error, confidence)


def inverse(pose: Array) -> Array:
    """Of a pose (4, 4): where the frame that it is told in lies in its own."""
    made = np.eye(4)
    made[:3, :3] = pose[:3, :3].T
    made[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return made


def _two(figure: Array, pixels: Array, camera: Intrinsics) -> list[tuple[Array, Array]]:
    """Two poses as rotation (3, 3) and position (3,), each the best around; the same twice where there is but one."""
    cv2 = opencv()
    points = np.column_stack([figure, np.zeros(len(figure))])
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    solved, turn, move = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_ITERATIVE)
    if not solved or not (np.isfinite(turn).all() and np.isfinite(move).all()) or move[2, 0] <= 0:
        return []
    first, sight = cv2.Rodrigues(turn)[0], move[:, 0] / np.linalg.norm(move)
    mirrored = (np.eye(3) - 2 * np.outer(sight, sight)) @ first * (1.0, 1.0, -1.0)
    made = [(first, move[:, 0])]
    turn, move = cv2.solvePnPRefineLM(points, pixels, matrix, None, cv2.Rodrigues(mirrored)[0], move.copy())
    if np.isfinite(turn).all() and np.isfinite(move).all():
        made.append((cv2.Rodrigues(turn)[0], move[:, 0]))
    return made


def _depth_misfit(
    figure: Array, rotation: Array, position: Array, camera: Intrinsics, depth: Array | None, trust: Trust
) -> float:
    """How badly the depth that is seen fits the plane's turn; 0 where there is none.

    The distance itself has no say: cameras are wrong about it by more than about the shape of what they see.
    """
    if depth is None:
        return 0.0
    low, high = figure.min(0), figure.max(0)
    inside = (low + high) / 2 + WITHIN * GRID * (high - low) / 2
    pixels = np.round(camera.project(inside @ rotation[:, :2].T + position)).astype(int)
    shown = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(1)
    seen = depth[pixels[shown, 1], pixels[shown, 0]]
    known = np.isfinite(seen)
    if known.sum() < len(GRID) / 2:
        return 0.0
    points = camera.lift(pixels[shown][known].astype(float), seen[known])
    off = (points - position) @ rotation[:, 2]
    # Neighbours are wrong together, so all of them count as much as four; and none more than a hole's edge would.
    off = np.clip((off - np.median(off)) / trust.depth, -5, 5)
    return float(4 * (off**2).mean())


def _large(pixels: Array, trust: Trust) -> float:
    """0..1 by the width of points (N, 2) [px] where they are narrowest, which is the edge of a square."""
    width = 2 * np.sqrt(max(0.0, np.linalg.eigvalsh(np.cov(pixels.T, bias=True))[0]))
    return float(width**2 / (width**2 + trust.small**2))


def _facing(rotation: Array, position: Array) -> float:
    """1 for a figure seen from the front, 0 for one seen along its plane."""
    cosine = -rotation[:, 2] @ position / np.linalg.norm(position)
    return float(1 - (1 - cosine) ** 2)


def _clear(odds: float, rotation: Array, other: Array, trust: Trust) -> float:
    """1 where the second pose is much worse or hardly another, 0 where it is as good and far off. odds: of misfits."""
    wrong = 1 / (1 + np.exp(min(odds / 2, 50.0)))  # that the second is the true one
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation.T @ other) - 1) / 2, -1, 1)))
    return float(1 - 2 * wrong * min(1.0, angle / trust.apart))
