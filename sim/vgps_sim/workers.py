"""Worker processes that play episodes, one thread each."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from vgps_models.errors import VgpsError
from vgps_sim.episode import EpisodeSource
from vgps_sim.results import EpisodeResult, Job

# Two workers with a thread pool each fight over the cores; one thread each is faster.
ONE_THREAD: dict[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1"
)

PATIENCE = 3.0  # [s] in which workers that are no longer needed may end by themselves

Attempt = Callable[[EpisodeSource, Job], EpisodeResult]


class WorkerCrash(VgpsError):
    """A worker process ended without a result; the message says how and where."""


def play_in_workers(
    jobs: Sequence[Job], source_factory: Callable[[], EpisodeSource], processes: int, attempt: Attempt
) -> Iterator[tuple[Job, EpisodeResult]]:
    """Results as they come, in any order. Raises WorkerCrash when a worker has died and the others have finished
    what they were playing."""
    context = get_context("spawn")
    workers: dict[Connection, SpawnProcess] = {}
    running: dict[Connection, Job] = {}
    waiting = iter(range(len(jobs)))
    crash: WorkerCrash | None = None
    try:
        with one_thread():
            for _ in range(processes):
                ours, theirs = context.Pipe()
                worker = context.Process(target=_work, args=(theirs, jobs, source_factory, attempt), daemon=True)
                worker.start()
                theirs.close()
                workers[ours] = worker
                _hand_out(ours, jobs, waiting, running)
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                try:
                    result: EpisodeResult = connection.recv()
                except (EOFError, ConnectionError):
                    crash, waiting = WorkerCrash(_epitaph(workers[connection], running.pop(connection))), iter(())
                    continue
                yield running.pop(connection), result
                _hand_out(connection, jobs, waiting, running)
        if crash is not None:
            raise crash
    except BaseException:  # also when the caller needs no more results, or this process was asked to stop
        for worker in workers.values():
            worker.terminate()
        raise
    finally:
        for connection in workers:
            connection.close()
        deadline = time.monotonic() + PATIENCE  # for all of them: CI kills what does not end soon
        for worker in workers.values():
            worker.join(timeout=max(deadline - time.monotonic(), 0.0))
            if worker.is_alive():
                worker.kill()


def _hand_out(
    connection: Connection, jobs: Sequence[Job], waiting: Iterator[int], running: dict[Connection, Job]
) -> None:
    index = next(waiting, None)
    if index is None:
        return
    running[connection] = jobs[index]
    with suppress(ConnectionError):  # the worker is dead; reading from it says so, with its exit code
        connection.send(index)


def _work(
    connection: Connection, jobs: Sequence[Job], source_factory: Callable[[], EpisodeSource], attempt: Attempt
) -> None:
    """Play what is asked for until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    source = source_factory()
    try:
        while True:
            connection.send(attempt(source, jobs[connection.recv()]))
    except (EOFError, ConnectionError):
        source.close()


def end_with_parent() -> None:
    """To be called in a worker: Ctrl-C is the parent's to handle, and when the parent is gone the worker leaves too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _epitaph(worker: SpawnProcess, job: Job) -> str:
    worker.join(timeout=5.0)
    code = worker.exitcode
    how = f"with exit code {code}"
    if code is not None and code < 0:
        how = f"by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += " (out of memory?)"
    return f"a worker ended {how} while it played {job.condition.name}, {job.task}, seed {job.seed}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes started inside use one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
