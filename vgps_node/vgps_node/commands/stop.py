"""vgps stop, vgps release, vgps cancel"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

HELD = "the emergency stop is engaged; the arm holds its pose. `vgps release` lets it move again"


@dataclass(frozen=True)
class StopCommand:
    wait: float = 10.0  # [s] that a graph is looked for


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Engage the emergency stop of the running graph: the arm holds its pose and every chunk is refused.

    It lasts until `vgps release`, whatever else happens on the graph. A running task ends as `stopped`. The command
    takes a second or more to start and to find the graph: a real arm needs a switch that cuts the power of its motors.

    Examples:
        vgps stop
        ROS_DOMAIN_ID=7 vgps stop
    """
    command = tyro.cli(StopCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from vgps_models.errors import VgpsError
    from vgps_msgs.srv import EStop
    from vgps_node import topics
    from vgps_node.graph_client import GraphClient

    with GraphClient("stop_client") as client:
        answer = client.call(EStop, topics.ESTOP, EStop.Request(engaged=True), command.wait)
    if not answer.ok:
        raise VgpsError(f"the gate did not engage the emergency stop: {answer.message}")
    print(HELD)
    return 0


def release(arguments: Sequence[str], *, prog: str) -> int:
    """Release the emergency stop and clear a fault of the running graph. The arm moves when the next task begins.

    Look at the arm first: what made you stop may still be there.

    Examples:
        vgps release
    """
    command = tyro.cli(StopCommand, args=list(arguments), prog=prog, description=release.__doc__)
    from vgps_msgs.srv import ClearFault, EStop
    from vgps_node import topics
    from vgps_node.graph_client import GraphClient

    with GraphClient("release_client") as client:
        client.call(EStop, topics.ESTOP, EStop.Request(engaged=False), command.wait)
        cleared = client.call(ClearFault, topics.CLEAR_FAULT, ClearFault.Request(), command.wait)
    fault = f"; {cleared.message}" if cleared.ok else ""
    print(f"the emergency stop is released{fault}. The arm holds until a task begins: `vgps run`")
    return 0


def cancel(arguments: Sequence[str], *, prog: str) -> int:
    """Cancel the running task, whichever terminal asked for it: the arm holds, and takes the next task at once.

    The exit code is 0 when a task was cancelled, 1 when none was running.

    Examples:
        vgps cancel
    """
    command = tyro.cli(StopCommand, args=list(arguments), prog=prog, description=cancel.__doc__)
    from action_msgs.srv import CancelGoal

    from vgps_node import topics
    from vgps_node.graph_client import GraphClient

    with GraphClient("cancel_client") as client:
        # No goal and no stamp: all goals.
        answer = client.call(CancelGoal, f"{topics.RUN_TASK}/_action/cancel_goal", CancelGoal.Request(), command.wait)
    cancelled = bool(answer.goals_canceling)
    print("the task ends; the arm holds" if cancelled else "no task is running")
    return 0 if cancelled else 1
