"""A live line for an evaluation: how far, how well so far, how long still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich import progress as rich_progress
from rich.console import Console

from vgps_sim.results import EpisodeResult, Job


class Progress:
    """Running success rates of every condition; a plain line at every tenth where there is no terminal."""

    def __init__(self, jobs: Sequence[Job], done: Mapping[str, EpisodeResult], *, enabled: bool = True) -> None:
        self._console = Console(emoji=False, stderr=True)
        self._enabled, self._live = enabled, enabled and self._console.is_terminal
        self._counts = {job.condition.name: [0, 0] for job in jobs}
        self._total, self._finished = len(jobs), 0
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(bar_width=24),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TextColumn("left"),
            rich_progress.TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=self._total)
        for result in done.values():
            self._count(result)
        if done and enabled:
            self._console.print(f"{len(done)} of {self._total} episodes were already played")
        # What was loaded took no time and must not make the estimate of what is left too bright.
        self._bar.update(self._task, completed=len(done), description=self._text())
        self._bar.reset(self._task, completed=len(done), description=self._text())

    def add(self, result: EpisodeResult) -> None:
        self._count(result)
        self._bar.update(self._task, completed=self._finished, description=self._text())
        tenth = max(self._total // 10, 1)
        if self._enabled and not self._live and (self._finished % tenth == 0 or self._finished == self._total):
            self._console.print(f"{self._finished}/{self._total}  {self._text()}", highlight=False)

    def _count(self, result: EpisodeResult) -> None:
        self._finished += 1
        counts = self._counts[result.condition]
        counts[0] += result.success
        counts[1] += 1

    def _text(self) -> str:
        return "  ".join(f"{name} {s}/{n}" + (f" ({s / n:.0%})" if n else "") for name, (s, n) in self._counts.items())

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
