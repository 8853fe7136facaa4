"""One experiment played and written down, so that every number of the page can be traced to a file.

A record is the JSON of `vgps eval` with the experiment's name and question, and "outcomes": for each
condition one character a paired seed, in the order of "pairs": 1 success, 0 failure, - not played.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_sim.results import Evaluation
from vgps_sim.statistics import Pair, compare, wilson

CALIBRATION = ".calibration.json"
PLAYED = {"1": 1.0, "0": 0.0, "-": np.nan}


@dataclass(frozen=True, eq=False)
class Record:
    """outcomes: condition -> success of every pair, NaN where it was not played. Shape (N,) each."""

    name: str
    tasks: tuple[str, ...]  # (N,) the task of every pair
    outcomes: Mapping[str, NDArray[np.float64]]
    json: Mapping[str, Any]

    def rate(self, condition: str, task: str | None = None) -> tuple[float, tuple[float, float], int]:
        """Success rate, Wilson's 95 % interval, episodes."""
        won = self._of(condition, task)
        won = won[~np.isnan(won)]
        return float(won.mean()) if len(won) else np.nan, wilson(int(won.sum()), len(won)), len(won)

    def pair(self, treatment: str, baseline: str) -> Pair:
        """Both on the seeds that both have played."""
        a, b = self.outcomes[treatment], self.outcomes[baseline]
        both = ~np.isnan(a) & ~np.isnan(b)
        tasks = [t for t, used in zip(self.tasks, both, strict=True) if used]
        return compare((a[both] > 0).tolist(), (b[both] > 0).tolist(), strata=tasks)

    def _of(self, condition: str, task: str | None) -> NDArray[np.float64]:
        won = self.outcomes[condition]
        return won if task is None else won[np.array(self.tasks) == task]


def to_json(evaluation: Evaluation, name: str, question: str) -> dict[str, Any]:
    """What `write` writes."""
    signs = {None: "-", True: "1", False: "0"}
    outcomes = {}
    for condition in evaluation.conditions:
        played = evaluation.outcomes[condition.name]
        outcomes[condition.name] = "".join(
            signs[played[pair].success if pair in played else None] for pair in evaluation.pairs
        )
    tasks = [task for task, _ in evaluation.pairs]
    order = list(dict.fromkeys(tasks))
    return {
        "experiment": name,
        "question": question,
        **evaluation.to_json(),
        "pairs_tasks": "".join(str(order.index(task)) for task in tasks),
        "task_order": order,
        "outcomes": outcomes,
    }


def write(evaluation: Evaluation, name: str, question: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(to_json(evaluation, name, question), indent=1) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Record:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        tasks = tuple(data["task_order"][int(i)] for i in data["pairs_tasks"])
        outcomes = {c: np.array([PLAYED[o] for o in row]) for c, row in data["outcomes"].items()}
        if any(len(row) != len(tasks) for row in outcomes.values()):
            raise ValueError("rows of outcomes differ in length")
        return Record(data["experiment"], tasks, outcomes, data)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is no record of an experiment ({error}); play it again: vgps study play") from error


def read_all(folder: Path) -> dict[str, Record]:
    """Records by name."""
    return {record.name: record for record in map(read, sorted(folder.glob("*.json")))}


def keep_calibrations(critics: Path, folder: Path) -> None:
    """Copy what `vgps train critic` measured of each critic to the records."""
    for path in sorted(critics.glob(f"*{CALIBRATION}")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / f"{path.name.removesuffix(CALIBRATION)}.json")


def read_calibrations(folder: Path) -> dict[str, Any]:
    """By critic."""
    made = {}
    for path in sorted(folder.glob("*.json")):
        try:
            made[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is no calibration of a critic ({error}); make it again: vgps study page"
            ) from error
    return made


def conditions(records: Mapping[str, Record], names: Sequence[str], condition: str) -> NDArray[np.float64]:
    """One condition of several records as rows, for statistics over training seeds. Shape (len(names), N)."""
    return np.stack([records[name].outcomes[condition] for name in names])
