"""vgps data info|check|repair"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from vgps_node.cli import choose


@dataclass(frozen=True)
class DataCommand:
    root: tyro.conf.Positional[Path]  # folder of the data set
    json: Path | None = None  # also write what was found to this file


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Look into a data set.

    Examples:
        vgps data info data/mixed      counts, success rates, flaws, the data hash
        vgps data check data/mixed     verify every file and episode; exit code 1 when something is damaged
        vgps data repair data/mixed    keep what is sound, set the rest aside
    """
    what, rest = choose("data command", ["info", "check", "repair"], arguments, prog=prog, about=main.__doc__ or "")
    command = tyro.cli(DataCommand, args=rest, prog=f"{prog} {what}")
    return {"info": _info, "check": _check, "repair": _repair}[what](command)


def _info(command: DataCommand) -> int:
    from vgps_models.data.check import info

    found = info(command.root)
    _write(command.json, found.to_json())
    console = Console()
    console.print(
        f"{command.root}: {found.episodes} episodes, {found.frames} frames at {found.fps} Hz, "
        f"{found.success_rate:.0%} successes, {found.megabytes} MB"
    )
    table = Table("task", "episodes", "successes")
    for name, task in found.tasks.items():
        table.add_row(name, str(task.episodes), f"{task.rate:.0%}")
    console.print(table)
    cameras = ", ".join(f"{name} {width}x{height}" for name, (height, width) in found.cameras.items())
    console.print(f"cameras    {cameras}")
    console.print(f"flaws      {', '.join(f'{name} {n}' for name, n in found.flaws.items())}")
    console.print(f"seeds      {found.seeds[0]} .. {found.seeds[1]}")
    console.print(f"data hash  {found.data_hash}")
    return _problems(console, found.problems)


def _check(command: DataCommand) -> int:
    from vgps_models.data.check import check

    report = check(command.root)
    _write(command.json, report.to_json())
    console = Console()
    console.print(f"{report.root}: {report.episodes} sound episodes, {report.waiting} more wait to be merged")
    return _problems(console, report.problems)


def _repair(command: DataCommand) -> int:
    from vgps_models.data.check import repair

    merged = repair(command.root)
    console = Console()
    console.print(f"{command.root}: {merged.episodes} episodes kept")
    _problems(console, merged.problems)
    return 0


def _problems(console: Console, problems: Sequence[Any]) -> int:
    for problem in problems:
        console.print(f"damaged: {problem}", markup=False)
    return 1 if problems else 0


def _write(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json_module.dumps(content, indent=2) + "\n")
