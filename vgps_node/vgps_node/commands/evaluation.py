"""vgps eval"""

from __future__ import annotations

import json as json_module
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.selection import Selection
from vgps_node.bringup import GraphOptions
from vgps_node.conditions import Steered
from vgps_node.wording import in_words
from vgps_sim.results import REPORT_SEED, Condition

if TYPE_CHECKING:
    from vgps_sim.results import Evaluation

DEFAULTS = GraphOptions()
SIDES = ("bare", "guided", "abstaining", "random", "worst", "filtered", "oracle")
TASKS = ("put_spoon_on_towel", "put_carrot_on_plate", "stack_green_block_on_yellow_block", "put_eggplant_in_basket")


@dataclass(frozen=True)
class Choosing(Selection):
    """A selection whose rule is also called --select on the command line."""

    rule: Annotated[str, tyro.conf.arg(aliases=("--select",))] = DEFAULTS.selection.rule  # how the guided side chooses


@dataclass(frozen=True)
class EvalConfig:
    policy: str = DEFAULTS.policy  # checkpoint: a shipped name or a path
    critic: str = DEFAULTS.critic  # checkpoint, or "none" to evaluate without one
    k: int = DEFAULTS.k  # chunks to choose from on the guided sides
    selection: tyro.conf.OmitArgPrefixes[Choosing] = field(default_factory=Choosing)  # how one is chosen
    trust: Path | None = None  # file of `vgps train trust`, for the side "abstaining"
    # Of bare, guided, abstaining, random, worst, filtered, oracle; the first is the baseline. With ":seen" or ":unseen"
    # the task is told in a paraphrase that training has or has not heard.
    sides: tuple[str, ...] = ("bare", "guided")
    filtered: str = "policy_success_only"  # checkpoint of the side "filtered": cloned from successes alone
    tasks: tuple[str, ...] = TASKS
    episodes: int = 40  # paired seeds in all, spread evenly over the tasks
    seed: int = REPORT_SEED  # the first of them; below 1000000 are for tuning
    domain: str = "target"  # how scenes look: target, broad or knocked (cameras moved); others need no --ros
    execute: int = DEFAULTS.execute  # control steps of a chunk before the next one
    max_steps: int = DEFAULTS.max_steps  # control steps after which an episode has failed
    judge: str = "none"  # estimator that also judges the last images: "progress", "imagetext", a path, or "none"
    processes: int = 2  # worker processes; one when it goes over ROS
    ros: bool = False  # play over the ROS graph instead of in this process
    clock: str = DEFAULTS.clock  # lockstep, latency or realtime; others than lockstep need --ros
    latency: float = DEFAULTS.latency  # [s] before a command takes effect, for clock latency
    json: Path | None = None  # file to write the numbers to
    out: Path | None = None  # folder for episodes, report and videos; run again, it goes on where it stopped
    videos: int = 0  # how many seeds to film for the report, needs --out

    def conditions(self) -> list[Condition]:
        """The sides, each refused when its checkpoints do not fit."""
        from vgps_sim.oracle import foreseen

        sides: list[Condition] = []
        for spoken in self.sides:
            name, _, wording = spoken.partition(":")
            condition = in_words(self._steered(name).condition(name), wording or "canonical")
            sides.append(self._seen(foreseen(condition) if name == "oracle" else condition))
        return sides

    def _steered(self, name: str) -> Steered:
        if name not in SIDES:
            raise UnknownNameError("side", name, SIDES)
        if name in ("bare", "filtered"):
            return Steered(self.policy if name == "bare" else self.filtered, None, 1, Selection("first"))
        if name in ("random", "oracle"):  # of what the oracle tries out, the policy's own first chunk comes first
            return Steered(self.policy, None, self.k, Selection("random" if name == "random" else "first"))
        if self.critic == "none":
            raise VgpsError(f"the side '{name}' needs a critic; give --critic, or --sides bare random")
        if name == "worst":
            return Steered(self.policy, self.critic, self.k, Selection("worst"))
        guided = Steered(self.policy, self.critic, self.k, self.selection)
        if name == "guided":
            return guided
        if self.trust is None:
            raise VgpsError("the side 'abstaining' needs --trust FILE; `vgps train trust` makes one")
        return guided.trusting(self.trust)

    def _seen(self, side: Condition) -> Condition:
        """Results of another domain are other results."""
        return side if self.domain == "target" else replace(side, settings={**side.settings, "domain": self.domain})

    def graph(self) -> GraphOptions:
        """What the graph starts with; every episode then sets its own side."""
        return GraphOptions(
            policy=self.policy,
            critic=self.critic,
            k=self.k,
            selection=Selection("first") if self.critic == "none" else self.selection,
            execute=self.execute,
            max_steps=self.max_steps,
            clock=self.clock,
            latency=self.latency,
        )


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Success rates on the same seeds for every side, with 95 % intervals.

    bare: the policy's one sample. guided: the critic's choice among K. abstaining: the same, but the policy's one
    sample where the critic is in doubt. random, worst: a random and the
    critic's worst of K. filtered: a policy cloned from the successful episodes alone, one sample. oracle: the
    best of K by trial in a copy of the world, an upper bound that needs the simulator.

    Examples:
        vgps eval --episodes 200 --json runs/eval.json
        vgps eval --sides bare guided random worst --k 10 --select argmax --out runs/k10
        vgps eval --sides guided guided:unseen --episodes 200
        vgps eval --ros --episodes 20 --tasks put_spoon_on_towel put_carrot_on_plate
        vgps eval --ros --clock latency --latency 0.1
        vgps eval --judge progress --episodes 40        does success seen in images agree with the truth?
    """
    config = tyro.cli(EvalConfig, args=list(arguments), prog=prog, description=main.__doc__)
    evaluation = evaluate(config, command=shlex.join([*prog.split(), *arguments]))
    if config.json is not None:
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json_module.dumps(evaluation.to_json(), indent=2) + "\n", encoding="utf-8")
    report(evaluation, config.out, videos=config.videos)
    return 1 if evaluation.stopped else 0


def evaluate(config: EvalConfig, *, command: str) -> Evaluation:
    """Play every side on the same seeds, in this process or over ROS."""
    from vgps_node.judging import Onlooker
    from vgps_sim import evaluate as paired
    from vgps_sim.domain import get_domain
    from vgps_sim.world import World

    domain = get_domain(config.domain)
    for task in config.tasks:
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
    if config.clock != "lockstep" and not config.ros:
        raise VgpsError(f"the clock '{config.clock}' exists on the ROS graph alone; add --ros")
    if config.ros and any(":" in side for side in config.sides):
        raise VgpsError("over ROS the world's own sentence is what the nodes hear; paraphrases need no --ros")
    if config.domain != "target" and (config.ros or config.videos):
        raise VgpsError(
            f"the domain '{config.domain}' is played in this process and not filmed; leave --ros and --videos"
        )
    if config.ros and any(side.startswith("oracle") for side in config.sides):
        raise VgpsError("the oracle looks into the simulator, which the nodes of the graph do not; leave out --ros")
    if config.ros and config.judge != "none":
        raise VgpsError("a judge of images sits beside the simulator in this process; leave out --ros or --judge")
    if config.judge != "none":
        Onlooker(config.judge)  # refused before anything is played
    conditions = config.conditions()
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
        )


def _source(config: EvalConfig, log: Path):
    if not config.ros:
        return nullcontext()
    from vgps_node.session import RosSession

    session = RosSession(config.graph(), log)
    print("starting the ROS graph", file=sys.stderr)
    return session


def report(evaluation: Evaluation, folder: Path | None, *, videos: int) -> None:
    """Say what was found; with a folder, write it down."""
    from vgps_sim import report as reporting

    if evaluation.stopped:
        print(f"stopped early: {evaluation.stopped}", file=sys.stderr)
    if folder is not None:
        films = []
        if videos and not evaluation.stopped:
            from vgps_node.judging import Onlooker
            from vgps_sim.video import showcase

            films = showcase(evaluation, folder / "videos", limit=videos, judge=Onlooker("progress"))
        print(f"report: {reporting.write(evaluation, folder, films)}")
    print(reporting.finding(evaluation))
