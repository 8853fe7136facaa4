"""A person's arm as seven angles, from where shoulder, elbow, wrist and hand are, and back.

Frames: x forward from the chest, y to the left, z up. The hand's axes: x along the fingers, z out of its back, and y to
where these leave it. All angles are those of a right arm, a left one is mirrored; they are 0 when the arm hangs down
with the back of the hand to the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError
from vgps_models.spaces import Array

ANGLES = ("azimuth", "elevation", "rotation", "elbow", "pronation", "flexion", "deviation")
DOWN = np.array([0.0, 0.0, -1.0])
STRAIGHT = np.radians(3.0)  # [rad] nearer to straight than this an elbow no longer tells which way it would bend


@dataclass(frozen=True, eq=False)
class Arm:
    """Where a right arm is over T frames. positions (T, 3) [m], hand (T, 3, 3) its axes in the columns."""

    shoulder: Array
    elbow: Array
    wrist: Array
    hand: Array

    def __post_init__(self) -> None:
        count = len(self.shoulder)
        shapes = {"shoulder": (count, 3), "elbow": (count, 3), "wrist": (count, 3), "hand": (count, 3, 3)}
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise DataError(f"{name} is {values.shape}; expected {shape} finite numbers, and a frame at least")
        if count == 0:
            raise DataError("an arm of no frames")

    def __len__(self) -> int:
        return len(self.shoulder)

    @property
    def lengths(self) -> tuple[float, float]:
        """Of upper arm and forearm [m], medians over the frames: a person's bones stay as long as they are."""
        upper, fore = self.elbow - self.shoulder, self.wrist - self.elbow
        return float(np.median(np.linalg.norm(upper, axis=1))), float(np.median(np.linalg.norm(fore, axis=1)))

    @property
    def mirrored(self) -> Arm:
        """The other side's arm: a left one as a right one."""
        flip = np.array([1.0, -1.0, 1.0])
        hand = self.hand * flip[:, None] * flip  # a rotation stays one when it is mirrored in y on both sides
        return Arm(self.shoulder * flip, self.elbow * flip, self.wrist * flip, hand)


def angles(arm: Arm) -> Array:
    """`ANGLES` of every frame (T, 7) [rad].

    azimuth: from forward to where the elbow is raised, to the left. elevation: of the upper arm, 0 hanging, pi/2 level.
    rotation: of the upper arm about itself, by which the elbow's plane turns. elbow: 0 straight. pronation: of the
    forearm about itself. flexion, deviation: of the hand, towards the palm and towards the thumb.
    Where an angle cannot be seen (an upper arm that hangs, a straight elbow) it stays as it was before.
    """
    made = np.zeros((len(arm), len(ANGLES)))
    azimuth, twist = 0.0, 0.0
    for i in range(len(arm)):
        upper = _unit(arm.elbow[i] - arm.shoulder[i])
        fore = _unit(arm.wrist[i] - arm.elbow[i])
        elevation = float(np.arccos(np.clip(-upper[2], -1, 1)))
        if np.sin(elevation) > np.sin(STRAIGHT):
            azimuth = float(np.arctan2(upper[1], upper[0]))
        raised = _raised(azimuth, elevation)
        bend = raised.T @ fore  # in the frame of the upper arm, before it turns about itself
        elbow = float(np.arccos(np.clip(-bend[2], -1, 1)))
        if np.sin(elbow) > np.sin(STRAIGHT):
            twist = float(np.arctan2(bend[1], bend[0]))
        frame = raised @ _about("z", twist) @ _about("y", -elbow)
        pronation, flexion, deviation = _wrist(frame.T @ arm.hand[i])
        made[i] = azimuth, elevation, twist, elbow, pronation, flexion, deviation
    return np.unwrap(made, axis=0)


def posture(angles: Array, shoulder: Array, lengths: Sequence[float]) -> Arm:
    """The arm that has these angles (T, 7) [rad]: `angles` backwards. shoulder (3,) [m], lengths of both bones [m]."""
    count = len(angles)
    elbow, wrist, hand = np.empty((count, 3)), np.empty((count, 3)), np.empty((count, 3, 3))
    for i, (azimuth, elevation, twist, bent, pronation, flexion, deviation) in enumerate(angles):
        frame = _raised(azimuth, elevation) @ _about("z", twist)
        elbow[i] = shoulder + lengths[0] * frame @ DOWN
        frame = frame @ _about("y", -bent)
        wrist[i] = elbow[i] + lengths[1] * frame @ DOWN
        hand[i] = frame @ _about("z", pronation) @ _about("y", flexion) @ _about("x", deviation) @ AT_REST
    return Arm(np.broadcast_to(shoulder, (count, 3)).copy(), elbow, wrist, hand)


# Axes of a hand that hangs: fingers down, back to the front, index to the left.
AT_REST = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])


def _raised(azimuth: float, elevation: float) -> Array:
    """Frame (3, 3) of an upper arm that is raised towards `azimuth`, its z axis back along the bone."""
    return _about("z", azimuth) @ _about("y", -elevation) @ _about("z", -azimuth)


def _wrist(local: Array) -> tuple[float, float, float]:
    pronation, flexion, deviation = Rotation.from_matrix(local @ AT_REST.T).as_euler("ZYX")
    return float(pronation), float(flexion), float(deviation)


def _about(axis: str, angle: float) -> Array:
    return Rotation.from_euler(axis, angle).as_matrix()


def _unit(vector: Array) -> Array:
    norm = float(np.linalg.norm(vector))
    if norm < 1e-6:
        raise DataError("two joints of an arm are in the same place")
    return vector / norm
