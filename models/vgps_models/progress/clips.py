"""Clips out of data sets, and many clips through an estimator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgps_models.data.lerobot_info import camera_map, find_camera
from vgps_models.data.records import Videos
from vgps_models.errors import DataError
from vgps_models.progress.estimate import Clip, Estimate, Estimator, Example, Images, spaced


class Episodes(Protocol):
    """A data set whose episodes can be judged: an `EpisodeStore`, or a `ForeignDataSet` of another writer."""

    root: Path

    def __len__(self) -> int: ...

    @property
    def cameras(self) -> tuple[str, ...]: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Frames of every episode. Shape (M,)."""
        ...

    def name(self, index: int, /) -> str: ...

    def task(self, index: int, /) -> str:
        """What was to be done, in words; empty when that is unknown."""
        ...

    def label(self, index: int, /) -> str:
        """The same for episodes of the same task."""
        ...

    def success(self, index: int, /) -> bool | None: ...

    def seconds(self, index: int, /) -> NDArray[np.float64]:
        """When each frame was recorded [s], counted from the first. Shape (T,)."""
        ...

    def images(
        self, index: int, rows: NDArray[np.intp] | None = None, cameras: Sequence[str] = (),
        videos: Videos | None = None, /,
    ) -> dict[str, Images]: ...  # fmt: skip

    def data_hash(self) -> str: ...


def of_episode(
    store: Episodes,
    episode: int,
    frames: int = 0,
    cameras: Sequence[str] = (),
    *,
    task: str = "",
    videos: Videos | None = None,
) -> Clip:
    """`frames` moments evenly spread over an episode, first and last among them; 0 for all. Only they are decoded.

    cameras: NAME or NAME=CAMERA, see `camera_map`; all of them when none is named. task: instead of the recorded one.
    videos: files that stay open from call to call, of this thread alone. Raises DataError for an episode without task.
    """
    words = require_task(store, episode, task)
    length = int(store.lengths[episode])
    chosen = camera_map(cameras) or {name: name for name in store.cameras}
    found = {name: find_camera(camera, store.cameras) for name, camera in chosen.items()}
    images = store.images(episode, spaced(length, frames or length), tuple(dict.fromkeys(found.values())), videos)
    return Clip({name: images[camera] for name, camera in found.items()}, words)


def require_task(store: Episodes, episode: int, task: str = "") -> str:
    """What was to be done, in words: `task`, or as recorded. DataError when neither says."""
    if words := task.strip() or store.task(episode):
        return words
    raise DataError(f"{store.name(episode)} of {store.root} has no task; say what was to be done with --task")


def each(
    estimator: Estimator, clips: Iterable[tuple[str, Clip]], context: Sequence[Example] = ()
) -> Iterator[tuple[str, Estimate]]:
    """(name, clip) in, (name, estimate) out; several at a time, in no order, where the estimator can."""
    if not hasattr(estimator, "estimate_many"):
        for name, clip in clips:
            yield name, estimator.estimate(clip, context)
        return
    loop = asyncio.new_event_loop()
    answers = estimator.estimate_many(clips, context)  # type: ignore[attr-defined]
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(answers))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(answers.aclose())
        loop.close()
