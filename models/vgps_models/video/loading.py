"""Batches made ahead of whoever learns from them, in the order of the steps, by any number of workers.

Worker processes decode, each into its own shared memory: Pillow holds the interpreter while it decodes, so threads
would not help. From frames that are in memory a batch is a copy of some megabytes, which a thread makes in passing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from vgps_models.errors import SpecError
from vgps_models.video.cache import Cache
from vgps_models.video.sampling import Draw, Ints, Sampler, Sampling, Transitions
from vgps_models.video.shards import Frames, VideoShards


class Maker(Protocol):
    """Makes batches some steps ahead. take: the batch of the next step. close: ends it, whatever it is doing."""

    def take(self) -> Transitions: ...
    def close(self) -> None: ...


def make_batch(shards: VideoShards, frames: Frames, draw: Draw) -> Transitions:
    """Read the frames of a draw, each distinct one once."""
    each, row = draw.distinct()
    video, time = shards.locate(draw.index)
    return Transitions(draw.step, video, time, frames.read(each), row)


class Loader:
    """Batches of steps `start`, `start + 1`, ...; the same ones whatever the number of workers.

        with Loader(VideoShards("data/shards"), Sampling(batch=64), start=resumed_at) as loader:
            for batch in loader: ...

    workers: processes that decode; 0 makes every batch when it is asked for. ahead: batches that each may have ready,
    which bounds the memory. budget_mb: if all frames fit into it as uint8, they are kept once they were decoded, and
    no processes are needed. videos: only these; all if None. share: as of the `Sampler`.
    """

    def __init__(
        self,
        shards: VideoShards,
        settings: Sampling,
        *,
        start: int = 0,
        workers: int = 1,
        ahead: int = 2,
        budget_mb: float = 0.0,
        videos: Ints | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if start < 0 or workers < 0 or ahead < 1:
            raise SpecError(f"start {start}, workers {workers}, ahead {ahead}; expected at least 0, 0 and 1")
        self.step = start
        sampler = Sampler(shards.bounds, settings, videos, share)
        self.cached = Cache.bytes_of(shards) <= budget_mb * 2**20
        frames: Frames = Cache(shards) if self.cached else shards
        self._maker: Maker
        if not workers:
            self._maker = _Inline(shards, frames, sampler, start)
        elif self.cached:
            self._maker = _Thread(shards, frames, sampler, start, ahead)
        else:
            from vgps_models.video.loading_processes import Processes

            self._maker = Processes(shards.roots, settings, videos, share, start, workers, ahead)

    def __iter__(self) -> Iterator[Transitions]:
        """Endless."""
        while True:
            yield self.next()

    def next(self) -> Transitions:
        """The batch of the step `self.step`, which then counts one further."""
        batch = self._maker.take()
        self.step = batch.step + 1
        return batch

    def close(self) -> None:
        self._maker.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Inline:
    def __init__(self, shards: VideoShards, frames: Frames, sampler: Sampler, start: int) -> None:
        self._shards, self._frames, self._sampler, self._step = shards, frames, sampler, start

    def take(self) -> Transitions:
        batch = make_batch(self._shards, self._frames, self._sampler.draw(self._step))
        self._step += 1
        return batch

    def close(self) -> None:
        pass


class _Thread:
    """One thread, because the shards it reads are its own."""

    def __init__(self, shards: VideoShards, frames: Frames, sampler: Sampler, start: int, ahead: int) -> None:
        self._inline, self._pool = _Inline(shards, frames, sampler, start), ThreadPoolExecutor(1, "batches")
        self._made: deque[Future[Transitions]] = deque(self._pool.submit(self._inline.take) for _ in range(ahead))

    def take(self) -> Transitions:
        batch = self._made.popleft().result()
        self._made.append(self._pool.submit(self._inline.take))
        return batch

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
