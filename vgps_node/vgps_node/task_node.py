"""Tasks that can be asked for: the action RunTask over the running graph. `Attempt` does the thinking."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, ClassVar

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.client import Client
from rclpy.context import Context
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import SetBool

from vgps_models.checkpoint_files import instructions_of
from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.limits import Between
from vgps_models.spaces import ActionSpec
from vgps_msgs import msg
from vgps_msgs.action import RunTask
from vgps_msgs.srv import Reset
from vgps_node import goals, messages, topics
from vgps_node.attempt import Attempt, Ending, Outcome
from vgps_node.bringup import GATE, OPTIONS, POLICY, SIM, VALUE
from vgps_node.gate import State, Status
from vgps_node.goals import Goal
from vgps_node.moments import Progress, TaskState
from vgps_node.params import ParameterSpec
from vgps_node.runtime import LATCHED, RELIABLE, STEADY_CLOCK, declare, run


class TaskNode(Node):
    """One goal at a time: lets the gate move, begins an episode, listens until it is over, makes the gate hold."""

    LIVE: ClassVar = {
        "execute": OPTIONS["execute"],
        "time_limit": ParameterSpec(
            12.0, "[s] on the graph's clock, of goals that name no limit", Between(0.2, 86_400)
        ),
        "patience": ParameterSpec(
            10.0, "[s] of wall-clock time after which a node that does not respond ends the task", Between(0.2, 3600)
        ),
    }
    PARAMETERS: ClassVar = LIVE | {
        "policy": ParameterSpec("", "checkpoint whose tasks are offered: a shipped name or a path; empty: all tasks"),
        "simulator": ParameterSpec(
            True, f"whether {topics.RESET} begins episodes; otherwise {topics.INSTRUCTION} is published for a real arm"
        ),
    }
    PERIOD = 0.1  # [s] between two looks at the clock
    AGAIN = 5.0  # [s] after which a service is asked again: one that has not found its client yet drops the answer
    SETUP = 60.0  # [s] that a simulator may take to set up a world; it does so once for each task
    HOLD = 3.0  # [s] that the gate may take to say that it holds

    def __init__(self, context: Context) -> None:
        super().__init__("task_node", context=context)
        self.simulator, self.execute, self.time_limit, self.patience = True, 1, 0.0, 0.0
        parameters = declare(self, self.PARAMETERS, self._apply, live=self.LIVE)
        policy = parameters.pop("policy")
        self._tasks = goals.known_tasks(instructions_of(policy) if policy else None)
        self._apply(parameters)
        self._gate: Status | None = None  # as it said last
        self._goal: Goal | None = None
        self._handle: ServerGoalHandle | None = None
        self._attempt: Attempt | None = None
        self._over = Future()
        self._early: list[TaskState | Progress] = []  # what came before the simulator's answer
        self._begin = self.create_publisher(msg.TaskBegin, topics.TASK_BEGIN, RELIABLE)
        self._end = self.create_publisher(msg.TaskEnd, topics.TASK_END, LATCHED)  # also for `vgps status`
        self._instruction = self.create_publisher(String, topics.INSTRUCTION, LATCHED)
        self._reset = self.create_client(Reset, topics.RESET)
        self._hold = self.create_client(SetBool, topics.HOLD)
        self._listen()
        self.create_timer(self.PERIOD, self._tick, clock=STEADY_CLOCK)
        self._server = ActionServer(self, RunTask, topics.RUN_TASK, self._run, cancel_callback=self._on_cancel)

    def _listen(self) -> None:
        contract = Contract.load()
        self._chain = {
            SIM: f"{SIM} is silent: nothing on {contract.task.topic}",
            POLICY: f"{POLICY} is silent: nothing on {topics.CANDIDATES}",
            VALUE: f"{VALUE} is silent: nothing on {topics.CHUNK}",
            GATE: f"{GATE} is silent: nothing on {contract.action.topic}",
        }
        if not self.simulator:
            self._chain[SIM] = f"the arm is silent: nobody tells this instruction on {contract.task.topic}"
        self.create_subscription(msg.TaskState, contract.task.topic, self._on_state, RELIABLE)
        self.create_subscription(msg.Progress, topics.PROGRESS, self._on_progress, RELIABLE)
        self.create_subscription(msg.Candidates, topics.CANDIDATES, lambda _: self._hear("candidates"), RELIABLE)
        self.create_subscription(msg.ActionChunk, topics.CHUNK, lambda _: self._hear("chunk"), RELIABLE)
        self.create_subscription(msg.SentAction, contract.action.topic, lambda _: self._hear("sent"), RELIABLE)
        self.create_subscription(msg.GateStatus, topics.GATE_STATUS, self._on_gate, LATCHED)

    def _apply(self, parameters: dict[str, Any]) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    # One goal

    async def _run(self, handle: ServerGoalHandle) -> RunTask.Result:
        asked: RunTask.Goal = handle.request
        try:
            if self._goal is not None:
                raise VgpsError(f"another goal is under way: '{self._goal.instruction}'; `vgps cancel` ends it")
            if self._gate is not None and self._gate.state in (State.STOPPED, State.FAULT):
                raise VgpsError(f"the arm does not move: {self._gate.detail}")
            goal = goals.make(
                asked.instruction, asked.task, asked.seed, asked.time_limit, asked.success_progress,
                simulator=self.simulator, limit=self.time_limit, tasks=self._tasks,
            )  # fmt: skip
        except VgpsError as error:
            return self._finish(handle, Outcome(Ending.REFUSED, str(error)))
        self._goal, self._handle = goal, handle
        try:
            return self._finish(handle, await self._carry_out(goal, handle))
        finally:
            self._goal = self._handle = self._attempt = None

    async def _carry_out(self, goal: Goal, handle: ServerGoalHandle) -> Outcome:
        name = bytes(handle.goal_id.uuid).hex()
        self.get_logger().info(f"begins: '{goal.instruction}', at most {goal.time_limit:g} s")
        self._begin.publish(
            msg.TaskBegin(
                header=messages.header(self.get_clock().now().nanoseconds), goal=name, task=goal.task,
                instruction=goal.instruction, seed=goal.seed, time_limit=goal.time_limit,
            )
        )  # fmt: skip
        try:
            attempt = await self._start(goal)
        except VgpsError as error:
            outcome = Outcome(Ending.STOPPED, str(error))
        else:
            self._over, self._attempt = Future(), attempt
            if handle.is_cancel_requested:
                attempt.cancel()
            for heard in self._early:
                self._feed(heard)
            outcome: Outcome = await self._over  # type: ignore[assignment]
        outcome = await self._at_rest(outcome)
        self._end.publish(
            msg.TaskEnd(
                header=messages.header(outcome.stamp), goal=name, episode=outcome.episode,
                success=outcome.ending is Ending.SUCCEEDED, outcome=outcome.ending.value, message=outcome.message,
                progress=outcome.progress, steps=outcome.steps,
            )
        )  # fmt: skip
        self.get_logger().info(f"{outcome.ending.value} after {outcome.steps} control steps: {outcome.message}")
        return outcome

    async def _start(self, goal: Goal) -> Attempt:
        """Let the gate move and begin an episode. Raises VgpsError with the name of whoever does not answer."""
        self._early.clear()
        released, _ = await self._ask(self._hold, SetBool.Request(data=False), self.patience)
        if released is None:
            raise VgpsError(f"{GATE} is silent: no answer on {topics.HOLD} within {self.patience:g} s")
        if not self.simulator:
            self._instruction.publish(String(data=goal.instruction))
            return Attempt(goal, execute=self.execute, chain=self._chain, patience=self.patience)
        steps = math.ceil(goal.time_limit / ActionSpec().period - 1e-6)
        request = Reset.Request(task=goal.task, seed=goal.seed, instruction=goal.instruction, max_steps=steps)
        begun, asked = await self._ask(self._reset, request, self.SETUP, again=self.SETUP / 2)
        if begun is None:
            raise VgpsError(f"{SIM} is silent: no answer on {topics.RESET}")
        if not begun.ok:
            raise VgpsError(f"{SIM} refused to begin: {begun.message}")
        return Attempt(
            goal, execute=self.execute, chain=self._chain, patience=self.patience, episode=begun.episode,
            spare=asked - 1,
        )  # fmt: skip

    async def _at_rest(self, outcome: Outcome) -> Outcome:
        """Nothing may move the arm between two goals."""
        held, _ = await self._ask(self._hold, SetBool.Request(data=True), self.HOLD)
        if held is not None and held.success:
            return outcome
        warning = f"{GATE} has not confirmed that the arm holds: use the emergency stop"
        self.get_logger().error(warning)
        return replace(outcome, message=f"{outcome.message}; {warning}")

    def _finish(self, handle: ServerGoalHandle, outcome: Outcome) -> RunTask.Result:
        if outcome.ending is Ending.SUCCEEDED:
            handle.succeed()
        elif outcome.ending is Ending.CANCELLED:
            handle.canceled()
        else:
            handle.abort()
        return RunTask.Result(
            success=outcome.ending is Ending.SUCCEEDED, outcome=outcome.ending.value, message=outcome.message,
            progress=outcome.progress, steps=outcome.steps,
        )  # fmt: skip

    async def _ask(self, client: Client, request: Any, within: float, *, again: float = AGAIN) -> tuple[Any, int]:
        """The answer, None when there is none in time or nobody to give it, and how often it was asked for."""
        answer, began, asked = Future(), time.monotonic(), 0

        def take(future: Future) -> None:
            if not answer.done():
                answer.set_result(future.result())

        def look() -> None:
            nonlocal asked
            waited = time.monotonic() - began
            if answer.done():
                return
            there = client.service_is_ready()
            if waited >= within or (not there and waited >= self.patience):
                answer.set_result(None)
            elif there and waited >= asked * again:
                asked += 1
                client.call_async(request).add_done_callback(take)

        look()
        timer = self.create_timer(self.PERIOD, look, clock=STEADY_CLOCK)
        try:
            return await answer, asked
        finally:
            self.destroy_timer(timer)

    # What is heard

    def _on_state(self, message: msg.TaskState) -> None:
        self._feed(messages.task_state_from_msg(message))

    def _on_progress(self, message: msg.Progress) -> None:
        self._feed(messages.progress_from_msg(message))

    def _on_gate(self, message: msg.GateStatus) -> None:
        self._gate = messages.status_from_msg(message)
        if self._attempt is not None:
            self._attempt.gate(self._gate)
            self._tick()

    def _hear(self, what: str) -> None:
        if self._attempt is not None:
            getattr(self._attempt, what)()

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if handle is not self._handle:
            return CancelResponse.REJECT
        if self._attempt is not None:
            self._attempt.cancel()
            self._tick()
        return CancelResponse.ACCEPT

    def _feed(self, heard: TaskState | Progress) -> None:
        attempt, handle = self._attempt, self._handle
        if attempt is None or handle is None:
            if self._goal is not None:
                self._early.append(heard)
            return
        feedback = attempt.state(heard) if isinstance(heard, TaskState) else attempt.progress(heard)
        if feedback is not None:
            handle.publish_feedback(
                RunTask.Feedback(
                    progress=feedback.progress, spread=feedback.spread, source=feedback.source, steps=feedback.steps
                )
            )
        self._tick()

    def _tick(self) -> None:
        if self._attempt is None or self._over.done():
            return
        if (outcome := self._attempt.poll()) is not None:
            self._over.set_result(outcome)

    def destroy_node(self) -> None:
        self._server.destroy()
        super().destroy_node()


def main() -> None:
    run(TaskNode)


if __name__ == "__main__":
    main()
