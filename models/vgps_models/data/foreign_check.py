"""Looking through a LeRobot data set of another writer: what it holds and what is wrong with it. Nothing is written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.data.edited import read_edited
from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.layout import INFO, MB
from vgps_models.data.owner import Owner, foreign_message, owner_of
from vgps_models.data.records import Problem
from vgps_models.errors import DataError

NO_TASK = "(no task)"


@dataclass(frozen=True)
class ForeignInfo:
    """What the tables of a data set say. tasks: sentence -> (episodes, known outcomes, successes).

    cameras: name -> (key of its feature, how it is stored, height, width). features: key -> shape.
    """

    owner: str
    version: str
    robot: str
    episodes: int
    frames: int
    fps: float
    cameras: dict[str, tuple[str, str, int, int]]
    tasks: dict[str, tuple[int, int, int]]
    features: dict[str, list[int]]
    megabytes: float
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """sound: episodes without a problem."""

    sound: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def look_into(root: Path) -> ForeignInfo:
    """Counts, tasks and outcomes by the tables. DataError says why it cannot be read as a LeRobot data set."""
    data = _opened(root)
    tasks: dict[str, list[bool | None]] = {}
    problems: list[Problem] = []
    frames = 0
    for index in range(len(data)):
        try:
            frames += data.tables.length(index)
            tasks.setdefault(data.task(index) or NO_TASK, []).append(data.success(index))
        except DataError as error:
            problems.append(Problem(f"episode {index}", str(error)))
    size = sum((Path(folder) / name).stat().st_size for folder, _, names in os.walk(root) for name in names)
    features: dict[str, list[int]] = {
        key: feature["shape"] for key, feature in data.features.items() if isinstance(feature.get("shape"), list)
    }
    cameras = {name: data.camera(name) for name in data.cameras}
    return ForeignInfo(
        owner=owner_of(root).value,
        version=data.tables.version,
        robot=data.robot,
        episodes=len(data),
        frames=frames,
        fps=data.fps,
        cameras={name: (camera.key, camera.stored, *camera.size) for name, camera in cameras.items()},
        tasks={task: _counted(outcomes) for task, outcomes in sorted(tasks.items())},
        features=features,
        megabytes=round(size / MB, 1),
        problems=tuple(problems),
        notes=(*data.notes, *_without_task(tasks)),
    )


def look_through(root: Path) -> Found:
    """Every episode: its rows, their times, and a frame of every camera for each. Never raises on bad content."""
    try:
        data = _opened(root)
    except DataError as error:
        return Found(0, (Problem(root.name or str(root), str(error)),), ())
    problems, notes = _totals(data), list[str]()
    if owner_of(root) is Owner.EDITED:
        edited = read_edited(root)
        problems, notes = [*problems, *edited.problems], edited.notes
    bad = {problem.name for problem in problems}
    longer: dict[str, float] = {}
    tasks: Counter[str] = Counter()
    for index in range(len(data)):
        name = f"episode {index}"
        try:
            name = data.name(index)
            data.tables.read(index)
            tasks[data.task(index) or NO_TASK] += 1
            for camera, seconds in data.require_images(index).items():
                longer[camera] = max(seconds, longer.get(camera, 0.0))
        except DataError as error:
            if name not in bad:
                problems.append(Problem(name, str(error).removeprefix(f"{name} of {root}").removeprefix(":").strip()))
            bad.add(name)
    notes += [note for note in data.notes if note not in notes]
    notes += [
        f"the videos of camera '{camera}' go on for up to {seconds:.2f} s after the last row, which is not shown"
        for camera, seconds in longer.items()
        if seconds > 1.5 / data.fps
    ]
    names = {f"episode {index}" if name is None else name for index, name in enumerate(_names(data))}
    return Found(len(data) - len(bad & names), tuple(problems), (*notes, *_without_task(tasks)))


def _opened(root: Path) -> ForeignDataSet:
    if not (root / INFO).exists():
        raise DataError(foreign_message(root))
    return ForeignDataSet(root)


def _names(data: ForeignDataSet) -> list[str | None]:
    names: list[str | None] = []
    for index in range(len(data)):
        try:
            names.append(data.name(index))
        except DataError:
            names.append(None)
    return names


def _totals(data: ForeignDataSet) -> list[Problem]:
    """Whether the numbers of info.json are those of the tables, and every episode is listed once."""
    problems: list[Problem] = []
    names = _names(data)
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        problems.append(Problem("the table of episodes", f"lists {twice[0]} more than once"))
    lengths = [row.get("length") for row in data.tables.rows]
    frames = sum(int(length) for length in lengths if isinstance(length, int | float) and np.isfinite(length))
    for key, found in (("total_episodes", len(data)), ("total_frames", frames)):
        said = data.info.get(key, found)
        if said != found:
            problems.append(Problem(INFO, f"{key} is {said}, but the table of episodes lists {found}"))
    return problems


def _counted(outcomes: Sequence[bool | None]) -> tuple[int, int, int]:
    known = [outcome for outcome in outcomes if outcome is not None]
    return len(outcomes), len(known), sum(known)


def _without_task(tasks: dict[str, Any] | Counter[str]) -> list[str]:
    missing = tasks.get(NO_TASK)
    count = len(missing) if isinstance(missing, list) else missing
    return [f"{count} episodes have no task in words; give --task where they are judged"] if count else []
