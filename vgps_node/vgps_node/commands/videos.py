"""vgps videos"""

from __future__ import annotations

from collections.abc import Sequence

import tyro
from rich.console import Console

from vgps_node.commands.collect import bar


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Film others at the tasks: a hand, a crane, a trident, tongs. MP4 files and an index, never actions.

    A run that was stopped goes on where it stopped.

    Examples:
        vgps videos --out data/people --episodes 600 --embodiments hand crane trident --views 2
        vgps videos --out data/tongs --episodes 100 --embodiments tongs --seed 70000 --success-only
    """
    from vgps_sim.people.videos import VideosConfig, film

    config = tyro.cli(VideosConfig, args=list(arguments), prog=prog, description=main.__doc__)
    succeeded = filmed = 0
    with bar() as progress:
        line = progress.add_task("performances", total=config.episodes)

        def hear(key: tuple[str, str, int], success: bool) -> None:
            nonlocal succeeded, filmed
            filmed, succeeded = filmed + 1, succeeded + success
            progress.update(line, advance=1, description=f"performances, {succeeded / filmed:.0%} succeed")

        done = film(config, hear)
        progress.update(line, completed=config.episodes)
    rate = f", {done.successes / done.performances:.0%} of them successes" if done.performances else ""
    found = f", {done.found} were there already" if done.found else ""
    told = f"{config.out}: {done.performances} performances filmed{rate}{found}; {config.views} view(s) of each"
    Console(emoji=False).print(told, markup=False, highlight=False)
    return 0
