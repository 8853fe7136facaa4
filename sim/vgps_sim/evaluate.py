"""Paired evaluation: every condition plays the same seeds, and what is done is never lost."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from vgps_sim import provenance
from vgps_sim.episode import EpisodeSource, Judge, WorldFactory, WorldSource
from vgps_sim.journal import Journal
from vgps_sim.progress import Progress
from vgps_sim.results import (
    REPORT_SEED,
    Condition,
    ControllerFactory,
    EpisodeResult,
    Evaluation,
    EvaluationError,
    Job,
    StepRecord,
    paired_seeds,
)
from vgps_sim.workers import WorkerCrash, play_in_workers
from vgps_sim.world import World


def run(
    conditions: Sequence[Condition],
    tasks: Sequence[str],
    seeds: Sequence[int],
    *,
    execute: int = 2,
    max_steps: int = 60,
    folder: Path | None = None,
    source: EpisodeSource | None = None,
    world_factory: WorldFactory = World,
    judge_factory: Callable[[], Judge] | None = None,
    processes: int = 1,
    progress: bool = True,
    command: str = "",
) -> Evaluation:
    """Play every condition on the same seeds, dealt out over the tasks.

    conditions: the first is the baseline, the second the one the report is about.
    seeds: one a pair; `len(seeds)` episodes a condition in all.
    execute: control steps executed of each chunk before the next decision; the same on every side.
    max_steps: control steps after which an episode has failed.
    folder: run folder; results already there under the same settings are not played again.
    source: plays the episodes; by default the simulator in this process or in worker processes.
    judge_factory: makes, in every worker process, what also judges the last images of each episode.
    processes: 1 plays here, more spawn that many workers of one thread each.
    command: what the user typed, for the report.

    Returns what was played even when it had to stop early; `Evaluation.stopped` then says why.
    """
    names = [c.name for c in conditions]
    if not names or len(set(names)) != len(names):
        raise EvaluationError(f"conditions must have unique names; got {names}")
    if execute < 1 or max_steps < 1 or processes < 1:
        raise EvaluationError(
            f"execute ({execute}), max_steps ({max_steps}) and processes ({processes}) must be at least 1"
        )
    if source is not None and processes > 1:
        raise EvaluationError("a given episode source plays one episode at a time; use processes=1")
    pairs = paired_seeds(tasks, seeds)
    # Seed by seed, so that an evaluation cut short still is a paired one.
    jobs = [Job(condition, task, seed, execute, max_steps) for task, seed in pairs for condition in conditions]
    git = provenance.git_revision()
    journal = Journal(folder, git) if folder else None
    done = journal.load(jobs) if journal else {}
    todo = [job for job in jobs if job.key not in done]
    began, stopped, failed = time.perf_counter(), None, []
    with Progress(jobs, done, enabled=progress) as display:
        try:
            for job, result in _play(todo, source, partial(WorldSource, world_factory, judge_factory), processes):
                if journal:
                    journal.append(job, result)
                if result.error is not None:
                    failed.append(result)
                    stopped = f"{result.condition}, {result.task}, seed {result.seed}: {result.error}"
                    break
                done[job.key] = result
                display.add(result)
        except WorkerCrash as crash:
            stopped = str(crash)
        except KeyboardInterrupt:
            stopped = "interrupted"
    return Evaluation(
        conditions=tuple(conditions),
        pairs=pairs,
        results=tuple(done[job.key] for job in jobs if job.key in done) + tuple(failed),
        execute=execute,
        max_steps=max_steps,
        source=source.name if source else WorldSource.name,
        command=command or shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        git=git,
        versions=provenance.versions(),
        wall_seconds=time.perf_counter() - began,
        stopped=stopped,
        notes=tuple(journal.notes) if journal else (),
    )


def _play(
    jobs: Sequence[Job], source: EpisodeSource | None, make_source: Callable[[], EpisodeSource], processes: int
) -> Iterator[tuple[Job, EpisodeResult]]:
    """Results as they come."""
    if processes > 1 and len(jobs) > 1:
        yield from play_in_workers(jobs, make_source, min(processes, len(jobs)), attempt)
        return
    own = source or make_source()
    try:
        for job in jobs:
            yield job, attempt(own, job)
    finally:
        if source is None:
            own.close()


def attempt(source: EpisodeSource, job: Job) -> EpisodeResult:
    """Play one episode; whatever goes wrong becomes the result's `error`."""
    try:
        return source.play(job)
    except Exception as error:  # whatever it is, the evaluation must end with the reason
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
        return EpisodeResult(job.task, job.seed, job.condition.name, success=False, steps=0, error=reason)


def report_seeds(episodes: int, offset: int = 0) -> range:
    """Seeds of a report: `episodes` of them, never used for tuning."""
    return range(REPORT_SEED + offset, REPORT_SEED + offset + episodes)


__all__ = [
    "REPORT_SEED",
    "Condition",
    "ControllerFactory",
    "EpisodeResult",
    "EpisodeSource",
    "Evaluation",
    "EvaluationError",
    "Job",
    "StepRecord",
    "WorldSource",
    "report_seeds",
    "run",
]
