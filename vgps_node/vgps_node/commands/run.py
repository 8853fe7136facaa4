"""vgps run"""

from __future__ import annotations

import json as json_module
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True)
class RunCommand:
    instruction: tyro.conf.Positional[str] = ""  # what to do, in words; empty: the sentence of --task
    task: str = ""  # task of the simulator; empty: found by its words
    seed: int = 0  # of the simulated scene
    time_limit: float = 0.0  # [s] of the graph's own time; 0: as the graph is set
    success_progress: float = 0.0  # progress from which it is done where no simulator knows; 0: as the estimator says
    wait: float = 10.0  # [s] that a graph is looked for
    json: Path | None = None  # also write the result, and every estimate on the way, to this file


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Let the running graph carry out a task and show how far it is. Ctrl-C cancels it, and the arm holds.

    So does closing the terminal; `vgps cancel` does it from another one. The graph is started by `vgps up sim`, in
    another terminal and under the same ROS_DOMAIN_ID. The exit code is 0 for success, 1 for any other end and 130
    after Ctrl-C. `vgps tasks` lists what can be asked for.

    Examples:
        vgps run "put the spoon on the towel"
        vgps run "put the spoon on the towel" --seed 7 --time-limit 20 --json runs/spoon.json
        vgps run "clear the spoon off the table" --task put_spoon_on_towel
        vgps run --task put_carrot_on_plate
    """
    command = tyro.cli(RunCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from vgps_msgs.action import RunTask
    from vgps_node.graph_client import interruptible
    from vgps_node.task_client import TaskClient

    goal = RunTask.Goal(
        instruction=command.instruction, task=command.task, seed=command.seed, time_limit=command.time_limit,
        success_progress=command.success_progress,
    )  # fmt: skip
    interruptible()
    estimates: list[dict[str, Any]] = []
    with TaskClient() as client:
        limit = client.connect(command.wait)
        began = time.monotonic()
        with _bar() as bar:
            line = bar.add_task(command.instruction or command.task, total=None, estimate="", steps=0)

            def show(feedback: RunTask.Feedback) -> None:
                text = "no estimate of progress"
                if not math.isnan(feedback.progress):
                    text = f"{feedback.progress:4.0%} ± {feedback.spread:3.0%}  {feedback.source}"
                    bar.update(line, total=1.0, completed=feedback.progress)
                    estimates.append(
                        {
                            "steps": feedback.steps, "progress": round(feedback.progress, 4),
                            "spread": round(feedback.spread, 4), "source": feedback.source,
                        }
                    )  # fmt: skip
                bar.update(line, estimate=text, steps=feedback.steps)

            result = client.run(goal, show)
        seconds = time.monotonic() - began
        interrupted = client.interrupted
    progress = None if math.isnan(result.progress) else round(result.progress, 4)
    if command.json is not None:
        asked = {name: getattr(command, name) for name in ("instruction", "task", "seed", "success_progress")}
        answer = {"outcome": result.outcome, "success": result.success, "message": result.message}
        counts = {"progress": progress, "steps": result.steps, "seconds": round(seconds, 3)}
        asked["time_limit"] = command.time_limit or limit
        command.json.parent.mkdir(parents=True, exist_ok=True)
        command.json.write_text(
            json_module.dumps(asked | answer | counts | {"estimates": estimates}, indent=1) + "\n", encoding="utf-8"
        )
    looks = "" if progress is None else f", progress {progress:.0%}"
    numbers = f" ({result.steps} control steps, {seconds:.1f} s{looks})" if result.outcome != "refused" else ""
    print(f"{result.outcome}: {result.message}{numbers}")
    return 0 if result.success else 130 if interrupted else 1


def _bar() -> Progress:
    """On stderr, so that stdout holds the result alone."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[estimate]}", markup=False),
        TextColumn("step {task.fields[steps]}"),
        TimeElapsedColumn(),
        console=Console(emoji=False, stderr=True),
    )
