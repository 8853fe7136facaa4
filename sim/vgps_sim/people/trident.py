"""Three thin fingers at the end of a straight pole."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.people.parts import Pose, Tip, beside, knee, part, pointing, rod, slab

HUB = 0.098  # [m] of the fingers' hinges above the tip
RADIUS = 0.0055  # [m] of a fingertip
# name -> (x of the hinge, x of the tip, side): one finger against two
FINGERS = {"one": (0.0, 0.0, 1.0), "two": (0.016, 0.0115, -1.0), "three": (-0.016, -0.0115, -1.0)}


class Trident:
    name, clearance, turn = "trident", 0.0065, np.pi / 2

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = 0.0
        self._pole, self._hub, self._rubber = (rng.uniform(0.05, 0.95, 3) for _ in range(3))
        self._metal = np.full(3, rng.uniform(0.3, 0.85))
        self._thick = rng.uniform(0.008, 0.014)  # [m] radius of the pole
        self._yaw = rng.uniform(-np.pi, np.pi)

    @property
    def natural_yaw(self) -> float:
        return self._yaw

    def add(self, spec: mujoco.MjSpec) -> None:
        pole = part(spec, "trident_pole")
        rod(pole, (0, 0, HUB + 0.02), (0, 0, HUB + 0.8), self._thick, self._pole)
        rod(pole, (0, 0, HUB + 0.004), (0, 0, HUB + 0.022), 0.024, self._hub)
        rod(pole, (0, 0, HUB + 0.045), (0, 0, HUB + 0.06), self._thick * 1.35, self._hub)
        for name in FINGERS:
            first, last = part(spec, f"trident_{name}_1"), part(spec, f"trident_{name}_2")
            rod(first, (0, 0, 0), (0, 0, 0.052), 0.0048, self._metal)
            slab(first, (0, 0, 0.052), (0.0062, 0.0062, 0.0062), self._hub)
            rod(last, (0, 0, 0), (0, 0, 0.06), 0.0042, self._metal)
            rod(last, (0, 0, 0.048), (0, 0, 0.066), RADIUS, self._rubber)

    def hides(self, eye: Array, points: Array) -> bool:
        return beside(self.side, eye)

    def poses(self, tip: Tip) -> Iterator[tuple[str, Pose]]:
        frame = turned(tip.yaw)
        yield "trident_pole", (tip.position, frame)
        for name, (x_hinge, x, side) in FINGERS.items():
            start = tip.world((x_hinge, side * 0.018, HUB))
            end = tip.world((x, side * (tip.gap / 2 + RADIUS), 0.0))
            middle = knee(start, end, 0.052, 0.066, side * frame[:, 1])
            yield f"trident_{name}_1", pointing(start, middle, frame[:, 0])
            yield f"trident_{name}_2", pointing(middle, end, frame[:, 0])
