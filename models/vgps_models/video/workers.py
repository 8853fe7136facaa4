"""Shards written by worker processes. A video that kills its decoder costs that video, not the run."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from vgps_models.errors import VgpsError
from vgps_models.video.form import Form, Problem
from vgps_models.video.reading import BEGINS, CRASH, read_shard
from vgps_models.video.sources.base import Recording
from vgps_models.video.writing import ShardBusyError, ShardWriter

# What a decoder does on bytes it did not expect; a worker that was killed or ran out of memory is another matter.
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
SHARD, BUSY, FAILED = "shard written", "shard busy", "failed"

Job = tuple[int, Sequence[Recording]]


class WorkerDiedError(VgpsError):
    """A worker process ended without a result; the message says how and where."""


class Packing(Protocol):
    @property
    def out(self) -> Path: ...
    @property
    def form(self) -> Form: ...
    @property
    def processes(self) -> int: ...


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Job
    reads: str = ""  # name of the recording that it is at


def in_workers(config: Packing, jobs: Sequence[Job], hear: Callable[[str, str], None]) -> int:
    """Write all shards; returns how many are being written by others.

    Raises WorkerDiedError when a worker was killed, and VgpsError with what went wrong in one.
    """
    waiting, busy = deque(jobs), 0
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < config.processes:
                workers.append(_start(config, waiting.popleft()))
            for connection in wait([worker.connection for worker in workers]):
                worker = next(w for w in workers if w.connection is connection)
                try:
                    name, what = worker.connection.recv()
                except (EOFError, ConnectionError):
                    workers.remove(worker)
                    waiting.appendleft(_bury(config, worker))
                    continue
                if what == FAILED:
                    raise VgpsError(name)
                if what in (SHARD, BUSY):
                    busy += what == BUSY
                    if waiting:
                        worker.job = waiting.popleft()
                        with suppress(ConnectionError):  # the worker is dead; reading from it says so
                            worker.connection.send(worker.job)
                    else:
                        workers.remove(worker)
                        worker.connection.close()
                        worker.process.join(timeout=5.0)
                    continue
                worker.reads = name
                if what != BEGINS:
                    hear(name, what)
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(timeout=5.0)
            if worker.process.is_alive():
                worker.process.kill()
    return busy


def _start(config: Packing, job: Job) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, config.out, config.form), daemon=True)
    process.start()
    theirs.close()
    worker = _Worker(process, ours, job)
    with suppress(ConnectionError):
        ours.send(job)
    return worker


def _work(connection: Connection, root: Path, form: Form) -> None:
    """Write one shard after the other, until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle

    def tell(name: str, what: str) -> None:
        connection.send((name, what))

    try:
        while True:
            number, recordings = connection.recv()
            try:
                read_shard(root, number, recordings, form, tell)
                tell("", SHARD)
            except ShardBusyError:
                tell("", BUSY)
            except (VgpsError, OSError) as error:
                tell(f"shard {number} of {root} cannot be written ({error})", FAILED)
    except (EOFError, ConnectionError):
        pass


def _bury(config: Packing, worker: _Worker) -> Job:
    """The job to begin again, the recording that killed the worker written down as a problem."""
    worker.connection.close()
    worker.process.join(timeout=5.0)
    code: Any = worker.process.exitcode
    how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    at = worker.reads or f"shard {worker.job[0]}"
    if code is None or -code not in CRASHES or not worker.reads:
        hint = " (out of memory?)" if how == "SIGKILL" else ""
        raise WorkerDiedError(f"a worker ended with {how}{hint} while it read {at}; the same command goes on from here")
    writer = ShardWriter(config.out, worker.job[0], config.form)
    try:
        if not writer.finished and worker.reads not in writer.done:
            writer.end_recording(worker.reads, Problem(worker.reads, CRASH, f"the decoder ended with {how}"))
    finally:
        writer.close()
    return worker.job
