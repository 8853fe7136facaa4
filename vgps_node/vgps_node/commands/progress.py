"""vgps progress score|check"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from vgps_models.errors import DataError
from vgps_models.progress.backends import BackendConfig
from vgps_node.cli import choose

PARTS = ("score", "check")


@dataclass(frozen=True)
class ScoreCommand(BackendConfig):
    source: tyro.conf.Positional[str]  # DATASET:EPISODE, the number as `vgps data info` counts
    task: str = ""  # what was to be done; empty: as the episode was told
    frames: int = 30  # moments that are judged, evenly spread; 0 for all
    json: Path | None = None  # also write the curve to this file


@dataclass(frozen=True)
class CheckCommand(BackendConfig):
    data: tyro.conf.Positional[Path]  # data set with known outcomes, unseen by the estimator
    frames: int = 30  # moments of an episode, evenly spread; 0 for all
    controls: int = 40  # successes that each control is made of
    seed: int = 0  # of the choice of controls
    json: Path | None = None  # also write everything to this file


def main(arguments: Sequence[str], *, prog: str) -> int:
    """How far along is it? And can the estimator be trusted to say so?

    Examples:
        vgps progress score data/mixed:12                       the curve of one episode
        vgps progress score data/mixed:12 --task "put the carrot on the plate"
        vgps progress score data/mixed:12 --backend gvl --gvl.chat.model NAME --gvl.chat.base-url URL
        vgps progress check data/held_out --json runs/progress.json    order, success detection, controls
    """
    part, rest = choose("part", PARTS, arguments, prog=prog, about=main.__doc__ or "")
    kind = {"score": ScoreCommand, "check": CheckCommand}[part]
    command = tyro.cli(kind, args=rest, prog=f"{prog} {part}", description=main.__doc__)
    return _score(command) if isinstance(command, ScoreCommand) else _check(command)


def _score(command: ScoreCommand) -> int:
    from vgps_models.data import EpisodeStore
    from vgps_models.progress import clips
    from vgps_models.progress.backends import make_estimator
    from vgps_models.progress.estimate import Clip, spaced
    from vgps_models.progress.measures import Curve

    root, _, number = command.source.rpartition(":")
    if not root or not number.isdigit():
        raise DataError(f"'{command.source}' names no episode; write it as DATASET:EPISODE, for example data/mixed:12")
    store, episode = EpisodeStore(root), int(number)
    if episode >= len(store):
        raise DataError(f"{root} has episodes 0 .. {len(store) - 1}; there is no {episode}")
    record = store.records[episode]
    clip = clips.of_episode(store, episode, command.frames)
    clip = Clip(clip.views, command.task or clip.task)
    estimate = make_estimator(command).estimate(clip)
    steps = spaced(record.length, command.frames or record.length)
    curve = Curve.of(estimate.values)
    console = Console()
    console.print(f'{record.name}  "{clip.task}"  {"success" if record.success else "failure"}', highlight=False)
    for step, value, spread in zip(steps, estimate.values, estimate.spread, strict=True):
        told = "no answer" if np.isnan(value) else f"{value:4.0%} +- {spread:3.0%}  {'█' * round(40 * value)}"
        console.print(f"{step:4d}  {told}", highlight=False)
    console.print(
        f"{estimate.source}: VOC {curve.voc:.2f}, final {curve.final:.0%}, maximum {curve.maximum:.0%}, "
        f"drawdown {curve.drawdown:.0%}; {estimate.usage.requests} requests, {estimate.usage.cost_usd:.4f} USD"
    )
    for failure in estimate.failures:
        console.print(f"unusable answer: {failure}", markup=False)
    known = [None if np.isnan(v) else round(float(v), 4) for v in estimate.values]
    numbers = {"episode": record.name, "task": clip.task, "steps": steps.tolist(), "values": known}
    _write(command.json, numbers | {"source": estimate.source} | curve.to_json())
    return 1 if estimate.failed else 0


def _check(command: CheckCommand) -> int:
    from vgps_models.data import EpisodeStore
    from vgps_models.progress import examination
    from vgps_models.progress.backends import make_estimator
    from vgps_models.training import provenance
    from vgps_node.commands.collect import bar

    store, estimator = EpisodeStore(command.data), make_estimator(command)
    with bar() as progress:
        line = progress.add_task(f"judging by {estimator.source}", total=examination.count(store, command.controls))
        found = examination.examine(
            estimator, store, frames=command.frames, controls=command.controls, seed=command.seed,
            progress=lambda: progress.advance(line),
        )  # fmt: skip
    numbers = found.to_json()
    console = Console()
    table = Table("task", "episodes", "VOC of successes", "success AUC", title=f"{estimator.source} on {command.data}")
    for name, task in (*numbers["tasks"].items(), ("all", numbers)):
        low, high = task["voc"]["ci95"]
        voc = f"{task['voc']['median']:.3f} ({low:.3f} to {high:.3f})"
        table.add_row(name, str(task["episodes"]), voc, f"{task['detection']['auc']:.3f}")
    console.print(table)
    table = Table("control", "what", "by", "AUC", "told apart")
    for name, control in numbers["controls"].items():
        told = "yes" if control["separated"] else "NO"
        table.add_row(name, control["what"], control["measure"], f"{control['auc']:.3f}", told)
    console.print(table)
    verdict = "passes all controls" if numbers["passed"] else "does NOT pass the controls: do not rely on its numbers"
    console.print(f"{estimator.source} {verdict}; {numbers['failure_rate']:.1%} of the answers could not be used")
    made = {"command": provenance.command(), "git": provenance.git_revision(), "data_sha256": store.data_hash()}
    _write(command.json, numbers | made)
    return 0 if numbers["passed"] else 1


def _write(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json_module.dumps(content, indent=1) + "\n")
