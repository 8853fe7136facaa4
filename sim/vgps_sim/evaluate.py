"""Paired evaluation: every condition plays the same seeds, and what is done is never lost."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vgps_models.errors import VgpsError
from vgps_sim import provenance
from vgps_sim.episode import EpisodeSource, Judge, WorldFactory, WorldSource
from vgps_sim.journal import Journal
from vgps_sim.progress import Progress
from vgps_sim.requirements import Requirement
from vgps_sim.results import (
    REPORT_SEED,
    Condition,
    ControllerFactory,
    EpisodeResult,
    Evaluation,
    EvaluationError,
    EvaluationSettingsError,
    Job,
    StepRecord,
    paired_seeds,
)
from vgps_sim.verdicts import Monitor, judge, monitor_for
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
    requirements: Sequence[Requirement] = (),
    error_rate: float | None = None,
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
    requirements: judged at the end; see `vgps_sim.verdicts`.
    error_rate: when given, end as soon as one requirement has failed or all are met. Each verdict is wrong with at
        most this probability, and `seeds` are the most that are played.

    Returns what was played even when it had to stop early, also by Ctrl-C; `Evaluation.stopped` then says why.
    """
    names = [c.name for c in conditions]
    if not names or len(set(names)) != len(names):
        raise EvaluationSettingsError(f"conditions must have unique names; got {names}")
    if execute < 1 or max_steps < 1 or processes < 1:
        raise EvaluationSettingsError(
            f"execute ({execute}), max_steps ({max_steps}) and processes ({processes}) must be at least 1"
        )
    if source is not None and processes > 1:
        raise EvaluationSettingsError("a given episode source plays one episode at a time; use processes=1")
    pairs = paired_seeds(tasks, seeds)
    # Seed by seed, so that an evaluation cut short still is a paired one.
    rows = [[Job(condition, task, seed, execute, max_steps) for condition in conditions] for task, seed in pairs]
    monitor = None if error_rate is None else monitor_for(requirements, len(tasks), len(pairs), error_rate)
    games = Games(rows, monitor)
    journal = Journal(folder, provenance.code_revision()) if folder else None
    began, stopped, failed = time.perf_counter(), None, []
    seconds, latest = dict.fromkeys(tasks, 0.0), began
    try:
        if journal:
            games.done.update(journal.load(games.jobs))
        todo = [] if games.decided() else [job for job in games.jobs if job.key not in games.done]
        _require_playable(todo)
        with Progress(games.jobs, games.done, enabled=progress) as display:
            for job, result in _play(todo, source, partial(WorldSource, world_factory, judge_factory), processes):
                now = time.perf_counter()
                seconds[job.task] += now - latest
                latest = now
                if journal:
                    journal.append(job, result)
                if result.error is not None:
                    failed.append(result)
                    stopped = f"{result.condition}, {result.task}, seed {result.seed}: {result.error}"
                    break
                games.done[job.key] = result
                display.add(result)
                if games.decided():
                    break
    except WorkerCrash as crash:
        stopped = str(crash)
    except KeyboardInterrupt as interrupt:
        stopped = str(interrupt) or "interrupted"
    played = pairs[: games.looked] if games.is_decided else pairs
    evaluation = Evaluation(
        conditions=tuple(conditions),
        pairs=played,
        results=games.results(len(played)) + tuple(failed),
        execute=execute,
        max_steps=max_steps,
        source=source.name if source else WorldSource.name,
        command=command or shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        git=provenance.git_revision(),
        versions=provenance.versions(),
        wall_seconds=time.perf_counter() - began,
        stopped=stopped,
        notes=(*games.notes, *(journal.notes if journal else ())),
        error_rate=error_rate,
        planned=len(pairs),
        seconds=seconds,
    )
    return replace(evaluation, verdicts=judge(evaluation, requirements))


def _require_playable(jobs: Sequence[Job]) -> None:
    """Raise EvaluationError, before anything is played, when results are missing that cannot be made here."""
    for condition in {job.condition.name: job.condition for job in jobs if job.condition.recorded}.values():
        missing = [job for job in jobs if job.condition.name == condition.name]
        raise EvaluationError(
            f"{condition.name}: {len(missing)} episodes are not in the folder of results, such as {missing[0].task}, "
            f"seed {missing[0].seed}. {condition.recorded}"
        )


class Games:
    """The episodes of an evaluation: one row of jobs a pair, one job a side.

    Sides of equal identity share their episodes, so these are played once. A monitor looks at the rows in their order,
    whatever order they are finished in.
    """

    def __init__(self, rows: Sequence[Sequence[Job]], monitor: Monitor | None = None) -> None:
        self._rows, self._monitor = rows, monitor
        unique: dict[str, Job] = {}
        for row in rows:
            for job in row:
                unique.setdefault(job.key, job)
        self.jobs = tuple(unique.values())
        self.done: dict[str, EpisodeResult] = {}
        self.looked, self.is_decided = 0, False
        first: dict[str, str] = {}
        self.notes = tuple(
            f"{first[job.key]} and {job.condition.name} have the same settings and weights, hence the same episodes"
            for job in rows[0]
            if first.setdefault(job.key, job.condition.name) != job.condition.name
        )

    def decided(self) -> bool:
        """Whether no more episodes are needed. Shows the monitor every row that is complete and comes next."""
        while self._monitor and not self.is_decided and self.looked < len(self._rows):
            row = self._rows[self.looked]
            if not all(job.key in self.done for job in row):
                break
            self.looked += 1
            self.is_decided = self._monitor.add({job.condition.name: self.done[job.key].success for job in row})
        return self.is_decided

    def results(self, rows: int) -> tuple[EpisodeResult, ...]:
        """What was played of the first rows, each under the name of its side."""
        return tuple(
            replace(self.done[job.key], condition=job.condition.name)
            for row in self._rows[:rows]
            for job in row
            if job.key in self.done
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
    """Play one episode; whatever goes wrong becomes the result's `error`.

    A controller that leaves Python (`sys.exit`) is an error too: its exit code must not become that of the evaluation.
    """
    try:
        return source.play(job)
    except (Exception, SystemExit) as error:  # whatever it is, the evaluation must end with the reason
        if not isinstance(error, VgpsError):
            traceback.print_exc()  # of code that is not ours the place alone is not enough
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
