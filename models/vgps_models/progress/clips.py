"""Clips out of data sets, and many clips through an estimator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from vgps_models.data import EpisodeStore
from vgps_models.data.records import Videos
from vgps_models.progress.estimate import Clip, Estimate, Estimator, Example, spaced


def of_episode(
    store: EpisodeStore, episode: int, frames: int = 0, cameras: Sequence[str] = (), *, videos: Videos | None = None
) -> Clip:
    """`frames` moments evenly spread over an episode, first and last among them; 0 for all. Only they are decoded.

    cameras: all of them when none is named. videos: files that stay open from call to call, of this thread alone.
    """
    record = store.records[episode]
    index = spaced(record.length, frames or record.length)
    return Clip(store.images(episode, index, cameras, videos), record.instruction)


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
