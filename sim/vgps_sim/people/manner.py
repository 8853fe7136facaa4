"""How somebody goes about a task: pace, detours, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAULTS = ("drop", "miss", "wrong_object", "half_way")  # what makes a failure, each as often as the others
MENDED = {"": 0.7, "drop": 0.1, "miss": 0.1, "put_down": 0.1}  # what happens on the way to a success


@dataclass(frozen=True)
class Manner:
    """Drawn for one performance.

    pace: factor of every speed. fault: what goes wrong, or nothing. mended: and is put right, so that it ends well.
    hover, carry: heights [m] of the tip above a grasp and on the way. bow: how curved the ways are, as a share of
    their lengths. pause: chance of a stop between two movements. idle: seconds before it begins and after it ends.
    """

    pace: float
    fault: str
    mended: bool
    hover: float
    carry: float
    bow: float
    pause: float
    idle: tuple[float, float]


def draw_manner(rng: np.random.Generator, failures: float) -> Manner:
    """failures: share of performances that are meant to fail."""
    fails = rng.random() < failures
    fault = str(rng.choice(FAULTS) if fails else rng.choice(list(MENDED), p=list(MENDED.values())))
    mended = bool(fault) and not fails
    slowest = 1.0 if mended else 0.5  # twice the work at half the pace would fill no video
    return Manner(
        pace=float(slowest * (2.0 / slowest) ** rng.random()),
        fault=fault,
        mended=mended,
        hover=float(rng.uniform(0.055, 0.1)),
        carry=float(rng.uniform(0.07, 0.12)),
        bow=float(rng.uniform(0.0, 0.25)),
        pause=float(rng.choice([0.0, 0.25])),
        idle=(float(rng.uniform(0.0, 0.5)), float(rng.uniform(0.4, 0.9))),
    )
