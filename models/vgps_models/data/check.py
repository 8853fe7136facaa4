"""Looking after a data set: what is damaged, what it holds, and keeping what is sound."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vgps_models.data import layout
from vgps_models.data.contents import Contents, meta_problems, read_merged, read_waiting
from vgps_models.data.foreign_check import look_through
from vgps_models.data.merge import Merged, finish_swap, is_merged, locked, merge, set_data_set_aside
from vgps_models.data.owner import Owner, owner_of, require_ours
from vgps_models.data.records import Problem, open_videos
from vgps_models.data.staging import FOLDER, TEMPORARY, clear_half_written
from vgps_models.data.store import EpisodeStore
from vgps_models.errors import DataError


@dataclass(frozen=True)
class Report:
    """What `check` found. problems name every episode or file that cannot be used, with the reason.

    owner: who wrote it. notes: what is odd and does no harm.
    """

    root: str
    episodes: int  # sound, in the data set's files
    waiting: int  # sound, recorded but not merged yet
    problems: tuple[Problem, ...]
    owner: str = Owner.OURS.value
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok}


@dataclass(frozen=True)
class TaskCount:
    """Outcomes of one task."""

    episodes: int
    successes: int

    @property
    def rate(self) -> float:
        return self.successes / self.episodes


@dataclass(frozen=True)
class Info:
    """What a data set holds."""

    episodes: int
    frames: int
    fps: int
    cameras: dict[str, tuple[int, int]]  # (height, width)
    tasks: dict[str, TaskCount]
    instructions: int
    flaws: dict[str, int]  # flaw -> episodes that have it, perhaps beside others; "none" for those without any
    flawed_frames: int
    qualities: dict[str, int]
    seeds: tuple[int, int]  # lowest and highest
    megabytes: float
    data_hash: str
    waiting: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def success_rate(self) -> float:
        return sum(task.successes for task in self.tasks.values()) / self.episodes

    def to_json(self) -> dict[str, Any]:
        rates = {name: asdict(task) | {"rate": task.rate} for name, task in self.tasks.items()}
        return asdict(self) | {"tasks": rates, "success_rate": self.success_rate}


def check(root: Path | str) -> Report:
    """Verify every file and episode, bit for bit where it is ours. Changes nothing and never raises on bad content."""
    root = Path(root)
    merged, problems = Contents(), []
    if not root.is_dir():
        return Report(str(root), 0, 0, (Problem(str(root), "is not a folder"),))
    if (owner := owner_of(root)) in (Owner.OTHERS, Owner.EDITED):
        found = look_through(root)
        return Report(str(root), found.sound, 0, found.problems, owner.value, found.notes)
    if is_merged(root):
        try:
            with open_videos() as videos:
                merged = read_merged(root, videos)
        except DataError as error:
            problems.append(Problem(str(root), str(error)))
        problems += meta_problems(root)
    elif any((root / part).exists() for part in layout.PARTS):
        problems.append(Problem(layout.INFO, "is missing"))
    waiting = read_waiting(root)
    half = [
        Problem(path.name.split(".zip")[0], "half written, or being written now")
        for path in sorted((root / FOLDER).glob(f"*{TEMPORARY}"))
    ]
    if not merged.episodes and not waiting.episodes and not problems:
        problems.append(Problem(str(root), "holds no episodes"))
    found = (*problems, *merged.problems, *waiting.problems, *half)
    return Report(str(root), len(merged.episodes), len(waiting.episodes), found)


def info(root: Path | str) -> Info:
    """Counts, success per task, flaws and the data hash. DataError when nothing in `root` is readable.

    `foreign_check.look_into` does it for recordings of other programs.
    """
    store = EpisodeStore(root)
    records, columns = store.records, store.columns()
    outcomes = {
        name: [r.success for r in records if r.task_id == name] for name in sorted({r.task_id for r in records})
    }
    size = sum((Path(folder) / name).stat().st_size for folder, _, names in os.walk(store.root) for name in names)
    return Info(
        episodes=len(store),
        frames=len(columns),
        fps=records[0].fps,
        cameras={name: (clip.height, clip.width) for name, clip in records[0].clips.items()},
        tasks={name: TaskCount(len(won), sum(won)) for name, won in outcomes.items()},
        instructions=len(columns.instructions),
        flaws=dict(Counter(flaw for r in records for flaw in (r.flaw or "none").split("+")).most_common()),
        flawed_frames=int(columns.flawed.sum()),
        qualities=dict(Counter(record.quality for record in records)),
        seeds=(min(record.seed for record in records), max(record.seed for record in records)),
        megabytes=round(size / layout.MB, 1),
        data_hash=store.data_hash(),
        waiting=store.waiting,
        problems=store.problems,
        notes=store.notes,
    )


def repair(root: Path | str) -> Merged:
    """Keep what is sound: write the data set anew from all readable episodes.

    Damaged files are moved to `damaged/`, not deleted. DataError when no episode is readable, and for every folder that
    this project did not write, which is left as it is.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give the folder of a data set")
    require_ours(root, "`vgps data repair`")
    if owner_of(root) is Owner.NONE and not (root / FOLDER).is_dir():
        raise DataError(f"{root} holds no data set, so nothing in it can be saved; make one with `vgps collect`")
    finish_swap(root)
    half = clear_half_written(root)
    before = check(root)
    if not before.ok and not before.episodes and any((root / part).exists() for part in layout.PARTS):
        with locked(root):
            set_data_set_aside(root)
    try:
        merged = merge(root, anew=not before.ok)
    except DataError as error:
        raise DataError(f"nothing in {root} can be saved ({error}); damaged files are in {root / 'damaged'}") from error
    known = set(merged.problems)
    problems = (*half, *merged.problems, *(problem for problem in before.problems if problem not in known))
    return Merged(merged.episodes, merged.added, problems)
