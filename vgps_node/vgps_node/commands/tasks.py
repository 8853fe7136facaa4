"""vgps tasks"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class TasksCommand:
    policy: str = "policy"  # checkpoint whose tasks are listed: a shipped name or a path; "" for all of the simulator
    json: bool = False  # print JSON instead of a table


def main(arguments: Sequence[str], *, prog: str) -> int:
    """The tasks that a policy was trained on, by the sentence to ask for them and the name that --task takes.

    Examples:
        vgps tasks
        vgps tasks --policy runs/policy.safetensors --json
    """
    command = tyro.cli(TasksCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from rich.console import Console
    from rich.table import Table

    from vgps_models.checkpoint_files import instructions_of
    from vgps_node.goals import known_tasks

    tasks = known_tasks(instructions_of(command.policy) if command.policy else None)
    if command.json:
        print(json_module.dumps({name: task.instruction for name, task in tasks.items()}, indent=2))
        return 0
    table = Table("vgps run ...", "--task")
    for name, task in tasks.items():
        table.add_row(f'"{task.instruction}"', name)
    Console(emoji=False).print(table)
    return 0
