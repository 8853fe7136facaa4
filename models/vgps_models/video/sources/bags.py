"""Bags of ROS as video: every camera of every attempt is a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vgps_models.bags.paths import is_bag
from vgps_models.cameras import choose_cameras
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.video.moments import Moment
from vgps_models.video.sources.base import Recording, Source, SourceOptions

if TYPE_CHECKING:  # the reader of bags is an extra
    from vgps_models.bags.attempts import Attempt


@dataclass(frozen=True)
class BagRecording(Recording):
    """camera: as the attempt calls it."""

    attempt: Attempt
    camera: str

    def play(self) -> Iterator[Moment]:
        from vgps_models.bags.attempts import pictures

        first = self.attempt.cameras[self.camera].times[0]
        for time, picture in pictures(self.attempt, self.camera):
            yield Moment((time - first) * 1e-9, picture)


def found(path: Path) -> bool:
    return is_bag(path)


def read(path: Path, options: SourceOptions) -> Source:
    from vgps_models.bags.attempts import BagIndex

    index, source = BagIndex(path), path.resolve().stem
    root = path.parent if path.is_file() else path
    recordings: list[Recording] = [
        BagRecording(
            name="/".join([source, *_place(attempt, root), view]),
            source=source,
            view=view,
            text=attempt.task or options.text,
            embodiment=options.embodiment,
            attempt=attempt,
            camera=camera,
        )
        for attempt in index.attempts
        for view, camera in _views(attempt, options).items()
    ]
    return Source(recordings, index.problems)


def _place(attempt: Attempt, root: Path) -> list[str]:
    """Where an attempt lies below the source."""
    file = attempt.bag.files[0].relative_to(root).with_suffix("")
    return [*file.parts, f"{attempt.episode}.{attempt.part}" if attempt.part else str(attempt.episode)]


def _views(attempt: Attempt, options: SourceOptions) -> dict[str, str]:
    """view -> camera. Views that are asked for and are not in this attempt may be in another."""
    asked: dict[str, str] = {}
    for view in options.views:
        with suppress(UnknownNameError, DataError):
            (asked[view],) = choose_cameras([view], attempt.cameras).values()
    return {name: name for name in attempt.usual} | asked
