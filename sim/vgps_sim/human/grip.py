"""How a hand's fingers bend to pinch something: thumb against index finger, the others beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import least_squares

from vgps_models.spaces import Array
from vgps_sim.human.rig import CHAINS, FINGERS, Poses, load_rig

PAD = 0.0075  # [m] from the joint at a fingertip to the skin of its pad
GAPS = np.array([0.004, 0.01, 0.02, 0.035, 0.05, 0.07, 0.09, 0.1])  # [m] that pinches are solved for
Bends = dict[str, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Pinch:
    """bends: of all fingers, for `Rig.pose`. centre (3,) [m] and axes (3, 3): between the pads, in the wrist's frame.

    Columns of axes: x along the index finger's last bone and the thumb's, y from the thumb's pad to the index
    finger's, z their cross product.
    """

    bends: Bends
    centre: Array
    axes: Array


def pinch(gap: float, size: float = 1.0) -> Pinch:
    """The pinch with so much room [m] between the pads of a hand of that size."""
    table = _solved()
    at = np.clip(gap / size, GAPS[0], GAPS[-1])
    numbers = np.array([float(np.interp(at, GAPS, column)) for column in table.T])
    made = bends(numbers)
    return Pinch(made, *_between(load_rig().pose(np.eye(4), made, size), size))


def bends(numbers: Array) -> Bends:
    """Of eight numbers: bends of the index finger's first two joints, its spread; of the thumb's root (bent, spread,
    turned), and bends of its other two [rad]."""
    knuckle, middle, spread, root, aside, turned, second, last = numbers
    made: Bends = {}
    for i, finger in enumerate(FINGERS):
        # The other fingers lie beside the index finger, a little straighter each.
        made[f"{finger}-phalanx-proximal"] = (knuckle - 0.06 * i, spread if i == 0 else 0.0, 0.0)
        made[f"{finger}-phalanx-intermediate"] = (middle + 0.05 * i, 0.0, 0.0)
        made[f"{finger}-phalanx-distal"] = (0.6 * middle, 0.0, 0.0)
    made["thumb-metacarpal"] = (root, aside, turned)
    made["thumb-phalanx-proximal"] = (second, 0.0, 0.0)
    made["thumb-phalanx-distal"] = (last, 0.0, 0.0)
    return made


def _between(poses: Poses, size: float) -> tuple[Array, Array]:
    thumb, index = _pads(poses, size)
    across = index[0] - thumb[0]
    along = -(poses["index-finger-tip"][:3, 2] + poses["thumb-tip"][:3, 2])
    y = across / np.linalg.norm(across) if np.linalg.norm(across) > 1e-6 else -index[1]
    x = along - (along @ y) * y
    x /= np.linalg.norm(x)
    return (index[0] + thumb[0]) / 2, np.stack([x, y, np.cross(x, y)], axis=1)


def _pads(poses: Poses, size: float) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Of thumb and index finger: where the pad is (3,) and the direction that it faces (3,)."""
    found = []
    for name in (CHAINS[0][-1], CHAINS[1][-1]):
        frame = poses[name]
        facing = -frame[:3, 1]
        found.append((frame[:3, 3] + PAD * size * facing, facing))
    return found[0], found[1]


@cache
def _solved() -> Array:
    """Numbers of `bends` for every one of `GAPS` (G, 8): pads that far apart, facing each other, fingers at ease."""
    rig, rows = load_rig(), []
    ease = np.array([0.9, 0.7, 0.0, 0.1, 0.0, 0.0, 0.2, 0.3])
    low = np.array([-0.2, 0.0, -0.25, -0.6, -0.9, -1.2, -0.2, -0.2])
    high = np.array([1.5, 1.7, 0.25, 0.8, 0.9, 1.2, 1.0, 1.2])
    start = ease
    for gap in GAPS:

        def misfit(numbers: Array, gap: float = gap) -> Array:
            thumb, index = _pads(rig.pose(np.eye(4), bends(numbers)), 1.0)
            away = index[0] - thumb[0]
            # Each pad lies the gap away from the other, along the direction that it faces.
            off = [thumb[0] + gap * thumb[1] - index[0], index[0] + gap * index[1] - thumb[0]]
            made = np.concatenate([
                90 * np.concatenate(off), [1000 * (np.linalg.norm(away) - gap)],
                0.6 * (thumb[1] + index[1]), 0.25 * (numbers - ease),
            ])  # fmt: skip
            return made.astype(np.float64)

        start = least_squares(misfit, start, bounds=(low, high)).x
        rows.append(start)
    return np.stack(rows)
