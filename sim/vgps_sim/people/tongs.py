"""Kitchen tongs, slanting, held by nobody. Meant to be kept out of training: what has been learned must carry over."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.people.parts import Pose, Tip, beside, knee, part, pointing, rod, slab

LENGTH = 0.235  # [m] from the tips to the joint of the arms
ARMS = (0.118, 0.124)  # [m] of the arm above and below its bend
THICK = 0.0025  # [m] half thickness of an arm


class Tongs:
    name, clearance, turn = "tongs", 0.008, np.pi / 2

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = 0.0
        self._lean = rng.uniform(0.15, 0.5)  # [rad] from the vertical, along the thing that is held
        self._steel, self._grip = np.full(3, rng.uniform(0.55, 0.9)), rng.uniform(0.05, 0.95, 3)
        self._width = rng.uniform(0.007, 0.010)  # [m] half width of an arm

    @property
    def natural_yaw(self) -> float:
        """Leaning towards whoever would hold them."""
        return self.side + np.pi

    def add(self, spec: mujoco.MjSpec) -> None:
        joint = part(spec, "tongs_joint")
        rod(joint, (0, -0.013, 0), (0, 0.013, 0), 0.009, self._steel)
        rod(joint, (0, 0, 0.004), (0, 0, 0.03), 0.005, self._grip)
        for arm in ("left", "right"):
            upper, lower = part(spec, f"tongs_{arm}_1"), part(spec, f"tongs_{arm}_2")
            slab(upper, (0, 0, ARMS[0] / 2), (self._width, THICK, ARMS[0] / 2 + 0.002), self._steel)
            slab(upper, (0, 0, 0.062), (self._width * 1.12, THICK * 1.8, 0.042), self._grip)
            slab(lower, (0, 0, ARMS[1] / 2), (self._width * 0.9, THICK * 0.9, ARMS[1] / 2), self._steel)
            slab(lower, (0, 0, ARMS[1] - 0.014), (self._width * 1.25, THICK, 0.015), self._grip)

    def hides(self, eye: Array, points: Array) -> bool:
        return beside(self.side, eye)

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        frame = turned(tip.yaw)
        c, s = np.cos(self._lean), np.sin(self._lean)
        tilted = frame @ np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
        apex = tip.position + LENGTH * tilted[:, 2]
        yield "tongs_joint", (apex, tilted)
        for name, sign in (("left", 1.0), ("right", -1.0)):
            start = apex + sign * 0.012 * frame[:, 1]
            end = tip.world((0.0, sign * (tip.gap / 2 + THICK), 0.0))
            middle = knee(start, end, *ARMS, sign * frame[:, 1])
            yield f"tongs_{name}_1", pointing(start, middle, tilted[:, 0])
            yield f"tongs_{name}_2", pointing(middle, end, tilted[:, 0])
