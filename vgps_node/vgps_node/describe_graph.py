"""Describes a graph as JSON, for launch files.

A launch file runs under the Python of `ros2`, which need not have VGPS and its libraries. So it asks this program,
which runs under the Python that has them:

    describe_graph sim --arguments          the launch arguments
    describe_graph sim k:=20 clock:=latency the nodes, with what the user gave
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions, NodeSpec, served_graph, thread_limits
from vgps_node.conditions import Steered
from vgps_node.params import ParameterSpec, changed, specs

GRAPHS = ("sim",)
PROGRESS = "progress."


def graph_specs() -> dict[str, ParameterSpec]:
    """Every launch argument by its name. Those of the selection stand beside those of the graph."""
    own = {name.removeprefix("selection."): spec for name, spec in specs(GraphOptions()).items()}
    return own | specs(ProgressOptions(), PROGRESS)


def arguments() -> list[dict[str, Any]]:
    """Name, default, description and choices (None for any) of every launch argument."""
    return [
        {
            "name": name,
            "default": str(spec.default),
            "description": spec.description + (f" ({spec.limit})" if spec.limit and not spec.choices else ""),
            "choices": list(spec.choices) or None,
        }
        for name, spec in graph_specs().items()
    ]


def nodes(given: Mapping[str, str]) -> list[NodeSpec]:
    """The nodes, for arguments written as words; the others have their defaults. Raises VgpsError for a bad one."""
    known = graph_specs()
    if unknown := sorted(given.keys() - known.keys()):
        raise UnknownNameError("launch argument", unknown[0], known)
    values = {name: spec.parse(name, given[name]) if name in given else spec.default for name, spec in known.items()}
    options, progress = GraphOptions.from_flat(values), changed(ProgressOptions(), values, PROGRESS)
    progress.require()
    critic = None if options.critic == "none" else options.critic
    Steered(options.policy, critic, options.k, options.selection).require_fit()
    return served_graph(options, progress)


def describe(node: NodeSpec) -> dict[str, Any]:
    """A node as launch needs it. environment: variables to add to its process."""
    return {
        "package": node.package, "executable": node.name, "name": node.name, "parameters": dict(node.parameters),
        "advisory": node.advisory, "environment": thread_limits(),
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Print the description. Returns 0; 2 after one line on stderr that says what is wrong."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        graph = words.pop(0) if words else ""
        if graph not in GRAPHS:
            raise UnknownNameError("graph", graph, GRAPHS)
        if words == ["--arguments"]:
            answer = arguments()
        else:
            answer = [describe(node) for node in nodes(dict(word.split(":=", 1) for word in words))]
    except (VgpsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
