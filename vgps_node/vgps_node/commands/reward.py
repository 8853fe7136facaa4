"""vgps reward learn|check|relabel|compare"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import Progress, TaskID

from vgps_node.cli import choose
from vgps_node.commands.collect import bar

PARTS = ("learn", "check", "relabel", "compare")


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Rewards over points in space, learned by watching a person (AIRL), and whether they can be trusted.

    Examples:
        vgps reward learn --task sort_onions --out runs/sort_onions.safetensors
        vgps reward check runs/sort_onions.safetensors --json runs/reward-check.json
        vgps reward relabel data/onions --rewards runs/sort_onions.safetensors
        vgps reward compare data/onions --rewards success runs/sort_onions.safetensors --json runs/compare.json
        vgps train critic --data data/onions --rewards data/onions.reward-irl.parquet --policy runs/policy.safetensors
    """
    part, rest = choose("part", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    return {"learn": _learn, "check": _check, "relabel": _relabel, "compare": _compare}[part](rest, f"{prog} {part}")


def _learn(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import LearnReward, learn_reward

    config = tyro.cli(LearnReward, args=list(arguments), prog=prog, description=LearnReward.__doc__)
    with bar() as progress:
        out = learn_reward(config, _lines(progress))
    Console().print(f"wrote {out}", markup=False, highlight=False)
    return 0


def _check(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import CheckReward, check_reward

    @dataclass(frozen=True)
    class Check:
        reward: Annotated[Path, tyro.conf.Positional]  # what `vgps reward learn` wrote
        episodes: int = 160  # of a person and of the robot, each
        seed: int = 1_000_000  # of the first
        failures: float = 0.5  # share of the person's performances that is meant to fail
        json: Path | None = None  # file to write the numbers to

    asked = tyro.cli(Check, args=list(arguments), prog=prog, description=CheckReward.__doc__)
    with bar() as progress:
        found = check_reward(CheckReward(asked.reward, asked.episodes, asked.seed, asked.failures), _lines(progress))
    _tell(found, asked.json)
    return 0


def _relabel(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import Relabel, relabel

    @dataclass(frozen=True)
    class Asked:
        data: Annotated[Path, tyro.conf.Positional]  # data set of `vgps collect`
        rewards: tuple[Path, ...]  # of `vgps reward learn`, one for every task in the data
        out: Path | None = None  # parquet file to write; none: beside the data set

    asked = tyro.cli(Asked, args=list(arguments), prog=prog, description=Relabel.__doc__)
    with bar() as progress:
        found = relabel(Relabel(asked.data, asked.rewards, asked.out), _lines(progress))
    print(json_module.dumps(found, indent=2))
    return 0


def _compare(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.auditing import CompareRewards, compare_rewards

    @dataclass(frozen=True)
    class Asked:
        data: Annotated[Path, tyro.conf.Positional]  # data set of `vgps collect`
        rewards: tuple[str, ...]  # success, random, files of progress or rewards of this data, or learned rewards
        gamma: float = 0.98  # discount a step
        json: Path | None = None  # file to write the numbers to

    asked = tyro.cli(Asked, args=list(arguments), prog=prog, description=CompareRewards.__doc__)
    _tell(compare_rewards(CompareRewards(asked.data, asked.rewards, asked.gamma)), asked.json)
    return 0


def _tell(found: dict[str, Any], out: Path | None) -> None:
    """Print what was measured, and keep it."""
    from vgps_models.training import provenance

    text = json_module.dumps({**found, "command": provenance.command(), "git": provenance.git_revision()}, indent=2)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
    print(text)


def _lines(progress: Progress) -> Callable[[str, int, int], None]:
    """One bar for each thing that is done."""
    known: dict[str, TaskID] = {}

    def hear(what: str, done: int, of: int) -> None:
        if what not in known:
            known[what] = progress.add_task(what, total=of)
        progress.update(known[what], completed=done)

    return hear
