"""How much each frame counts when a policy is cloned: by the progress that follows it.

rabc: reward-aware behaviour cloning, as LeRobot weighs it. D = p[t + chunk] - p[t]; 1 above a threshold, 0 where
progress is lost, in between by where D lies in the spread of all D.
awr: advantage-weighted regression (1910.00177) on the same D: exp((D - mean) / temperature), clipped.

Progress that cannot be trusted does harm (GVL, 2411.04549: weighting helped where VOC was high and hurt where it was
low), so a task whose episodes are ordered badly is cloned without weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from vgps_models.data import Columns
from vgps_models.data.sampling import last_frames, succeeded
from vgps_models.errors import UnknownNameError
from vgps_models.progress.estimate import Floats
from vgps_models.progress.measures import voc

KINDS = ("none", "rabc", "awr")
HEAVIEST = 20.0  # of `awr`


@dataclass(frozen=True)
class Weighing:
    """progress: file of `vgps data progress` of the same data set."""

    kind: str = "none"  # none | rabc | awr
    progress: Path | None = None  # default: beside the data set, by the learned estimator
    temperature: float = 0.1  # of awr, in units of progress over a chunk
    gate: float = 0.5  # least median VOC of a task's successes; below it the task is cloned without weights

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("weighing", self.kind, KINDS)


def gains(values: Floats, columns: Columns, chunk: int) -> Floats:
    """D of every frame: what the next `chunk` steps bring, or as many as are left. Shape (N,)."""
    ahead = np.minimum(np.arange(len(values)) + chunk, last_frames(columns))
    return values[ahead] - values


def rabc(gain: Floats, *, threshold: float = 0.01) -> Floats:
    """Weights in [0, 1] of D, (N,). NaN, where there is no answer, counts 1 as without weights."""
    known = gain[~np.isnan(gain)]
    mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
    within = np.clip((gain - (mean - 2 * spread)) / (4 * spread + 1e-6), 0.0, 1.0)
    return np.where(np.isnan(gain), 1.0, np.where(gain > threshold, 1.0, np.where(gain < 0, 0.0, within)))


def awr(gain: Floats, temperature: float) -> Floats:
    """Weights in [0, HEAVIEST] of D with a mean near 1, (N,)."""
    heavy = np.exp(np.minimum((gain - np.nanmean(gain)) / temperature, np.log(HEAVIEST)))
    return np.where(np.isnan(gain), 1.0, heavy / np.nanmean(heavy))


def trusted(values: Floats, columns: Columns, gate: float) -> dict[str, bool]:
    """Task -> whether its progress may be used: the median VOC of its successes reaches the gate."""
    orders = np.array([voc(values[a:b]) for a, b in pairwise(columns.bounds)])
    tasks = np.array(columns.instruction_tasks)[columns.instruction[columns.bounds[:-1]]]
    won = succeeded(columns) & ~np.isnan(orders)
    return {
        str(task): bool((mine := won & (tasks == task)).any() and np.median(orders[mine]) >= gate)
        for task in np.unique(tasks)
    }


def weigh(config: Weighing, values: Floats, columns: Columns, chunk: int) -> tuple[Floats, dict[str, bool]]:
    """Weights of all frames (N,), and which tasks' progress was trusted."""
    gain = gains(values, columns, chunk)
    weights = rabc(gain) if config.kind == "rabc" else awr(gain, config.temperature)
    trust = trusted(values, columns, config.gate)
    believed = np.array([trust.get(task, False) for task in columns.instruction_tasks])[columns.instruction]
    return np.where(believed, weights, 1.0), trust
