"""A person's hand that pinches from above, with the arm that it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import about_x, turned
from vgps_sim.objects import ELLIPSOID, LOOKS_ONLY
from vgps_sim.people.parts import TABLE, Colour, Pose, Tip, beside, knee, part, pointing, rod

SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69), (0.91, 0.72, 0.58), (0.83, 0.62, 0.47), (0.72, 0.51, 0.36),
    (0.58, 0.39, 0.27), (0.45, 0.29, 0.19), (0.33, 0.21, 0.14),
)  # fmt: skip
PALM_HEIGHT = 0.079  # [m] of the middle knuckle above the fingertips


@dataclass(frozen=True)
class Finger:
    """Of a right hand whose tip frame has the thumb at -y and the index finger at +x. Lengths in metres.

    knuckle: where it begins in the palm's frame. x, raised: its tip beside and above the pinching point.
    bones: lengths of its first bone and of the rest.
    """

    knuckle: tuple[float, float, float]
    x: float
    raised: float
    bones: tuple[float, float]
    radius: float
    side: float = 1.0  # +1: closes from +y; the thumb from -y


FINGERS: dict[str, Finger] = {
    "thumb": Finger((0.027, -0.014, 0.100), 0.005, 0.0, (0.055, 0.060), 0.0092, -1.0),
    "index": Finger((0.029, 0.029, PALM_HEIGHT), 0.011, 0.0, (0.043, 0.047), 0.0078),
    "middle": Finger((0.008, 0.033, PALM_HEIGHT + 0.002), -0.007, 0.0, (0.046, 0.049), 0.0080),
    "ring": Finger((-0.013, 0.030, PALM_HEIGHT), -0.023, 0.005, (0.043, 0.047), 0.0076),
    "little": Finger((-0.032, 0.023, PALM_HEIGHT - 0.004), -0.036, 0.014, (0.034, 0.038), 0.0066),
}
# Middle and half sizes of what fills the palm: its back, and the ball of the thumb.
FLESH = (((0.0, 0.014, 0.125), (0.036, 0.0155, 0.052)), ((0.02, -0.004, 0.125), (0.017, 0.016, 0.036)))
WRIST = np.array([-0.002, -0.004, 0.168])
FOREARM, UPPER_ARM = 0.27, 0.30


class Hand:
    """A hand of some size, skin and sleeve; now and then gloved, now and then the left one."""

    name, clearance, turn = "hand", 0.0095, 0.8

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = 0.0
        self._scale = rng.uniform(0.9, 1.08)
        self._mirror = np.array([rng.choice([1.0, -1.0], p=[0.75, 0.25]), 1.0, 1.0])
        self._lean = rng.uniform(-0.05, 0.28)  # [rad] of the back of the hand towards the person
        skin = np.array(SKINS[rng.integers(len(SKINS))])
        gloved = rng.random() < 0.12
        self._skin = np.clip(rng.uniform(0.1, 0.9, 3) if gloved else skin * rng.uniform(0.94, 1.06, 3), 0, 1)
        self._nail = self._skin if gloved else np.clip(self._skin * [1.08, 1.0, 1.0] + 0.05, 0, 1)
        self._arm = np.clip(skin, 0, 1)
        self._sleeve = rng.uniform(0.05, 0.95, 3)
        self._bare = rng.uniform(0.03, 0.2)  # [m] of the forearm that the sleeve leaves free

    @property
    def natural_yaw(self) -> float:
        """Fingers away from the person, thumb towards them."""
        return self.side + np.pi / 2

    def add(self, spec: mujoco.MjSpec) -> None:
        palm, s = part(spec, "hand_palm"), self._scale
        for name, finger in FINGERS.items():
            knuckle = np.array(finger.knuckle) * self._mirror * s
            root = np.array([0.45, 0.2, 1.0]) * finger.knuckle + [0.0, 0.0, 0.072]
            if name != "thumb":
                rod(palm, root * self._mirror * s, knuckle, 0.0125 * s, self._skin)
            first, last = part(spec, f"hand_{name}_1"), part(spec, f"hand_{name}_2")
            r, (l1, l2) = finger.radius * s, (bone * s for bone in finger.bones)
            rod(first, (0, 0, 0), (0, 0, l1), r * 1.12, self._skin)
            # The outer two bones are bent a little towards the palm; the tip stays where it is.
            joint = (0.0, -0.1 * l2, 0.5 * l2)
            rod(last, (0, 0, 0), joint, r * 1.04, self._skin)
            rod(last, joint, (0, 0, l2), r, self._skin)
            last.add_geom(
                type=ELLIPSOID, size=[0.6 * r, 0.25 * r, 0.9 * r], pos=[0, -0.92 * r - 0.02 * l2, 0.88 * l2],
                rgba=[*self._nail, 1.0], **LOOKS_ONLY,
            )  # fmt: skip
        for centre, half in FLESH:
            palm.add_geom(
                type=ELLIPSOID, size=list(np.array(half) * s), pos=list(np.array(centre) * self._mirror * s),
                rgba=[*self._skin, 1.0], **LOOKS_ONLY,
            )  # fmt: skip
        rod(palm, WRIST * self._mirror * s, np.array([0.0, 0.008, 0.145]) * s, 0.023 * s, self._skin)
        forearm, upper = part(spec, "hand_forearm"), part(spec, "hand_upper_arm")
        rod(forearm, (0, 0, 0), (0, 0, self._bare + 0.05), 0.026 * s, self._arm)
        rod(forearm, (0, 0, self._bare + 0.045), (0, 0, FOREARM), 0.037 * s, self._sleeve)
        rod(upper, (0, 0, 0), (0, 0, UPPER_ARM), 0.044 * s, self._sleeve)

    def hides(self, eye: Array, points: Array) -> bool:
        return beside(self.side, eye)

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        s = self._scale
        leaning = about_x(self._lean)
        frame = turned(tip.yaw)
        x_axis, y_axis = frame[:, 0], frame[:, 1]
        yield "hand_palm", (tip.position, frame @ leaning)

        def palm(point: tuple[float, float, float] | Array) -> Array:
            return tip.world(leaning @ (np.asarray(point) * self._mirror * s))

        for name, finger in FINGERS.items():
            start, outward = palm(finger.knuckle), finger.side * y_axis
            reach = finger.side * (tip.gap / 2 + finger.radius * s + 0.6 * finger.raised)
            end = tip.world(np.array([finger.x, 0.0, finger.raised]) * self._mirror * s + [0.0, reach, 0.0])
            middle = knee(start, end, finger.bones[0] * s, finger.bones[1] * s, outward)
            yield f"hand_{name}_1", pointing(start, middle, x_axis)
            yield f"hand_{name}_2", pointing(middle, end, finger.side * x_axis)

        wrist, away = palm(WRIST), np.array([np.cos(self.side), np.sin(self.side), 0.0])
        shoulder = TABLE + 0.7 * (wrist - TABLE) * [1, 1, 0] + 0.46 * away + [0, 0, 0.42]
        outward = np.cross([0.0, 0.0, 1.0], away) * self._mirror[0] * 0.7 - [0, 0, 1.0]
        elbow = knee(wrist, shoulder, FOREARM, UPPER_ARM, outward)
        yield "hand_forearm", pointing(wrist, elbow, x_axis)
        yield "hand_upper_arm", pointing(elbow, shoulder, x_axis)
