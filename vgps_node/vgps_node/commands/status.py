"""vgps status"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table

SETTLE = 5.0  # [s] in which every node and topic should have been found


@dataclass(frozen=True)
class StatusCommand:
    seconds: float = 1.5  # [s] of listening, over which rates are measured
    wait: float = 5.0  # [s] that a graph is looked for
    json: bool = False  # print JSON instead of a table


def main(arguments: Sequence[str], *, prog: str) -> int:
    """What the running graph does: nodes, gate, task, progress, and how often its topics are published.

    The exit code is 0 when a graph is there, 1 when there is none.

    Examples:
        vgps status
        vgps status --json
    """
    command = tyro.cli(StatusCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from vgps_node.bringup import GATE, POLICY, PROGRESS, REWARD, SIM, TASK, VALUE
    from vgps_node.domain import current_domain, nodes_here
    from vgps_node.graph_client import GraphClient
    from vgps_node.graph_state import StateListener

    own = (SIM, POLICY, VALUE, GATE, TASK, PROGRESS, REWARD)

    def found() -> set[str]:
        """By discovery, which takes its time, or by what this machine's own nodes have claimed."""
        return set(client.node.get_node_names()) | set(nodes_here(current_domain()))

    def missing() -> list[str]:
        return [name for name in (SIM, POLICY, VALUE, GATE, TASK) if name not in found()]

    with GraphClient("status_client") as client:
        listener = StateListener(client.node, images=True)
        client.find(lambda: listener.state.gate is not None, command.wait)
        client.until(lambda: listener.complete() and not missing(), SETTLE)
        listener.restart()
        client.until(lambda: False, command.seconds)
        nodes, lost = [name for name in own if name in found()], missing()
    state, rates = listener.state, listener.rates()
    if command.json:
        domain = {"domain": current_domain(), "nodes": nodes, "missing": lost}
        rounded = {topic: round(rate, 2) for topic, rate in rates.items()}
        print(json_module.dumps(domain | state.to_json() | {"rates": rounded}, indent=2))
        return 0
    console = Console(emoji=False, highlight=False)
    console.print(f"domain    {current_domain()}, nodes: {', '.join(nodes)}", markup=False)
    if lost:
        console.print(f"missing   {', '.join(lost)}: not found within {SETTLE:g} s", markup=False)
    for line in state.lines():
        console.print(line, markup=False)
    table = Table("topic", "Hz")
    for topic, rate in rates.items():
        table.add_row(topic, f"{rate:.1f}")
    console.print(table)
    return 0
