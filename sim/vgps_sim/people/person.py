"""A person's right arm with a hand of skin and bones, of which every landmark is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_sim.human.grip import Pinch, pinch
from vgps_sim.human.rig import JOINTS, Poses, landmarks, load_rig
from vgps_sim.people.hand import FOREARM, SKINS, UPPER_ARM
from vgps_sim.people.parts import TABLE, Pose, Tip, beside, knee, part, pointing, rod


@dataclass(frozen=True, eq=False)
class Seen:
    """Where a person is, in the base frame [m]: the hand's `LANDMARKS` (21, 3), elbow and shoulder (3,).

    pinch (3, 3): axes of the pinch, see `grip.Pinch`.
    """

    hand: Array
    elbow: Array
    shoulder: Array
    pinch: Array

    @property
    def outline(self) -> Array:
        """Shoulder, elbow, wrist and the fingertips (8, 3)."""
        return np.stack([self.shoulder, self.elbow, self.hand[0], *self.hand[4::4]])


class Person:
    """A hand of some size and skin that pinches from above, with the arm that it hangs on. `lean_over` for pouring."""

    name, clearance, turn = "person", 0.012, 0.7

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = 0.0
        self.size = float(rng.uniform(0.92, 1.1))
        self.lean = float(rng.uniform(0.25, 0.6))  # [rad] of the fingers' direction from straight down
        skin = np.array(SKINS[rng.integers(len(SKINS))])
        self._skin = np.clip(skin * rng.uniform(0.94, 1.06, 3), 0, 1)
        self._sleeve = rng.uniform(0.05, 0.95, 3)
        self._bare = float(rng.uniform(0.03, 0.2))  # [m] of the forearm that the sleeve leaves free

    def lean_over(self, rng: np.random.Generator) -> None:
        """The fingers nearly level, to take a bottle from the side."""
        self.lean = float(rng.uniform(1.3, 1.5))

    @property
    def natural_yaw(self) -> float:
        """The wrist towards the person."""
        x, y, _ = self._wrist(pinch(0.03, self.size))[:3, 3]
        return self.side - float(np.arctan2(y, x))

    def add(self, spec: mujoco.MjSpec) -> None:
        rig, s = load_rig(), self.size
        for joint in JOINTS:
            part(spec, f"person_{joint}")
        bones = {joint: _carried(rig.carried_by, rig.weights, number) for number, joint in enumerate(JOINTS)}
        bones = {joint: carried for joint, carried in bones.items() if len(carried[0])}  # a tip may carry nothing
        quats = np.zeros((len(bones), 4))
        for quat, joint in zip(quats, bones, strict=True):
            mujoco.mju_mat2Quat(quat, rig.rest[joint][:3, :3].ravel())
        skin = spec.add_skin(name="person_skin", rgba=[*self._skin, 1.0])
        skin.vert = (s * rig.vertices).ravel().tolist()
        skin.face = rig.faces.ravel().tolist()
        skin.bodyname = [f"person_{joint}" for joint in bones]
        skin.bindpos = np.concatenate([s * rig.rest[joint][:3, 3] for joint in bones]).tolist()
        skin.bindquat = quats.ravel().tolist()
        skin.vertid = [vertices.tolist() for vertices, _ in bones.values()]
        skin.vertweight = [shares.tolist() for _, shares in bones.values()]
        forearm, upper = part(spec, "person_forearm"), part(spec, "person_upper_arm")
        rod(forearm, (0, 0, 0.005), (0, 0, self._bare + 0.05), 0.024 * s, self._skin)
        rod(forearm, (0, 0, self._bare + 0.045), (0, 0, FOREARM), 0.036 * s, self._sleeve)
        rod(upper, (0, 0, 0), (0, 0, UPPER_ARM), 0.044 * s, self._sleeve)

    def hides(self, eye: Array, points: Array) -> bool:
        return beside(self.side, eye)

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        joints = self._joints(tip)
        for joint, frame in joints.items():
            yield f"person_{joint}", (frame[:3, 3], frame[:3, :3])
        wrist = joints["wrist"][:3, 3]
        elbow, shoulder = self._arm(wrist)
        across = tip.axes[:, 0]
        yield "person_forearm", pointing(wrist, elbow, across)
        yield "person_upper_arm", pointing(elbow, shoulder, across)

    def seen(self, tip: Tip) -> Seen:
        """Where everything is when the tip is there."""
        joints = self._joints(tip)
        pinched = joints["wrist"][:3, :3] @ pinch(tip.gap, self.size).axes
        return Seen(landmarks(joints), *self._arm(joints["wrist"][:3, 3]), pinched)

    def _wrist(self, grip: Pinch) -> Array:
        """Frame of the wrist (4, 4) in the tip's, whose y axis leads from the thumb to the index finger."""
        x = np.array([np.sin(self.lean), 0.0, -np.cos(self.lean)])
        held = np.stack([x, [0.0, 1.0, 0.0], np.cross(x, [0.0, 1.0, 0.0])], axis=1)
        made = np.eye(4)
        made[:3, :3] = held @ grip.axes.T
        made[:3, 3] = -made[:3, :3] @ grip.centre
        return made

    def _joints(self, tip: Tip) -> Poses:
        base = np.eye(4)
        base[:3, :3], base[:3, 3] = tip.axes, tip.position
        grip = pinch(tip.gap, self.size)
        return load_rig().pose(base @ self._wrist(grip), grip.bends, self.size)

    def _arm(self, wrist: Array) -> tuple[Array, Array]:
        """Elbow and shoulder (3,) [m]: the person bends forward as far as is needed."""
        away = np.array([np.cos(self.side), np.sin(self.side), 0.0])
        shoulder = TABLE + 0.7 * (wrist - TABLE) * [1, 1, 0] + 0.46 * away + [0, 0, 0.42]
        outward = 0.7 * np.cross([0.0, 0.0, 1.0], away) - [0, 0, np.cos(self.lean)]  # a level hand needs its elbow up
        return knee(wrist, shoulder, FOREARM, UPPER_ARM, outward), shoulder


def _carried(carried_by: np.ndarray, weights: Array, joint: int) -> tuple[np.ndarray, Array]:
    """Vertices that a joint carries, and how much of each."""
    share = (weights * (carried_by == joint)).sum(1)
    vertices = np.flatnonzero(share > 0)
    return vertices, share[vertices]
