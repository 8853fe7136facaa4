"""vgps data info|check|repair|progress|filter"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgps_models.progress.backends import BackendConfig
from vgps_node.cli import choose
from vgps_node.commands.numbers import write_json

if TYPE_CHECKING:  # reading data sets is an extra
    from vgps_models.data.foreign_check import ForeignInfo


@dataclass(frozen=True)
class DataCommand:
    root: tyro.conf.Positional[Path]  # folder of the data set
    json: Path | None = None  # also write what was found to this file


@dataclass(frozen=True)
class ProgressCommand(BackendConfig):
    root: tyro.conf.Positional[Path]  # folder of the data set
    frames: int = 0  # moments of an episode that are judged, evenly spread; 0 for all, best at most 30 with gvl
    task: str = ""  # what was to be done, in every episode; empty: as each episode says
    out: Path | None = None  # parquet file; default: <data set>.progress-<backend>.parquet beside it


@dataclass(frozen=True)
class FilterCommand:
    root: tyro.conf.Positional[Path]  # folder of the data set
    out: Path  # folder of the data set to write
    by: str = "progress"  # progress: the last value of an episode | outcome: the recorded success | all: every episode
    progress: Path | None = None  # file of `vgps data progress`; default: the learned estimator's, beside the data set
    above: float | None = None  # least last value; default: the estimator's own threshold of success


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Look into a data set. What another program has recorded or changed is read and never written to.

    Examples:
        vgps data info data/mixed      counts, success rates, flaws, the data hash
        vgps data check data/mixed     verify every file and episode; exit code 1 when something is damaged
        vgps data repair data/mixed    keep what is sound, set the rest aside
        vgps data progress data/mixed  how far along every frame is, into a parquet file beside it; resumes
        vgps data filter data/mixed --by progress --out data/good    only the episodes that seem to end well
    """
    what, rest = choose("data command", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    kind, run = PARTS[what]
    return run(tyro.cli(kind, args=rest, prog=f"{prog} {what}", description=main.__doc__))


def _info(command: DataCommand) -> int:
    from vgps_models.data.check import info
    from vgps_models.data.foreign_check import look_into
    from vgps_models.data.owner import Owner, owner_of

    console = Console(emoji=False)
    if owner_of(command.root) is Owner.OTHERS:
        foreign = look_into(command.root)
        write_json(command.json, foreign.to_json())
        return _tell_foreign(console, command.root, foreign)
    found = info(command.root)
    write_json(command.json, found.to_json())
    console.print(
        f"{command.root}: {found.episodes} episodes, {found.frames} frames at {found.fps} Hz, "
        f"{found.success_rate:.0%} successes, {found.megabytes} MB",
        markup=False,
    )
    table = Table("task", "episodes", "successes")
    for name, task in found.tasks.items():
        table.add_row(escape(name), str(task.episodes), f"{task.rate:.0%}")
    console.print(table)
    cameras = ", ".join(f"{name} {width}x{height}" for name, (height, width) in found.cameras.items())
    console.print(f"cameras    {cameras}")
    console.print(f"flaws      {', '.join(f'{name} {n}' for name, n in found.flaws.items())}")
    console.print(f"seeds      {found.seeds[0]} .. {found.seeds[1]}")
    console.print(f"data hash  {found.data_hash}")
    _notes(console, found.notes)
    return _problems(console, found.problems)


def _tell_foreign(console: Console, root: Path, found: ForeignInfo) -> int:
    console.print(
        f"{root}: {found.episodes} episodes, {found.frames} frames at {found.fps:g} Hz, {found.megabytes} MB; "
        f"{found.owner}, LeRobot {found.version}, robot {found.robot or 'not named'}",
        highlight=False,
        markup=False,
    )
    table = Table("task", "episodes", "successes")
    for name, (episodes, known, won) in found.tasks.items():
        table.add_row(escape(name), str(episodes), f"{won} of {known}" if known else "unknown")
    console.print(table)
    for name, (key, stored, height, width) in found.cameras.items():
        console.print(f"camera     {name} {width}x{height} ({stored}, {key})", markup=False, highlight=False)
    for key in ("action", "observation.state"):
        if shape := found.features.get(key):
            console.print(f"{key}  {'x'.join(map(str, shape))} numbers", markup=False, highlight=False)
    _notes(console, found.notes)
    return _problems(console, found.problems, "problem")


def _notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"note: {note}", markup=False, highlight=False)


def _check(command: DataCommand) -> int:
    from vgps_models.data.check import check
    from vgps_models.data.owner import Owner

    report = check(command.root)
    write_json(command.json, report.to_json())
    console = Console(emoji=False)
    ours = report.owner == Owner.OURS.value
    rest = f"{report.waiting} more wait to be merged" if ours else report.owner
    console.print(f"{report.root}: {report.episodes} sound episodes, {rest}", markup=False)
    _notes(console, report.notes)
    return _problems(console, report.problems, "damaged" if ours else "problem")


def _repair(command: DataCommand) -> int:
    from vgps_models.data.check import repair

    merged = repair(command.root)
    console = Console(emoji=False)
    console.print(f"{command.root}: {merged.episodes} episodes kept", markup=False)
    _problems(console, merged.problems)
    return 0


def _progress(command: ProgressCommand) -> int:
    from vgps_models.files import require_outside
    from vgps_models.progress import annotation
    from vgps_models.progress.backends import make_estimator
    from vgps_models.progress.footage.lerobot import open_episodes
    from vgps_node.commands.collect import bar

    out = command.out or annotation.default_path(command.root, command.backend)
    require_outside(out)  # before a model is loaded
    store, estimator = open_episodes(command.root), make_estimator(command)
    unread: list[str] = []
    with bar() as progress:
        line = progress.add_task(f"judging by {estimator.source}", total=len(store))
        made, usage = annotation.annotate(
            estimator, store, out, frames=command.frames, cameras=command.cameras, task=command.task,
            progress=lambda: progress.advance(line), report=unread.append,
        )  # fmt: skip
    console = Console(emoji=False)
    _problems(console, unread, "no picture")
    console.print(
        f"wrote {out}: {len(store)} episodes by {made.source}; {usage}, {made.failures} answers could not be used"
    )
    return 0


def _filter(command: FilterCommand) -> int:
    import numpy as np

    from vgps_models.data import EpisodeStore
    from vgps_models.data.sampling import succeeded
    from vgps_models.data.subset import write_subset
    from vgps_models.errors import DataError, UnknownNameError
    from vgps_models.progress import annotation

    if command.by not in FILTERS:
        raise UnknownNameError("filter", command.by, FILTERS)
    store = EpisodeStore(command.root)
    columns = store.columns()
    won = succeeded(columns)
    keep, what = won, "that succeeded"
    if command.by == "all":
        keep, what = np.ones(len(store), bool), "that can be read"
    if command.by == "progress":
        made = annotation.read(command.progress or annotation.default_path(command.root, "learned"), store)
        least = made.threshold if command.above is None else command.above
        if least is None:
            raise DataError(f"{made.source} has no threshold of success; say with --above how much is enough")
        final = made.finals(columns.bounds)
        keep = np.where(np.isnan(final), False, final >= least)  # no answer, no trust
        what = f"that {made.source} sees end at {least:.0%} or more"
    write_subset(store, keep, command.out)
    agree = int((keep & won).sum())
    Console(emoji=False).print(
        f"wrote {command.out}: {keep.sum()} of {len(store)} episodes, those {what}; "
        f"{agree} of them are recorded as successes, {int(won.sum()) - agree} recorded successes were left out"
    )
    return 0


def _problems(console: Console, problems: Sequence[Any], kind: str = "damaged") -> int:
    for problem in problems:
        console.print(f"{kind}: {problem}", markup=False)
    return 1 if problems else 0


FILTERS = ("progress", "outcome", "all")
PARTS: dict[str, tuple[Any, Callable[[Any], int]]] = {
    "info": (DataCommand, _info),
    "check": (DataCommand, _check),
    "repair": (DataCommand, _repair),
    "progress": (ProgressCommand, _progress),
    "filter": (FilterCommand, _filter),
}
