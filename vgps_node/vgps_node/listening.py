"""Ask a critic about the simulator's tasks in words that it has and has not heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgps_sim.tasks import TASKS


@dataclass(frozen=True)
class ListenBench:
    """How often a critic prefers the right instruction to one that names another object of the scene.

    At the steps of the episodes that its training held out; canonical, seen and unseen wording of the right one,
    canonical and unseen wording of the wrong one.
    """

    critic: str = "critic"  # checkpoint: a shipped name or a path
    data: Path = Path("data/mixed")  # the episodes that it learned from
    every: int = 3  # ask at each third step of an episode; 1 for all of them


def bench_listen(config: ListenBench) -> dict[str, Any]:
    """See `vgps_models.training.listening.preference`."""
    from vgps_models import checkpoint
    from vgps_models.training.listening import preference

    of = {task.object: task for task in TASKS.values()}
    right = {t.id: {"canonical": (t.instruction,), "seen": t.paraphrases, "unseen": t.unseen} for t in TASKS.values()}
    wrong = {t.id: (of[t.distractor].instruction, *of[t.distractor].unseen) for t in TASKS.values()}
    card = checkpoint.read_card(config.critic)
    return {
        "preferred": preference(config.critic, config.data, right, wrong, every=config.every),
        "critic_sha256": card.weights_sha256[:16],
        "every": config.every,
    }
