"""How often the robot succeeds at what a person has shown it once: `vgps bench replay`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.progress import track

from vgps_sim.collect import demonstrate
from vgps_sim.human.demonstrations import FAILURES
from vgps_sim.statistics import wilson
from vgps_sim.tasks import ALL_TASKS, get_task
from vgps_sim.world import World

SIZE = 16  # [px] of pictures that nobody looks at


@dataclass(frozen=True)
class ReplayBench:
    """`vgps bench replay`"""

    tasks: tuple[str, ...] = tuple(ALL_TASKS)
    episodes: int = 50  # of each task, every one another person on another table
    seed: int = 1_000_000  # of the first

    def __post_init__(self) -> None:
        for task in self.tasks:
            get_task(task)


def bench_replay(config: ReplayBench | None = None) -> dict[str, Any]:
    """Success of each task, with Wilson's 95 % interval, and the median of the control steps that it took.

    flawless: of the performances in which nothing was dropped, missed or put down on the way.
    """
    config = config or ReplayBench()
    told = {task: _played(task, config) for task in config.tasks}
    return {"tasks": told, "demonstrations": f"one each, {FAILURES['expert']:.0%} of them meant to fail"}


def _played(task: str, config: ReplayBench) -> dict[str, Any]:
    world = World(task, image_size=SIZE)
    try:
        seeds = range(config.seed, config.seed + config.episodes)
        made = [demonstrate(world, seed, "expert", by="person") for seed in track(seeds, description=task)]
    finally:
        world.close()
    steps = sorted(len(episode.actions) for episode in made if episode.success)
    return _share([e.success for e in made]) | {
        "flawless": _share([e.success for e in made if not e.flaw]),
        "steps_median": steps[len(steps) // 2] if steps else None,
    }


def _share(won: list[bool]) -> dict[str, Any]:
    low, high = wilson(sum(won), len(won)) if won else (0.0, 1.0)
    rate = round(sum(won) / len(won), 3) if won else None
    return {"successes": sum(won), "episodes": len(won), "rate": rate, "ci95": [round(low, 3), round(high, 3)]}
