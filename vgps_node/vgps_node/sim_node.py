"""The simulated robot and its cameras on the graph; `Simulation` does the work."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.limits import Between
from vgps_msgs.msg import TaskState
from vgps_msgs.srv import Reset, SetClock, Step
from vgps_node import messages, topics
from vgps_node.bringup import OPTIONS
from vgps_node.moments import ArmState
from vgps_node.params import ParameterSpec
from vgps_node.runtime import LATCHED, RELIABLE, STEADY_CLOCK, declare, run
from vgps_node.simulation import Simulation
from vgps_node.transforms import Transforms
from vgps_sim.scene import FRONT


def _at_start(spec: ParameterSpec) -> ParameterSpec:
    return replace(spec, description=f"{spec.description}. The value at start; {topics.SET_CLOCK} changes it later")


class SimNode(Node):
    """Publishes observations and carries out the commands that answer them."""

    PARAMETERS: ClassVar = {
        "max_steps": OPTIONS["max_steps"],
        **{name: _at_start(OPTIONS[name]) for name in ("clock", "latency")},
        "republish_after": ParameterSpec(
            1.0, "[s] of wall-clock time after which an observation without a command is sent again", Between(0.05, 600)
        ),
        "depth": ParameterSpec(False, "whether the front camera publishes depth too"),
    }  # fmt: skip
    LAG = 0.1  # [s] by which the world may be behind the wall clock and catch up
    JOINTS = 2  # slices of time between two joint states

    def __init__(self, context: Context) -> None:
        super().__init__("sim_node", context=context)
        self.contract = Contract.load()
        parameters = declare(self, self.PARAMETERS, self._apply, live=("max_steps", "republish_after"))
        self.sim, self._republish_after = Simulation(depth=parameters["depth"]), 0.0
        self.sim.set_clock(parameters["clock"], parameters["latency"])
        self._apply(parameters)
        self._time = self.create_publisher(ClockMsg, "/clock", RELIABLE)
        self._joints = self.create_publisher(JointState, self.contract.state.topic, RELIABLE)
        self._task = self.create_publisher(TaskState, self.contract.task.topic, LATCHED)
        self._images = {n: self.create_publisher(Image, f.topic, RELIABLE) for n, f in self.contract.images.items()}
        self._infos = {n: self.create_publisher(CameraInfo, topics.camera_info(n), RELIABLE) for n in self._images}
        self._depth = self.create_publisher(Image, topics.camera_depth(FRONT), RELIABLE) if self.sim.depth else None
        self.sim.wake()
        self._transforms = Transforms(self, self.sim.camera_frames())
        self.create_subscription(JointTrajectory, topics.JOINT_COMMAND, self._on_command, RELIABLE)
        self.create_service(Reset, topics.RESET, self._on_reset)
        self.create_service(Step, topics.STEP, self._on_step)
        self.create_service(SetClock, topics.SET_CLOCK, self._on_set_clock)
        self._published = self._due = time.monotonic()
        self._ticks = 0  # slices of time that have passed by the wall clock
        self._answered = 0  # stamp of the newest observation that has its command
        self.create_timer(self.sim.slice, self._on_timer, clock=STEADY_CLOCK)

    def _apply(self, parameters: dict[str, Any]) -> None:
        self.sim.max_steps = parameters.get("max_steps", self.sim.max_steps)
        self._republish_after = parameters.get("republish_after", self._republish_after)

    # Time passes

    def _on_command(self, message: JointTrajectory) -> None:
        if not self.sim.running:
            return
        try:
            command = messages.command_from_msg(message, self.contract)
        except VgpsError as error:
            self.get_logger().warning(f"command ignored: {error}")
            return
        stamp = messages.stamp_of(message)
        behind = (self.sim.state.moment.stamp - stamp) * 1e-9  # [s] since then, up to the newest observation
        loop_ms = 1e3 * (time.monotonic() - self._published + behind)
        if self.sim.clock == "realtime":
            if stamp > self._answered:
                self._answered = stamp
                self.sim.direct(command, loop_ms=loop_ms)
        elif stamp == self.sim.state.moment.stamp:
            self.sim.step(command, loop_ms=loop_ms)
            self._publish()

    def _on_timer(self) -> None:
        now = time.monotonic()
        if not self.sim.waiting:
            self._catch_up(now)
            return
        self._due = now
        if now - self._published > self._republish_after:
            self.get_logger().info(
                f"no command came for step {self.sim.state.moment.step}; observation sent again",
                throttle_duration_sec=5.0,
            )
            self._publish()

    def _catch_up(self, now: float) -> None:
        """Move the world to the wall clock; a machine that is too slow loses time instead of running after it."""
        self._due = max(self._due, now - self.LAG)
        while not self.sim.waiting and self._due + self.sim.slice <= now:
            self._due += self.sim.slice
            running, ended = self.sim.running, self.sim.tick()
            self._ticks += 1
            if ended:
                self._publish(task=running)
            else:
                self._publish_time()
                if self._ticks % self.JOINTS == 0:
                    self._publish_arm(self.sim.stamp, self.sim.arm())

    # Observations

    def _publish(self, *, task: bool = True) -> None:
        """All that can be seen now. task: with the task state, which makes it an observation to act on."""
        snapshot = self.sim.snapshot()
        stamp = self.sim.stamp
        self._published = time.monotonic()
        self._publish_time()
        if task:
            self._task.publish(messages.task_state_to_msg(snapshot.task))
        self._publish_arm(stamp, snapshot.arm)
        for name, publisher in self._images.items():
            pixels, frame = snapshot.images[name], topics.camera_frame(name)
            publisher.publish(messages.image_to_msg(pixels, stamp, frame))
            height, width, _ = pixels.shape
            self._infos[name].publish(messages.camera_info(stamp, frame, height, width, self.sim.fovy(name)))
        if self._depth and snapshot.depth is not None:
            self._depth.publish(messages.depth_to_msg(snapshot.depth, stamp, topics.camera_frame(FRONT)))

    def _publish_time(self) -> None:
        """The clock goes first: no stamp is ahead of it."""
        self._time.publish(ClockMsg(clock=messages.to_time(self.sim.stamp)))

    def _publish_arm(self, stamp: int, arm: ArmState) -> None:
        self._joints.publish(messages.arm_state_to_msg(arm, stamp, self.contract))
        self._transforms.publish(stamp, arm)

    # Services

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        try:
            told, limit = request.instruction.strip(), request.max_steps
            state = self.sim.reset(request.task, request.seed, instruction=told, max_steps=limit)
        except VgpsError as error:
            response.ok, response.message = False, str(error)
            return response
        response.ok, response.episode, response.stamp = True, state.episode, messages.to_time(state.moment.stamp)
        self._due = time.monotonic()
        self._publish()
        return response

    def _on_step(self, request: Step.Request, response: Step.Response) -> Step.Response:
        try:
            for _ in range(request.n):
                self.sim.step()
            self._publish()
        except VgpsError as error:
            response.ok, response.message = False, str(error)
            return response
        response.ok, response.state = True, messages.task_state_to_msg(self.sim.state)
        return response

    def _on_set_clock(self, request: SetClock.Request, response: SetClock.Response) -> SetClock.Response:
        try:
            self.sim.set_clock(request.clock, request.latency)
        except VgpsError as error:
            response.ok, response.message = False, str(error)
            return response
        self._due = time.monotonic()
        response.ok = True
        return response

    def destroy_node(self) -> None:
        self.sim.close()
        super().destroy_node()


def main() -> None:
    run(SimNode)


if __name__ == "__main__":
    main()
