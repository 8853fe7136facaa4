"""Bags of ROS as video: every camera of every attempt is a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vgps_models.bags.paths import is_bag
from vgps_models.data.lerobot_info import camera_map, find_camera, words
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.video.moments import Moment
from vgps_models.video.sources.base import Recording, Source, SourceOptions

if TYPE_CHECKING:  # the reader of bags is an extra
    from vgps_models.bags.attempts import Attempt


@dataclass(frozen=True)
class BagRecording(Recording):
    attempt: Attempt

    def play(self) -> Iterator[Moment]:
        from vgps_models.bags.attempts import pictures

        first = self.attempt.cameras[self.view].times[0]
        for time, picture in pictures(self.attempt, self.view):
            yield Moment((time - first) * 1e-9, picture)


def found(path: Path) -> bool:
    return is_bag(path)


def read(path: Path, options: SourceOptions) -> Source:
    from vgps_models.bags.attempts import BagIndex

    index, source = BagIndex(path), path.resolve().stem
    root = path.parent if path.is_file() else path
    recordings: list[Recording] = [
        BagRecording(
            name="/".join([source, *_place(attempt, root), camera]),
            source=source,
            view=camera,
            text=words(attempt.task) or options.text,
            embodiment=options.embodiment,
            attempt=attempt,
        )
        for attempt in index.attempts
        for camera in _cameras(attempt, options)
    ]
    return Source(recordings, index.problems)


def _place(attempt: Attempt, root: Path) -> list[str]:
    """Where an attempt lies below the source."""
    file = attempt.bag.files[0].relative_to(root).with_suffix("")
    return [*file.parts, f"{attempt.episode}.{attempt.part}" if attempt.part else str(attempt.episode)]


def _cameras(attempt: Attempt, options: SourceOptions) -> list[str]:
    """The usual ones, and those that are asked for and are in this attempt; others may be in another."""
    asked: list[str] = []
    for camera in camera_map(options.views).values():
        with suppress(UnknownNameError, DataError):
            asked.append(find_camera(camera, attempt.cameras))
    return list(dict.fromkeys([*attempt.usual, *asked]))
