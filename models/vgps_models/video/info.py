"""What is in a folder of shards: how much, of whom, and what could not be used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vgps_models.errors import DataError
from vgps_models.video.form import Contents, Form, Problem, Video
from vgps_models.video.packing import PLAN
from vgps_models.video.shards import VideoShards


@dataclass(frozen=True)
class Group:
    """Videos that have a label in common."""

    videos: int
    frames: int
    hours: float


@dataclass(frozen=True)
class Info:
    """waiting: recordings of the plan whose shards are not finished. damaged: shards and videos that are not what was
    packed. problems: recordings that could not be used, or not to their end; kinds counts them. notes: what was put
    right: rotated, variable rate, slower than asked for, cut into pieces."""

    form: Form
    videos: int
    frames: int
    hours: float
    megabytes: float
    waiting: int
    sources: dict[str, Group]
    views: dict[str, Group]
    embodiments: dict[str, Group]
    with_text: int
    notes: dict[str, int]
    kinds: dict[str, int]
    problems: tuple[Problem, ...]
    damaged: tuple[str, ...]
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def info(root: Path, *, verify: bool = False, progress: Callable[[int, int], None] = lambda done, total: None) -> Info:
    """Count what is there. verify: also compare every frame with its checksum; progress(done, total) hears of it."""
    problems, planned, recordings = _bookkeeping(root)
    try:
        shards = VideoShards(root)
    except DataError as error:
        told = "; ".join(map(str, problems[:3]))
        raise DataError(f"{error}; {len(problems)} recordings have problems: {told}") if told else error from None
    damaged = list(shards.problems)
    for number in range(len(shards.videos) if verify else 0):
        if wrong := shards.verify(number):
            damaged.append(wrong)
        progress(number + 1, len(shards.videos))
    hz, videos = shards.form.hz, shards.videos
    notes = {
        "rotated": sum(video.rotated != 0 for video in videos),
        "variable rate": sum(video.variable for video in videos),
        "slower than asked for": sum(video.repeated > 0 for video in videos),
        "later pieces of long recordings": sum(video.begin_s > 0 for video in videos),
    }
    return Info(
        form=shards.form,
        videos=len(videos),
        frames=len(shards),
        hours=_hours(len(shards), hz),
        megabytes=round(sum(file.stat().st_size for file in root.glob("shard-*")) / 2**20, 2),
        waiting=planned - recordings,
        sources=_groups(videos, [video.source for video in videos], hz),
        views=_groups(videos, [video.view for video in videos], hz),
        embodiments=_groups(videos, [video.embodiment or "unknown" for video in videos], hz),
        with_text=sum(bool(video.text) for video in videos),
        notes={name: count for name, count in notes.items() if count},
        kinds=dict(Counter(problem.kind for problem in problems)),
        problems=tuple(problems),
        damaged=tuple(damaged),
        sha256=shards.sha256,
    )


def _bookkeeping(root: Path) -> tuple[list[Problem], int, int]:
    """Problems of all finished shards, recordings of the plan, and how many of them are in finished shards."""
    problems: list[Problem] = []
    try:
        plan = (
            [len(shard) for shard in json.loads((root / PLAN).read_text(encoding="utf-8-sig"))["shards"]]
            if root.is_dir()
            else []
        )
    except (OSError, ValueError, KeyError, TypeError):
        plan = []  # shards are readable without their plan
    done = 0
    for path in sorted(root.glob("shard-*.json")):
        with suppress(OSError, ValueError, DataError):  # VideoShards names it
            problems += Contents.from_json(json.loads(path.read_text(encoding="utf-8-sig")), str(path)).problems
        number = int(path.stem.removeprefix("shard-"))
        done += plan[number] if number < len(plan) else 0
    return problems, sum(plan), done


def _groups(videos: Sequence[Video], labels: Sequence[str], hz: float) -> dict[str, Group]:
    count, frames = Counter(labels), Counter[str]()
    for label, video in zip(labels, videos, strict=True):
        frames[label] += video.frames
    return {label: Group(count[label], frames[label], _hours(frames[label], hz)) for label in sorted(count)}


def _hours(frames: int, hz: float) -> float:
    return round(frames / hz / 3600, 3)
