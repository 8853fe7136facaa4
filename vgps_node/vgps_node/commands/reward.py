"""vgps reward learn|check|seen|relabel|compare|view"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tyro
from rich.console import Console
from rich.progress import Progress, TaskID

from vgps_node.cli import choose
from vgps_node.commands.collect import bar
from vgps_node.commands.numbers import Measured, tell

PARTS = ("learn", "check", "seen", "relabel", "compare", "view")


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Rewards over points in space, learned by watching a person (AIRL or perceptual), and whether they can be trusted.

    Examples:
        vgps reward learn --task sort_onions --out runs/sort_onions.safetensors
        vgps reward learn --task sort_onions --method perceptual --out runs/sort_onions_perceptual.safetensors
        vgps reward check runs/sort_onions.safetensors --json runs/reward-check.json
        vgps reward seen runs/sort_onions.safetensors --who robot person --json runs/reward-seen.json
        vgps reward relabel data/onions --rewards runs/sort_onions.safetensors
        vgps reward compare data/onions --rewards success runs/sort_onions.safetensors --json runs/compare.json
        vgps reward view data/film --reward runs/sort_onions.safetensors --out runs/reward.mp4
        vgps train critic --data data/onions --rewards data/onions.reward-irl.parquet --policy runs/policy.safetensors
    """
    part, rest = choose("part", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    parts = {"learn": _learn, "check": _check, "seen": _seen, "relabel": _relabel, "compare": _compare, "view": _view}
    return parts[part](rest, f"{prog} {part}")


def _learn(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import LearnReward, learn_reward

    config = tyro.cli(LearnReward, args=list(arguments), prog=prog, description=LearnReward.__doc__)
    with bar() as progress:
        out = learn_reward(config, _lines(progress))
    Console(emoji=False).print(f"wrote {out}", markup=False, highlight=False)
    return 0


def _check(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import CheckReward, check_reward

    asked = tyro.cli(Measured[CheckReward], args=list(arguments), prog=prog, description=CheckReward.__doc__)
    with bar() as progress:
        found = check_reward(asked.settings, _lines(progress))
    tell(found, asked.json)
    return 0


def _seen(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.seen_check import SeenReward, check_seen

    asked = tyro.cli(Measured[SeenReward], args=list(arguments), prog=prog, description=SeenReward.__doc__)
    with bar() as progress:
        found = check_seen(asked.settings, _lines(progress))
    tell(found, asked.json)
    return 0


def _relabel(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.rewarding import Relabel, relabel

    asked = tyro.cli(Measured[Relabel], args=list(arguments), prog=prog, description=Relabel.__doc__)
    with bar() as progress:
        found = relabel(asked.settings, _lines(progress))
    tell(found, asked.json)
    return 0


def _compare(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.auditing import CompareRewards, compare_rewards

    asked = tyro.cli(Measured[CompareRewards], args=list(arguments), prog=prog, description=CompareRewards.__doc__)
    tell(compare_rewards(asked.settings), asked.json)
    return 0


def _view(arguments: Sequence[str], prog: str) -> int:
    from vgps_node.reward_view import ViewReward, view_reward

    asked = tyro.cli(Measured[ViewReward], args=list(arguments), prog=prog, description=ViewReward.__doc__)
    with bar() as progress:
        line = progress.add_task("watching")
        found = view_reward(asked.settings, lambda done, of: progress.update(line, completed=done, total=of))
    tell(found, asked.json)
    return 0


def _lines(progress: Progress) -> Callable[[str, int, int], None]:
    """One bar for each thing that is done."""
    known: dict[str, TaskID] = {}

    def hear(what: str, done: int, of: int) -> None:
        if what not in known:
            known[what] = progress.add_task(what, total=of)
        progress.update(known[what], completed=done)

    return hear
