"""vgps eval"""

from __future__ import annotations

import importlib
import json as json_module
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from vgps_models.errors import MissingDependencyError, UsageError, VgpsError
from vgps_models.files import write_whole
from vgps_node.conditions import require_graph
from vgps_node.eval_config import EvalConfig
from vgps_sim.requirements import exit_code
from vgps_sim.stopping import Stop, stoppable

if TYPE_CHECKING:
    from vgps_sim.results import Evaluation
    from vgps_sim.video import Video


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Success rates on the same seeds for every side, with 95 % intervals.

    bare: the policy's one sample. guided: the critic's choice among K. abstaining: the same, but the policy's one
    sample where the critic is in doubt. random, worst: a random and the critic's worst of K. filtered: a policy
    cloned from the successful episodes alone, one sample. oracle: every candidate is tried out in a copy of the world,
    the scripted expert goes on from there, and the one after which it succeeds soonest is executed; it needs the
    simulator. baseline, candidate: the policies of --baseline and --policy, each bare or, with a critic, guided.

    Exit code: 0 all was played and every requirement is met, 1 an error, 2 a wrong command, 3 a requirement failed,
    4 a requirement is undecided, 130 and 143 stopped by Ctrl-C and SIGTERM. What was played is kept in all cases.

    Examples:
        vgps eval --episodes 200 --json runs/eval.json
        vgps eval --sides bare guided random worst --k 10 --select argmax --out runs/k10
        vgps eval --policy new.safetensors --baseline old.safetensors --require "candidate-baseline>=-5 %"
        vgps eval --policy my_package.policies:make --fail-under 0.8 --junit runs/junit.xml
        vgps eval --baseline policy --critic critic --until decided --require "candidate-baseline>=0" --episodes 200
        vgps eval --sides guided guided:unseen --episodes 200
        vgps eval --ros --episodes 20 --tasks put_spoon_on_towel put_carrot_on_plate
        vgps eval --ros --clock latency --latency 0.1
        vgps eval --judge progress --episodes 40        does success seen in images agree with the truth?
    """
    config = tyro.cli(EvalConfig, args=list(arguments), prog=prog, description=main.__doc__)
    return play(config, videos=config.videos, command=shlex.join([*prog.split(), *arguments]))


def play(config: EvalConfig, *, videos: int, command: str) -> int:
    """Evaluate and write down what came of it, also when it is stopped. Returns the exit code."""
    importlib.import_module("vgps_sim.report")  # now, because after a SIGTERM there is little time
    with stoppable() as stop:
        evaluation = evaluate(config, command=command)
        with stop.held_back():
            try:
                write(evaluation, config.json, config.junit)
                report(evaluation, config.out)
            except OSError as error:  # the disk is full, or was taken away
                kept = f"; the episodes are in {config.out}" if config.out else ""
                raise VgpsError(f"the results cannot be written ({error}){kept}") from error
        if videos and config.out and not evaluation.stopped:
            film(evaluation, config.out, videos, stop)
    return stop.exit_code or (1 if evaluation.stopped else exit_code(evaluation.verdicts))


def evaluate(config: EvalConfig, *, command: str) -> Evaluation:
    """Play every side on the same seeds, in this process or over ROS."""
    requirements = config.requirements()
    config.require_playable()
    from vgps_node.judging import Onlooker
    from vgps_sim import evaluate as paired
    from vgps_sim.domain import get_domain
    from vgps_sim.world import World

    domain = get_domain(config.domain)
    conditions = config.conditions()
    if config.judge != "none":
        Onlooker(config.judge)  # refused before anything is played
    if config.ros:
        require_graph(config.graph())
    files = [path for path in (config.json, config.junit, config.out and config.out / "report.html") if path]
    if config.out in files or len({path.resolve() for path in files}) < len(files):
        raise UsageError("--json, --junit and the report in the folder of --out must be different files")
    for path in files:
        require_writable(path)
    log = (config.out or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")) / "log"
    with _source(config, log) as source:
        if source is not None:
            print(f"the graph is up in ROS_DOMAIN_ID={source.domain}; logs in {log}", file=sys.stderr)
        return paired.run(
            conditions,
            config.tasks,
            range(config.seed, config.seed + config.episodes),
            execute=config.execute,
            max_steps=config.max_steps,
            folder=config.out,
            source=source,
            world_factory=partial(World, domain=domain),
            judge_factory=None if config.judge == "none" else partial(Onlooker, config.judge),
            processes=1 if config.ros else config.processes,
            command=command,
            requirements=requirements,
            error_rate=config.error_rate if config.until == "decided" else None,
        )


def _source(config: EvalConfig, log: Path):
    if not config.ros:
        return nullcontext()
    try:
        from vgps_node.session import RosSession
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"--ros needs ROS 2, and there is no module {error.name}; `vgps doctor` says how to get it"
        ) from error
    session = RosSession(config.graph(), log)
    print("starting the ROS graph", file=sys.stderr)
    return session


def require_writable(path: Path) -> None:
    """Raise UsageError where a result could not be written, before anything is played."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file() and not path.is_dir():  # /dev/null: it is written to
            return
        with tempfile.TemporaryFile(dir=path.parent):  # tried, because rights alone do not say it of every folder
            pass
    except OSError as error:
        reason = error.strerror
    else:
        reason = "it is a folder" if path.is_dir() else ""
    if reason:
        raise UsageError(f"cannot write {path} ({reason}); give a file in a folder that you may write to")


def write(evaluation: Evaluation, json: Path | None, junit: Path | None) -> None:
    """Write the numbers and the verdicts, each file whole or not at all."""
    from vgps_sim.junit import xml

    if json is not None:
        write_whole(json, (json_module.dumps(evaluation.to_json(), indent=2) + "\n").encode())
    if junit is not None:
        write_whole(junit, xml(evaluation).encode())


def report(evaluation: Evaluation, folder: Path | None, films: Sequence[Video] = ()) -> None:
    """Say what was found; with a folder, write it down."""
    from vgps_sim import report as reporting

    if evaluation.stopped:
        print(f"stopped early: {evaluation.stopped}", file=sys.stderr)
    if folder is not None:
        print(f"report: {reporting.write(evaluation, folder, films)}")
    for verdict in evaluation.verdicts:
        print(f"{verdict.state}: {verdict.requirement.text} ({verdict.reason})")
    print(reporting.finding(evaluation))


def film(evaluation: Evaluation, folder: Path, videos: int, stop: Stop) -> None:
    """Film seeds where the outcome changed, and write the report again with them. Stopped, the first report stays."""
    from vgps_node.judging import Onlooker
    from vgps_sim import report as reporting
    from vgps_sim.video import showcase

    try:
        films = showcase(evaluation, folder / "videos", limit=videos, judge=Onlooker("progress"))
    except KeyboardInterrupt as interrupt:
        print(f"{str(interrupt) or 'interrupted'}; the report has no videos", file=sys.stderr)
        return
    with stop.held_back():
        reporting.write(evaluation, folder, films)
