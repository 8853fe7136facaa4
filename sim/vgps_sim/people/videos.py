"""A folder of videos: an MP4 a view, and an index of what each shows and how it ended. Never actions.

data/people/settings.json                                   what all videos of the folder have in common
data/people/index.jsonl                                     a line a video, `Entry`
data/people/hand/put_spoon_on_towel-60000-front.mp4
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from vgps_models.data.video import encode
from vgps_models.errors import DataError
from vgps_models.files import require_outside, write_whole
from vgps_sim.people.embodiments import get_embodiment
from vgps_sim.people.performance import Performance, perform
from vgps_sim.people.stage import FPS
from vgps_sim.tasks import TASKS, get_task
from vgps_sim.workers import WorkerCrash, end_with_parent, one_thread

INDEX, SETTINGS = "index.jsonl", "settings.json"
ATTEMPTS = 50  # at a success; one in some hundred fails although it was not meant to

Key = tuple[str, str, int]  # embodiment, task id, seed: names a performance


@dataclass(frozen=True)
class VideosConfig:
    """Film others at the tasks."""

    out: Path = Path("data/people")  # folder to write; a run that was stopped goes on where it stopped
    episodes: int = 600  # performances in all, spread evenly over embodiments and tasks
    embodiments: tuple[str, ...] = ("hand", "crane", "trident")  # also: tongs, which training is meant not to see
    tasks: tuple[str, ...] = tuple(TASKS)
    seed: int = 60_000  # the first one; with embodiment and task it decides everything
    views: int = 2  # cameras that film each performance, each in a file of its own
    size: int = 128  # [px]
    failures: float = 0.25  # share of performances that are meant to fail
    front: float = 0.5  # share of performances whose first view is the robot's front camera
    success_only: bool = False  # no failures at all
    processes: int = 2  # worker processes, one thread each

    def __post_init__(self) -> None:
        for name in self.embodiments:
            get_embodiment(name)
        for task in self.tasks:
            get_task(task)
        for what, value, low, high in (
            ("episodes", self.episodes, 1, 10**7), ("views", self.views, 1, 16), ("size", self.size, 16, 960),
            ("processes", self.processes, 1, 1024), ("failures", self.failures, 0, 1), ("front", self.front, 0, 1),
        ):  # fmt: skip
            if not low <= value <= high:
                raise DataError(f"--{what} {value} makes no sense; choose {low} to {high}")
        if self.size % 2:
            raise DataError(f"--size {self.size} is odd, which H.264 cannot hold; choose {self.size + 1}")
        if not self.embodiments or not self.tasks:
            raise DataError("name at least one embodiment and one task")

    def keys(self) -> list[Key]:
        """The performances that are wanted. More episodes are the same ones and others."""
        pairs = [(who, task) for who in self.embodiments for task in self.tasks]
        return [(*pairs[i % len(pairs)], self.seed + i // len(pairs)) for i in range(self.episodes)]

    def shared(self) -> dict[str, Any]:
        """What must be the same for all videos of a folder."""
        failures = 0.0 if self.success_only else self.failures
        own = {"views": self.views, "size": self.size, "failures": failures, "front": self.front}
        return own | {"success_only": self.success_only, "fps": FPS}


@dataclass(frozen=True)
class Entry:
    """A line of the index.

    file: of the video, in the folder. task: in the words of this performance. view: `front` is the robot's camera.
    success: the task's own condition held at the end. fault: what went wrong on the way, or nothing (a success with a
    fault has mended it).
    """

    file: str
    task: str
    task_id: str
    embodiment: str
    view: str
    seed: int
    success: bool
    fault: str
    fps: int
    frames: int

    @property
    def key(self) -> Key:
        return self.embodiment, self.task_id, self.seed


@dataclass(frozen=True)
class Filmed:
    """What `film` did: performances filmed and successful now, and found already there."""

    performances: int
    successes: int
    found: int


def film(config: VideosConfig, progress: Callable[[Key, bool], None] = lambda key, success: None) -> Filmed:
    """Film what is missing; `progress` hears of each performance and its outcome.

    A performance is in the index once all its videos are on disk, so a killed run loses those in hand alone.
    Raises DataError when the folder's videos were made with other settings, WorkerCrash when a process died.
    """
    _claim(config)
    have = {entry.key: entry for entry in complete(config.out, config.views)}
    wanted = config.keys()
    missing = [key for key in wanted if key not in have]
    successes = 0
    for entries in _in_workers(config, missing):
        with (config.out / INDEX).open("a") as index:
            index.write(_lines(entries))
        successes += entries[0].success
        progress(entries[0].key, entries[0].success)
    # In the order of their names, whoever was the first to finish.
    write_whole(config.out / INDEX, _lines(sorted(complete(config.out, config.views), key=lambda e: e.file)).encode())
    return Filmed(len(missing), successes, len(wanted) - len(missing))


def read_index(folder: Path) -> list[Entry]:
    """Lines of a folder's index, each video once; half-written lines and files that are not there are left out."""
    path, found = folder / INDEX, dict[str, Entry]()
    if not path.exists():
        return []
    names = {field.name for field in fields(Entry)}
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
            entry = Entry(**{name: value for name, value in row.items() if name in names})
            if (folder / entry.file).is_file():
                found[entry.file] = entry
        except (ValueError, TypeError, AttributeError):
            continue
    return list(found.values())


def complete(folder: Path, views: int) -> list[Entry]:
    """Entries of the performances of which all views are there."""
    entries = read_index(folder)
    count: dict[Key, int] = {}
    for entry in entries:
        count[entry.key] = count.get(entry.key, 0) + 1
    return [entry for entry in entries if count[entry.key] == views]


def _claim(config: VideosConfig) -> None:
    """Begin a folder, or go on with one of the same settings."""
    path, wanted = config.out / SETTINGS, config.shared()
    require_outside(path)
    try:
        if not path.exists():
            write_whole(path, json.dumps(wanted, indent=1).encode())
        there = json.loads(path.read_text())
        index = config.out / INDEX
        if index.exists() and (text := index.read_bytes()) and not text.endswith(b"\n"):
            with index.open("a") as file:
                file.write("\n")  # whoever wrote the last line was killed; the next begins on one of its own
    except (OSError, ValueError) as error:
        raise DataError(f"{config.out} cannot be used ({error}); give another folder with --out") from error
    if there != wanted:
        different = wanted.keys() if not isinstance(there, dict) else {n for n in wanted if there.get(n) != wanted[n]}
        named = ", ".join(sorted(name.replace("_", "-") for name in different))
        raise DataError(
            f"the videos in {config.out} were made with other settings ({named}): {there}; "
            "ask for the same, or give another folder with --out"
        )


def _in_workers(config: VideosConfig, keys: Sequence[Key]) -> Iterator[list[Entry]]:
    """Entries of each performance as it is done, in any order."""
    if not keys:
        return
    count, context = min(config.processes, len(keys)), get_context("spawn")
    workers = ProcessPoolExecutor(count, mp_context=context, initializer=end_with_parent)
    with one_thread(), workers:
        try:
            for done in as_completed([workers.submit(_film, (config, key)) for key in keys]):
                yield done.result()
        except BrokenProcessPool as error:
            raise WorkerCrash(
                "a worker process died (out of memory?); what was finished is kept: run the same command again"
            ) from error
        finally:
            workers.shutdown(cancel_futures=True)


def _film(job: tuple[VideosConfig, Key]) -> list[Entry]:
    """Play one performance and write its videos."""
    config, (who, task, seed) = job
    shown = _play(config, who, task, seed)
    entries = []
    for view, frames in shown.frames.items():
        file = f"{who}/{task}-{seed}-{view}.mp4"
        write_whole(config.out / file, encode(frames, FPS))
        entries.append(Entry(file, shown.words, task, who, view, seed, shown.success, shown.fault, FPS, shown.length))
    return entries


def _play(config: VideosConfig, who: str, task: str, seed: int) -> Performance:
    shared = config.shared()
    looks = {"views": config.views, "size": config.size, "front": config.front, "failures": shared["failures"]}
    for attempt in range(ATTEMPTS):
        shown = perform(who, task, seed, attempt=attempt, **looks)
        if shown.success or not config.success_only:
            return shown
    raise DataError(f"{ATTEMPTS} attempts of {who} at {task}, seed {seed}, have all failed; leave --success-only away")


def _lines(entries: Iterable[Entry]) -> str:
    return "".join(json.dumps(asdict(entry)) + "\n" for entry in entries)
