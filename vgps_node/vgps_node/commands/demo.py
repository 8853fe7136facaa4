"""vgps demo: the main job"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import tyro

from vgps_node.commands.evaluation import play
from vgps_node.eval_config import DEFAULTS, TASKS, Choosing, EvalConfig
from vgps_sim.results import REPORT_SEED


@dataclass(frozen=True)
class DemoConfig:
    episodes: int = 24  # a side, spread evenly over the tasks
    tasks: tuple[str, ...] = TASKS
    seed: int = REPORT_SEED  # the first of the paired seeds
    k: int = DEFAULTS.k  # chunks that the critic chooses from
    selection: tyro.conf.OmitArgPrefixes[Choosing] = field(default_factory=Choosing)  # how one is chosen
    policy: str = DEFAULTS.policy  # checkpoint: a shipped name or a path
    critic: str = DEFAULTS.critic  # checkpoint
    out: Path | None = None  # folder for report, videos and logs; runs/<time> when it is not given


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Bare against guided policy on the same seeds over a ROS 2 graph, with a report.

    Examples:
        vgps demo
        vgps demo --episodes 40 --k 50
    """
    config = tyro.cli(DemoConfig, args=list(arguments), prog=prog, description=main.__doc__)
    folder = config.out or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    settings = EvalConfig(
        policy=config.policy,
        critic=config.critic,
        k=config.k,
        selection=config.selection,
        tasks=config.tasks,
        episodes=config.episodes,
        seed=config.seed,
        ros=True,
        out=folder,
    )
    return play(settings, videos=2, command=shlex.join([*prog.split(), *arguments]))
