"""The gate on the graph: the only publisher to the arm. `Gate` does the work."""

from __future__ import annotations

from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.limits import Between
from vgps_msgs.msg import ActionChunk, GateStatus, SentAction
from vgps_msgs.srv import ClearFault, EStop
from vgps_node import messages, topics
from vgps_node.bringup import OPTIONS
from vgps_node.gate import Gate, Output, State
from vgps_node.moments import ArmState, TaskState
from vgps_node.observing import ArmInput
from vgps_node.params import ParameterSpec
from vgps_node.runtime import LATCHED, RELIABLE, STEADY_CLOCK, declare, run
from vgps_sim.kinematics import ToolServo


class GateNode(Node):
    """Chunks in, one joint command for each observation out."""

    PARAMETERS: ClassVar = {
        "execute": OPTIONS["execute"],
        "hold_after": ParameterSpec(
            5.0, "[s] of wall-clock time that an observation may wait for its chunk before the arm holds",
            Between(0.02, 60),
        ),
    }  # fmt: skip
    PERIOD = 0.01  # [s] of the watchdog
    HEARTBEAT = 50  # watchdog periods between two statuses when nothing changes

    def __init__(self, context: Context) -> None:
        super().__init__("gate_node", context=context)
        self.contract = Contract.load()
        self.gate = Gate(ToolServo())
        self._apply(declare(self, self.PARAMETERS, self._apply, live=self.PARAMETERS))
        self._command = self.create_publisher(JointTrajectory, topics.JOINT_COMMAND, RELIABLE)
        self._sent = self.create_publisher(SentAction, self.contract.action.topic, RELIABLE)
        self._status = self.create_publisher(GateStatus, topics.GATE_STATUS, LATCHED)
        self._told: tuple[Any, ...] = ()
        self._quiet = 0
        ArmInput(self, self.contract, self._on_arm, self.gate.rewind)
        self.create_subscription(ActionChunk, topics.CHUNK, self._on_chunk, RELIABLE)
        self.create_service(EStop, topics.ESTOP, self._on_estop)
        self.create_service(ClearFault, topics.CLEAR_FAULT, self._on_clear_fault)
        self.create_service(SetBool, topics.HOLD, self._on_hold)
        self.create_timer(self.PERIOD, self._on_watchdog, clock=STEADY_CLOCK)

    def _apply(self, parameters: dict[str, Any]) -> None:
        self.gate.execute = parameters.get("execute", self.gate.execute)
        self.gate.hold_after = parameters.get("hold_after", self.gate.hold_after)

    def _on_arm(self, task: TaskState, arm: ArmState) -> None:
        self.gate.observe(task, arm)
        if (sent := self.gate.sent(task.moment.stamp)) is not None:
            self._publish(sent)  # the observation came again, so its command was lost
        self._send()

    def _on_chunk(self, message: ActionChunk) -> None:
        try:
            chunk = messages.chunk_from_msg(message)
        except VgpsError as error:
            self.get_logger().warning(f"chunk ignored: {error}", throttle_duration_sec=1.0)
            return
        if (rejection := self.gate.offer(chunk)) is not None:
            text = f"chunk refused ({rejection.reason.name}): {rejection.detail}"
            self.get_logger().warning(text, throttle_duration_sec=1.0)
        self._send()

    def _on_watchdog(self) -> None:
        self._send()
        self._tell()

    def _send(self) -> None:
        if (output := self.gate.poll()) is not None:
            self._publish(output)
            if output.hold:
                status = self.gate.status()
                self.get_logger().warning(f"holding ({status.reason.name}): {status.detail}", throttle_duration_sec=1.0)

    def _publish(self, output: Output) -> None:
        self._command.publish(messages.command_to_msg(output.command, output.moment.stamp, self.contract))
        self._sent.publish(messages.sent_action_to_msg(output))

    def _tell(self) -> None:
        """Publish the status when it changed, and now and then."""
        status = self.gate.status()
        told = (status.state, status.reason, status.rejected)
        self._quiet += 1
        if told != self._told or self._quiet >= self.HEARTBEAT:
            self._told, self._quiet = told, 0
            self._status.publish(messages.status_to_msg(status))

    def _on_estop(self, request: EStop.Request, response: EStop.Response) -> EStop.Response:
        self.gate.stop(request.engaged)
        self.get_logger().warning(f"emergency stop {'engaged' if request.engaged else 'released'}")
        self._send()
        self._tell()
        response.ok = True
        return response

    def _on_hold(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.gate.pause("no task runs: /gate/hold was called" if request.data else "")
        self._send()
        self._tell()
        response.success = True
        return response

    def _on_clear_fault(self, request: ClearFault.Request, response: ClearFault.Response) -> ClearFault.Response:
        status = self.gate.status()
        self.gate.clear_fault()
        response.ok = status.state == State.FAULT
        response.message = f"cleared: {status.detail}" if response.ok else "there was no fault"
        return response


def main() -> None:
    run(GateNode)


if __name__ == "__main__":
    main()
