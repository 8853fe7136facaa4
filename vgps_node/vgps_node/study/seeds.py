"""Sides that were trained from several seeds: what they gain, and success by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_node import plots
from vgps_node.study import markdown
from vgps_node.study.record import Record, conditions
from vgps_sim.statistics import Gain, crossed_gain


def outcomes(record: Record, trained: Sequence[str]) -> NDArray[np.float64]:
    """Success by seed and layout. trained: the conditions of one side, one a seed."""
    return np.concatenate([conditions({record.name: record}, [record.name], name) for name in trained])


def gain(won: NDArray[np.float64], base: NDArray[np.float64], record: Record) -> Gain:
    """With the spread over layouts and seeds (crossed bootstrap). A base of several seeds is paired seed by seed."""
    paired = won[None, :, None] if len(base) > 1 else won[None, None]
    return crossed_gain(paired, base[None], record.tasks)


def by_task(
    record: Record, sides: Mapping[str, Sequence[str]], base: str, picture: Path, *, what: str
) -> tuple[Path, list[str]]:
    """A picture of the first seeds, the base first, and a table of means over seeds, in the order of `sides`.

    sides: side -> its conditions, one a seed. what: what the sides are, as a policy or a critic; titles name seed 0.
    """
    tasks = list(dict.fromkeys(record.tasks))
    groups = [markdown.SHORT.get(task, task) for task in tasks]
    baseline, rows = outcomes(record, sides[base]), list[list[str]]()
    for side, trained in sides.items():
        won = outcomes(record, trained)
        each = [float(np.nanmean(won[:, np.array(record.tasks) == task])) for task in tasks]
        more = None if side == base else gain(won, baseline, record)
        rows.append([
            side, *map(markdown.rate, each), f"**{markdown.rate(float(np.nanmean(won)))}**",
            "" if more is None else markdown.points(more.difference, more.difference_ci95),
        ])  # fmt: skip
    points = {side: [record.rate(sides[side][0], task)[:2] for task in tasks] for side in dict.fromkeys((base, *sides))}
    drawn = plots.bars(picture, groups, points, title=f"success by task, {what} seed 0")
    return drawn, markdown.table([what, *groups, "all", f"minus {base} [points]"], rows)
