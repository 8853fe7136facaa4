"""vgps progress score|report|check"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress import Clip
from vgps_models.progress.backends import BackendConfig
from vgps_models.progress.footage import Footage
from vgps_node.cli import choose
from vgps_node.commands.numbers import made, write_json

PARTS = ("score", "report", "check")


@dataclass(frozen=True)
class ScoreCommand(BackendConfig):
    source: tyro.conf.Positional[str]  # a video file or a bag, or DATASET:EPISODE, FOLDER:NUMBER, BAG:NUMBER
    task: str = ""  # what was to be done; empty: as the recording says
    frames: int = 30  # moments that are judged, evenly spread; 0 for all
    json: Path | None = None  # also write the curve to this file


@dataclass(frozen=True)
class ReportCommand(BackendConfig):
    source: tyro.conf.Positional[Path]  # a data set, a video, a bag, or a folder of videos or bags
    task: str = ""  # what was to be done; empty: as the recording says
    frames: int = 30  # moments of an attempt, evenly spread; 0 for all
    episodes: int = 0  # only the first so many; 0 for all
    out: Path = Path("runs/progress.html")  # page to write


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
        vgps progress score kitchen.mp4 --task "open the drawer" --backend gvl --gvl.chat.model NAME
        vgps progress score run.mcap --task "open the drawer" --cameras front=color wrist=/wrist/image_raw
        vgps progress score data/mixed:12 --backend vlmrm       near to the goal in words, by a small image-text model
        vgps progress report data/mixed --episodes 100          a page of all curves, the oddest with pictures
        vgps progress check data/held_out --json runs/progress.json    order, success detection, controls
    """
    part, rest = choose("part", PARTS, arguments, prog=prog, about=main.__doc__ or "")
    kind, run = {
        "score": (ScoreCommand, _score),
        "report": (ReportCommand, _report),
        "check": (CheckCommand, _check),
    }[part]
    return run(tyro.cli(kind, args=rest, prog=f"{prog} {part}", description=main.__doc__))


def _score(command: ScoreCommand) -> int:
    from vgps_models.progress.backends import make_estimator
    from vgps_models.progress.footage import open_footage, scene_of
    from vgps_models.progress.measures import Curve

    root, _, number = command.source.rpartition(":")
    path, index = (Path(root), int(number)) if root and number.isdigit() else (Path(command.source), None)
    footage = open_footage(path, command.task)
    if index is None and len(footage) > 1:
        raise DataError(f"{path} holds {len(footage)} attempts; say which one, as {path}:0")
    if index is not None and index >= len(footage):
        raise DataError(f"{path} has attempts 0 .. {len(footage) - 1}; there is no {index}")
    scene = scene_of(footage, index or 0, command.frames, command.cameras)
    _name_problems(footage)
    estimate = make_estimator(command).estimate(scene.clip)
    curve = Curve.of(estimate.values)
    console = Console(emoji=False)
    outcome = {True: "success", False: "failure", None: "outcome unknown"}[scene.success]
    console.print(f'{scene.name}  "{scene.clip.task}"  {outcome}', highlight=False, markup=False)
    for at, value, spread in zip(scene.seconds, estimate.values, estimate.spread, strict=True):
        told = "no answer" if np.isnan(value) else f"{value:4.0%} +- {spread:3.0%}  {'█' * round(40 * value)}"
        console.print(f"{at:6.1f} s  {told}", highlight=False)
    console.print(
        f"{estimate.source}: VOC {curve.voc:.2f}, final {curve.final:.0%}, maximum {curve.maximum:.0%}, "
        f"drawdown {curve.drawdown:.0%}; {estimate.usage}"
    )
    for failure in estimate.failures:
        console.print(f"unusable answer: {failure}", markup=False)
    known = [None if np.isnan(v) else round(float(v), 4) for v in estimate.values]
    numbers = {"name": scene.name, "task": scene.clip.task, "seconds": scene.seconds.round(3).tolist(), "values": known}
    write_json(command.json, numbers | {"source": estimate.source} | curve.to_json())
    return 1 if estimate.failed else 0


def _report(command: ReportCommand) -> int:
    from vgps_models.files import write_whole
    from vgps_models.progress import clips
    from vgps_models.progress.backends import make_estimator
    from vgps_models.progress.footage import Scene, open_footage, scene_of
    from vgps_models.progress.page import Entry, page
    from vgps_node.commands.collect import bar

    footage, estimator = open_footage(command.source, command.task), make_estimator(command)
    count = min(command.episodes or len(footage), len(footage))
    waiting: dict[str, Scene] = {}
    problems, entries = list[str](), dict[int, Entry]()

    def scenes() -> Iterator[tuple[str, Clip]]:
        for index in range(count):
            try:
                scene = scene_of(footage, index, command.frames, command.cameras)
            except (DataError, UnknownNameError) as error:
                problems.append(str(error))
                continue
            waiting[str(index)] = scene
            yield str(index), scene.clip

    with bar() as progress:
        line = progress.add_task(f"judging by {estimator.source}", total=count)
        for index, estimate in clips.each(estimator, scenes()):
            entries[int(index)] = Entry.of(waiting.pop(index), estimate)
            progress.update(line, completed=len(entries))
    if not entries:
        raise DataError(f"no attempt of {command.source} could be scored: {'; '.join(problems[-3:])}")
    threshold = getattr(estimator, "threshold", None)
    ordered = [entries[index] for index in sorted(entries)]
    problems += footage.problems
    text = page(f"Progress in {command.source}", estimator.source, ordered, threshold=threshold, problems=problems)
    write_whole(command.out, text.encode())
    noticed = f"; it lists {len(problems)} things that were noticed" if problems else ""
    print(f"wrote {command.out}: {len(ordered)} attempts{noticed}")
    return 0


def _check(command: CheckCommand) -> int:
    from vgps_models.progress import examination
    from vgps_models.progress.backends import make_estimator
    from vgps_models.progress.footage.lerobot import open_episodes
    from vgps_node.commands.collect import bar

    store, estimator = open_episodes(command.data), make_estimator(command)
    with bar() as progress:
        line = progress.add_task(f"judging by {estimator.source}", total=examination.count(store, command.controls))
        found = examination.examine(
            estimator, store, frames=command.frames, controls=command.controls, seed=command.seed,
            cameras=command.cameras, progress=lambda: progress.advance(line),
        )  # fmt: skip
    numbers = found.to_json()
    console = Console(emoji=False)
    table = Table(
        "task", "episodes", "VOC of successes", "success AUC", title=escape(f"{estimator.source} on {command.data}")
    )
    for name, task in (*numbers["tasks"].items(), ("all", numbers)):
        low, high = task["voc"]["ci95"]
        voc = f"{task['voc']['median']:.3f} ({low:.3f} to {high:.3f})"
        table.add_row(escape(name), str(task["episodes"]), voc, f"{task['detection']['auc']:.3f}")
    console.print(table)
    table = Table("control", "what", "by", "AUC", "told apart")
    for name, control in numbers["controls"].items():
        told = "yes" if control["separated"] else "NO"
        table.add_row(name, control["what"], control["measure"], f"{control['auc']:.3f}", told)
    console.print(table)
    verdict = "passes all controls" if numbers["passed"] else "does NOT pass the controls: do not rely on its numbers"
    console.print(f"{estimator.source} {verdict}; {numbers['failure_rate']:.1%} of the answers could not be used")
    write_json(command.json, made(numbers) | {"data_sha256": store.data_hash()})
    return 0 if numbers["passed"] else 1


def _name_problems(footage: Footage) -> None:
    """Say on the terminal what of a recording cannot be used, or was used although it does not quite fit."""
    for problem in footage.problems:
        Console(emoji=False, stderr=True).print(f"note: {problem}", markup=False, highlight=False, soft_wrap=True)
