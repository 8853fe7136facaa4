"""Worker processes of the loader: the parent asks for steps, a worker answers into shared memory."""

from __future__ import annotations

import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.errors import DataError, VgpsError
from vgps_models.interrupts import shielded
from vgps_models.spaces import Image
from vgps_models.video.sampling import ROLES, Ints, Sampler, Sampling, Transitions
from vgps_models.video.shards import VideoShards

Roots = tuple[Path, ...]


class LoaderDiedError(VgpsError):
    """A worker process of the loader ended; the message says which, how and where."""


class Processes:
    """Step t is made by worker t modulo the number of workers, so that each worker's answers come in order.

    Every worker has `ahead` slots of shared memory, each for the most frames a batch can have.
    """

    def __init__(
        self,
        roots: Roots,
        settings: Sampling,
        videos: Ints | None,
        share: tuple[int, int],
        start: int,
        workers: int,
        ahead: int,
    ) -> None:
        context = get_context("spawn")
        size = VideoShards(*roots).form.size
        self._next, self._asked, self._ahead = start, start, ahead
        self._shape = (ahead, len(ROLES) * settings.batch, size, size, 3)
        self._memory, self._workers, self._connections = list[Image](), list[Any](), list[Connection]()
        for number in range(workers):
            shared = context.RawArray("B", int(np.prod(self._shape)))
            ours, theirs = context.Pipe()
            arguments = (theirs, shared, self._shape, roots, settings, videos, share)
            worker = context.Process(target=_work, args=arguments, daemon=True, name=f"video loader {number}")
            with shielded():
                worker.start()
            theirs.close()
            self._memory.append(np.frombuffer(shared, np.uint8).reshape(self._shape))  # type: ignore[call-overload]
            self._workers.append(worker)
            self._connections.append(ours)
        for _ in range(workers * ahead):
            self._ask()

    def take(self) -> Transitions:
        number, slot = self._place(self._next)
        connection, worker = self._connections[number], self._workers[number]
        try:
            wait([connection, worker.sentinel])
            if not connection.poll():
                raise EOFError
            answer = connection.recv()
        except (EOFError, ConnectionError):
            raise LoaderDiedError(self._epitaph(number)) from None
        if isinstance(answer, str):
            raise DataError(answer)
        count, video, time, row = answer
        batch = Transitions(self._next, video, time, self._memory[number][slot, :count].copy(), row)
        self._next += 1
        self._ask()
        return batch

    def close(self) -> None:
        for connection in self._connections:
            connection.close()  # a worker that waits for the next step ends by this
        for worker in self._workers:
            worker.join(timeout=0.5)
            if worker.is_alive():
                worker.terminate()
                worker.join(timeout=5.0)

    def _ask(self) -> None:
        """For the next step that nobody has been asked for."""
        number, slot = self._place(self._asked)
        with suppress(ConnectionError):  # the worker is dead; taking its answer says so
            self._connections[number].send((self._asked, slot))
        self._asked += 1

    def _place(self, step: int) -> tuple[int, int]:
        """Worker and slot of a step."""
        return step % len(self._workers), step // len(self._workers) % self._ahead

    def _epitaph(self, number: int) -> str:
        worker = self._workers[number]
        worker.join(timeout=5.0)
        code = worker.exitcode
        how = f"with exit code {code}"
        if code is not None and code < 0:
            how = f"by {signal.Signals(-code).name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
        return f"worker {number} of the video loader (process {worker.pid}) ended {how} while it made step {self._next}"


def _work(
    connection: Connection,
    shared: Any,
    shape: tuple[int, ...],
    roots: Roots,
    settings: Sampling,
    videos: Ints | None,
    share: tuple[int, int],
) -> None:
    """Make the steps that are asked for, until the other side hangs up."""
    from vgps_models.video.loading import make_batch

    memory = np.frombuffer(shared, np.uint8).reshape(shape)
    try:
        shards = VideoShards(*roots)
        sampler = Sampler(shards.bounds, settings, videos, share)
        while True:
            step, slot = connection.recv()
            try:
                batch = make_batch(shards, shards, sampler.draw(step))
            except (VgpsError, OSError) as error:
                connection.send(str(error))
                continue
            memory[slot, : len(batch.frames)] = batch.frames
            connection.send((len(batch.frames), batch.video, batch.time, batch.row))
    except (EOFError, ConnectionError):
        pass
