"""A gantry over the table: a bridge on rails, a trolley on the bridge, a mast with a two-finger claw."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.people.parts import TABLE, Pose, Tip, knee, part, pointing, rod, slab

REACH = (0.36, 0.44)  # [m] half sizes of the gantry along x and y
THICK = 0.004  # [m] half thickness of a finger
HEAD = 0.088  # [m] of the claw's hinges above its tip


class Crane:
    name, clearance, turn = "crane", 0.004, np.pi / 2

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = 0.0
        self._along_y = bool(rng.random() < 0.5)  # the bridge spans y, and travels along x
        self._height = rng.uniform(0.37, 0.43)  # [m] of the bridge
        self._frame, self._claw = rng.uniform(0.1, 0.9, 3), rng.uniform(0.1, 0.85, 3)
        self._metal = np.full(3, rng.uniform(0.35, 0.8))
        self._width = rng.uniform(0.005, 0.009)  # [m] half width of a finger
        self._yaw = rng.uniform(-np.pi, np.pi)

    @property
    def natural_yaw(self) -> float:
        return self._yaw

    def add(self, spec: mujoco.MjSpec) -> None:
        (x, y), stand = REACH, part(spec, "crane_stand")
        for start, end in self._bars():
            rod(stand, start, end, 0.011, self._frame)
        half = y if self._along_y else x
        bridge = part(spec, "crane_bridge")
        slab(bridge, (0, 0, 0.02), (0.014, half, 0.009), self._metal)
        for end in (-half, half):
            slab(bridge, (0, end, 0.018), (0.03, 0.018, 0.014), self._claw)
        slab(part(spec, "crane_trolley"), (0, 0, 0.02), (0.032, 0.03, 0.022), self._claw)
        mast = part(spec, "crane_mast")
        rod(mast, (0, 0, HEAD + 0.02), (0, 0, HEAD + 0.5), 0.0075, self._metal)
        slab(mast, (0, 0, HEAD + 0.012), (0.016, 0.032, 0.016), self._claw)
        rod(mast, (0, 0, HEAD + 0.03), (0, 0, HEAD + 0.06), 0.014, self._frame)
        for finger in ("left", "right"):
            slab(part(spec, f"crane_{finger}_1"), (0, 0, 0.0225), (self._width, THICK, 0.0235), self._metal)
            lower = part(spec, f"crane_{finger}_2")
            slab(lower, (0, 0, 0.034), (self._width, THICK * 0.9, 0.034), self._metal)
            slab(lower, (0, 0, 0.058), (self._width * 1.15, THICK, 0.0115), np.full(3, 0.12))

    def hides(self, eye: Array, points: Array) -> bool:
        """Too near to a bar or to where the bridge travels, or a bar right before one of the points."""
        local = np.abs(eye - TABLE)
        if (local[:2] < np.add(REACH, 0.12)).all() and abs(eye[2] - self._height) < 0.2:
            return True
        way = np.linspace(0.0, 1.0, 25)[:, None]
        seen = eye + np.linspace(0.0, 0.8, 25)[:, None, None] * (points - eye) - TABLE  # (25, n, 3)
        for start, end in self._bars():
            bar = start + way * (end - start)
            if np.linalg.norm(seen[:, :, None] - bar, axis=-1).min() < 0.07:
                return True
        return False

    def _bars(self) -> list[tuple[Array, Array]]:
        """Ends of the rails and legs, from the middle of the table."""
        (x, y), z = REACH, self._height
        bars = []
        for sign in (1.0, -1.0):
            first, last = ((-x, sign * y), (x, sign * y)) if self._along_y else ((sign * x, -y), (sign * x, y))
            ends = [np.array([*end, z]) for end in (first, last)]
            bars += [(ends[0], ends[1]), *((end * [1, 1, 0] + [0, 0, 0.011], end) for end in ends)]
        return bars

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        square = turned(0.0 if self._along_y else np.pi / 2)
        x, y, _ = tip.position
        over = np.array([x, y, self._height])
        yield "crane_stand", (TABLE, np.eye(3))
        yield "crane_bridge", (np.array([x, 0, over[2]]) if self._along_y else np.array([TABLE[0], y, over[2]]), square)
        yield "crane_trolley", (over, square)
        frame = turned(tip.yaw)
        yield "crane_mast", (tip.position, frame)
        for name, sign in (("left", 1.0), ("right", -1.0)):
            start = tip.world((0.0, sign * 0.024, HEAD))
            end = tip.world((0.0, sign * (tip.gap / 2 + THICK), 0.0))
            middle = knee(start, end, 0.045, 0.068, sign * frame[:, 1])
            yield f"crane_{name}_1", pointing(start, middle, frame[:, 0])
            yield f"crane_{name}_2", pointing(middle, end, frame[:, 0])
