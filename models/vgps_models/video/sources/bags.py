"""MCAP bags as video: every image topic of every attempt is a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vgps_models.video.moments import Moment
from vgps_models.video.sources.base import Recording, Source, SourceOptions

if TYPE_CHECKING:  # the reader of bags is an extra
    from vgps_models.data.bags import Attempt


@dataclass(frozen=True)
class BagRecording(Recording):
    attempt: Attempt

    def play(self) -> Iterator[Moment]:
        from vgps_models.data.bags import pictures

        first = self.attempt.times[self.view][0]
        for log_time, picture in pictures(self.attempt, self.view):
            yield Moment((log_time - first) * 1e-9, picture)


def found(path: Path) -> bool:
    return path.suffix == ".mcap" or (path.is_dir() and any(path.rglob("*.mcap")))


def read(path: Path, options: SourceOptions) -> Source:
    from vgps_models.data.bags import BagIndex

    index, source = BagIndex(path), path.resolve().stem
    root = path.parent if path.is_file() else path
    recordings: list[Recording] = [
        BagRecording(
            name="/".join([source, *attempt.path.relative_to(root).with_suffix("").parts, str(attempt.episode), view]),
            source=source,
            view=view,
            text=attempt.task or options.text,
            embodiment=options.embodiment,
            attempt=attempt,
        )
        for attempt in index.attempts
        for view in attempt.times
    ]
    return Source(recordings, index.problems)
