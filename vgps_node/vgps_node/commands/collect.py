"""vgps collect, vgps scenes, vgps poses"""

from __future__ import annotations

from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def bar() -> Progress:
    """A progress bar on stderr, so that stdout stays clean."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(emoji=False, stderr=True),
    )


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Record demonstrations of mixed or expert quality as a LeRobot v3 data set.

    A run that was stopped goes on where it stopped.

    Examples:
        vgps collect --out data/mixed --episodes 1000 --quality mixed
        vgps collect --out data/expert --episodes 100 --quality expert --tasks put_spoon_on_towel
        vgps collect --out data/shown --by person --quality expert --episodes 240 --seed 60000
    """
    from vgps_sim.collect import CollectConfig, collect

    config = tyro.cli(CollectConfig, args=list(arguments), prog=prog, description=main.__doc__)
    succeeded = recorded = 0
    with bar() as progress:
        line = progress.add_task("episodes", total=config.episodes)

        def hear(name: str, success: bool) -> None:
            nonlocal succeeded, recorded
            recorded, succeeded = recorded + 1, succeeded + success
            progress.update(line, advance=1, description=f"episodes, {succeeded / recorded:.0%} succeed")

        done = collect(config, hear)
    console = Console(emoji=False)
    for problem in done.problems:
        console.print(f"set aside: {problem}", markup=False)
    found = f", {done.found} were there already" if done.found else ""
    rate = f", {done.successes / done.recorded:.0%} of them successes" if done.recorded else ""
    console.print(f"{config.out}: {done.recorded} episodes recorded{rate}{found}", markup=False, highlight=False)
    return 0


def scenes(arguments: Sequence[str], *, prog: str) -> int:
    """Make random scenes with labels, from which the image encoder learns where things are.

    Examples:
        vgps scenes --out data/scenes --count 24000
    """
    from vgps_sim.scenes import ScenesConfig, collect_scenes

    config = tyro.cli(ScenesConfig, args=list(arguments), prog=prog, description=scenes.__doc__)
    with bar() as progress:
        line = progress.add_task("scenes", total=config.count)
        folder = collect_scenes(config, lambda done: progress.update(line, advance=done))
    print(f"{folder}: {config.count} scenes")
    return 0


def poses(arguments: Sequence[str], *, prog: str) -> int:
    """Make labelled pictures of a person or the robot over a table, from which a finder of joints and things learns.

    Examples:
        vgps poses --out data/poses --count 16000
    """
    from vgps_sim.human.posing import PosesConfig, collect_poses

    config = tyro.cli(PosesConfig, args=list(arguments), prog=prog, description=poses.__doc__)
    with bar() as progress:
        line = progress.add_task("pictures", total=config.count)
        folder = collect_poses(config, lambda done: progress.update(line, advance=done))
    print(f"{folder}: {config.count} pictures")
    return 0
