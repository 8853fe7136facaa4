"""A person who sits where the robot stands and moves things about the table: arm and fingertips, thirty times a second.

Reaches are of minimum jerk, at a person's own pace, height and swing of the elbow; what a camera sees of them is a few
millimetres and degrees off in every frame anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.spaces import Array
from vgps_sim.people.parts import knee
from vgps_sim.retarget.human import Arm
from vgps_sim.retarget.refine import Path
from vgps_sim.retarget.shown import Shown

HZ = 30
PALM, FINGERS = 0.10, 0.09  # [m] from the wrist to the knuckles, and on to where thumb and fingers meet
CURL = 0.8  # [rad] of the fingers towards the palm
LOW, HIGH = np.array([0.21, -0.13]), np.array([0.33, 0.13])  # [m] where things lie


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what is seen, fresh in every frame."""

    joints: float = 0.005  # [m] of shoulder, elbow and wrist
    tip: float = 0.003  # [m] of the fingertips
    turn: float = 0.02  # [rad] of the hand and of the fingers, about each axis


@dataclass(frozen=True, eq=False)
class Reaching(Shown):
    """true_tip: the tip without noise."""

    true_tip: Path


def reaching(seed: int, moves: int = 3, noise: Noise = Noise()) -> Reaching:
    """So many things fetched from somewhere and put elsewhere, one after the other."""
    random = np.random.default_rng([seed, 5])
    shoulder = np.array([-0.06, -0.17, 0.42]) + random.normal(0, 0.02, 3)
    upper, fore = 0.30 * random.uniform(0.93, 1.07), 0.27 * random.uniform(0.93, 1.07)
    tip, yaw = _tip_path(random, moves)
    count = len(tip)
    lean = -0.7 + random.uniform(-0.15, 0.15) + _drift(random, count, 0.05)
    swivel = 0.5 + random.uniform(-0.25, 0.25) + _drift(random, count, 0.12)
    hand = np.array([_hand(y, a) for y, a in zip(yaw, lean, strict=True)])
    pinch = np.array([_hand(y, a + CURL) for y, a in zip(yaw, lean, strict=True)])
    wrist = tip - PALM * hand[:, :, 0] - FINGERS * pinch[:, :, 0]
    away = np.stack([np.zeros(count), -np.sin(swivel), -np.cos(swivel)], axis=1)  # down, and outwards by the swivel
    elbow = np.array([knee(shoulder, w, upper, fore, a) for w, a in zip(wrist, away, strict=True)])
    seen_hand, seen_pinch = (_shaken(each, noise.turn, random) for each in (hand, pinch))
    joints = np.stack([np.broadcast_to(shoulder, wrist.shape), elbow, wrist])
    seen = joints + random.normal(0, noise.joints, joints.shape)
    seen_tip = tip + random.normal(0, noise.tip, tip.shape)
    return Reaching(
        Arm(seen[0], seen[1], seen[2], seen_hand),
        Path(seen_tip, tool_of(seen_pinch), 1 / HZ),
        Path(tip, tool_of(pinch), 1 / HZ),
    )


def tool_of(pinch: Array) -> Array:
    """A gripper in the place of fingers whose axes are `pinch`: x along them, closing as the arm's does. (T, 3, 3)."""
    x, y = pinch[:, :, 0], pinch[:, :, 2]
    return np.stack([x, y, np.cross(x, y)], axis=2) @ Rotation.from_euler("x", -90, degrees=True).as_matrix()


def _tip_path(random: np.random.Generator, moves: int) -> tuple[Array, Array]:
    """Fingertips (T, 3) [m] and the yaw of the hand (T,) [rad]."""
    pace = random.uniform(0.8, 1.25)
    high, points, yaws = random.uniform(0.10, 0.15), [np.array([0.22, -0.02, 0.14])], [0.0]
    for _ in range(moves):
        for height in (0.015, 0.02):
            where, turn = random.uniform(LOW, HIGH), float(random.uniform(-0.5, 0.5))
            for z in (high, height, high):
                points.append(np.array([*where, z + random.uniform(-0.004, 0.004)]))
                yaws.append(turn)
    made, turned = [points[0][None]], [np.array(yaws[:1])]
    for (start, end), (y0, y1) in zip(pairwise(points), pairwise(yaws), strict=True):
        way = float(np.linalg.norm(end - start))
        frames = max(8, round(HZ * (0.35 + way / 0.35) / pace))
        s = np.arange(1, frames + 1) / frames
        s = s**3 * (10 - 15 * s + 6 * s**2)
        made.append(start + s[:, None] * (end - start))
        turned.append(y0 + s * (y1 - y0))
    return np.concatenate(made), np.concatenate(turned)


def _hand(yaw: float, lean: float) -> Array:
    """Fingers down, the back of the hand forward, then leaned and turned about the vertical. Axes of `human`."""
    at_rest = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    return Rotation.from_euler("ZY", [yaw, lean]).as_matrix() @ at_rest


def _drift(random: np.random.Generator, count: int, size: float) -> Array:
    """A slow wave (count,) of about this size."""
    t = np.arange(count) / HZ
    return size * np.sin(2 * np.pi * random.uniform(0.08, 0.25) * t + random.uniform(0, 6))


def _shaken(rotations: Array, size: float, random: np.random.Generator) -> Array:
    return Rotation.from_rotvec(random.normal(0, size, (len(rotations), 3))).as_matrix() @ rotations
