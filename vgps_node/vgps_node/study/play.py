"""Make what is missing, play what was not played."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from vgps_models.errors import VgpsError
from vgps_node.commands.collect import bar
from vgps_node.study import record
from vgps_node.study.experiment import Experiment
from vgps_node.study.recipe import Recipe
from vgps_node.wording import in_words
from vgps_sim.results import REPORT_SEED, Condition, Evaluation


def make(stages: Sequence[Sequence[Recipe]], log_folder: Path, *, jobs: int = 2) -> None:
    """Run the commands whose result is missing, stage after stage; each resumes what was interrupted.

    jobs: commands at a time within a stage, one thread each: small networks gain little from a second one.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    missing = [[r for r in stage if not r.made] for stage in stages]
    with bar() as progress:
        line = progress.add_task("making", total=sum(map(len, missing)))
        for stage in missing:
            with ThreadPoolExecutor(jobs) as pool:
                try:
                    for done in as_completed([pool.submit(_make, r, log_folder, jobs) for r in stage]):
                        progress.update(line, advance=1, description=f"making, last {done.result().name}")
                finally:
                    pool.shutdown(wait=False, cancel_futures=True)  # after an error or Ctrl-C nothing more is begun


def _make(recipe: Recipe, log_folder: Path, jobs: int) -> Path:
    words = [sys.executable, "-m", "vgps_node.cli", *recipe.command]
    if jobs > 1 and recipe.arguments[0] == "train":
        words += ["--threads", "1"]
    log = log_folder / f"{recipe.out.stem}.log"
    with log.open("w", encoding="utf-8") as out:
        code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    if code:
        end = "\n".join(log.read_text(errors="replace", encoding="utf-8").splitlines()[-8:])
        raise VgpsError(f"vgps {shlex.join(recipe.command)} ended with exit code {code}; the end of {log}:\n{end}")
    return recipe.out


def conditions(experiment: Experiment) -> list[Condition]:
    """The sides, each refused when its checkpoints do not fit."""
    from vgps_sim.oracle import foreseen

    sides = []
    for name, steered in experiment.sides.items():
        if trust := (experiment.trust or {}).get(name):
            steered = steered.trusting(trust)
        side = steered.condition(name)
        if name in experiment.oracle:
            side = foreseen(side)
        if wording := (experiment.wording or {}).get(name):
            told = in_words(side, wording)
            side = Condition(name, told.factory, told.settings)
        sides.append(side)
    return sides


def play(
    experiment: Experiment, folder: Path, runs: Path, *, seed: int = REPORT_SEED, episodes: int = 0, processes: int = 2
) -> Evaluation:
    """Play one experiment and write its record into `folder`, unless it was cut short.

    runs: where episodes are kept, so that what was played is never played again.
    episodes: fewer or more paired seeds than the experiment's own; 0 for its own.
    """
    from vgps_sim import evaluate
    from vgps_sim.domain import get_domain
    from vgps_sim.tasks import TASKS
    from vgps_sim.world import World

    count = episodes or experiment.episodes
    print(f"{experiment.name}: {experiment.question}", file=sys.stderr)
    evaluation = evaluate.run(
        conditions(experiment),
        list(TASKS),
        range(seed, seed + count),
        execute=experiment.execute,
        folder=runs / experiment.name,
        world_factory=partial(World, domain=get_domain(experiment.domain)),
        processes=processes,
        command=f"vgps study play {experiment.name}",
    )
    if evaluation.stopped:
        raise VgpsError(f"{experiment.name} stopped: {evaluation.stopped}; the same command goes on from here")
    record.write(evaluation, experiment.name, experiment.question, folder)
    return evaluation
