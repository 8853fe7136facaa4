"""vgps up"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions, environment, served_graph
from vgps_node.children import leave
from vgps_node.cli import choose
from vgps_node.conditions import Steered, require_graph
from vgps_node.domain import current_domain, require_free
from vgps_node.supervisor import Supervisor


@dataclass(frozen=True)
class Advice(ProgressOptions):
    """How progress_node estimates progress, and how often. The estimator is also called --progress."""

    # none: no estimates | learned: our own model, needs no network | gvl: a vision-language model, in the background |
    # learned+gvl: both
    estimator: Annotated[str, tyro.conf.arg(aliases=("--progress",))] = ProgressOptions.estimator


@dataclass(frozen=True)
class UpCommand:
    graph: tyro.conf.OmitArgPrefixes[GraphOptions] = field(default_factory=GraphOptions)
    progress: Advice = field(default_factory=Advice)  # how progress is estimated, on /progress
    trust: Path | None = None  # file of `vgps train trust`: abstain above its threshold
    log: Path = Path("runs/log")  # folder for the output of the nodes


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Bring the graph up and keep it up until Ctrl-C. The domain is ROS_DOMAIN_ID, 0 when it is not set.

    Examples:
        vgps up sim                                  a simulated arm under guided control
        vgps up sim --rule first --k 1               the bare policy
        vgps up sim --clock realtime                 against the wall clock
        vgps up sim --progress none                  without estimates of progress
        vgps up sim --reward runs/rewards/carrot.safetensors    with a learned reward, on /reward/value
        vgps up sim --progress learned+gvl --progress.gvl.chat.model NAME    with a vision-language model too
        vgps run "put the spoon on the towel"         then, in another terminal
    """
    _, rest = choose("graph", ["sim"], arguments, prog=prog, about=main.__doc__ or "")
    command = tyro.cli(UpCommand, args=rest, prog=f"{prog} sim", description=main.__doc__)
    command.progress.require()
    o = command.graph
    side = Steered(o.policy, None if o.critic == "none" else o.critic, o.k, o.selection)
    if command.trust is not None:
        side = side.trusting(command.trust)
        o = replace(o, selection=side.selection)
    require_graph(o, command.progress)
    nodes = served_graph(o, command.progress)
    require_free(current_domain(), [f"/{spec.name}" for spec in nodes])
    console = Console(emoji=False, stderr=True, highlight=False)
    commands = {spec.name: spec.command() for spec in nodes}
    advisory = [spec.name for spec in nodes if spec.advisory]
    # A background job of a shell inherits an ignored SIGINT, and SIGTERM would leave no time to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Supervisor(commands, command.log, environment(), advisory) as supervisor:
            console.print(f"starting {', '.join(commands)}; logs in {command.log}", markup=False)
            supervisor.wait_ready()
            console.print(f"the graph is up ({o.clock}); ask for a task with `vgps run`; Ctrl-C stops it")
            reported: set[str] = set()
            while True:
                supervisor.check()
                for name in supervisor.lost.keys() - reported:
                    reported.add(name)
                    console.print(f"{supervisor.lost[name]}\nthe graph goes on without {name}", markup=False)
                time.sleep(0.2)
    except KeyboardInterrupt:
        console.print("stopped")
    leave(0)
