"""vgps status"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table


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
    from vgps_node.domain import current_domain
    from vgps_node.graph_client import GraphClient
    from vgps_node.graph_state import StateListener

    own = (SIM, POLICY, VALUE, GATE, TASK, PROGRESS, REWARD)
    with GraphClient("status_client") as client:
        listener = StateListener(client.node, images=True)
        if not client.until(lambda: listener.state.gate is not None, command.wait):
            raise client.no_graph()
        listener.restart()
        client.until(lambda: False, command.seconds)
        found = set(client.node.get_node_names())
    state, rates = listener.state, listener.rates()
    nodes = [name for name in own if name in found]
    if command.json:
        domain = {"domain": current_domain(), "nodes": nodes}
        rounded = {topic: round(rate, 2) for topic, rate in rates.items()}
        print(json_module.dumps(domain | state.to_json() | {"rates": rounded}, indent=2))
        return 0
    console = Console(highlight=False)
    console.print(f"domain    {current_domain()}, nodes: {', '.join(nodes)}", markup=False)
    for line in state.lines():
        console.print(line, markup=False)
    table = Table("topic", "Hz")
    for topic, rate in rates.items():
        table.add_row(topic, f"{rate:.1f}")
    console.print(table)
    return 0
