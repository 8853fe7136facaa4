"""The gate: what stands between any controller and the arm. Knows no ROS.

It lets a chunk through when it answers an observation that was really made, is
finite and of a sane size, and it moves the arm with the servo that evaluation
in one process uses, so a valid action does the same on both paths. Whatever is
not valid is refused with a typed reason, and the arm holds its pose.

The servo is not trusted either: its joint targets are checked against the arm's
limits, and a target outside them is a fault that lasts until it is cleared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from vgps_models.spaces import GRIPPER, Array
from vgps_node.moments import ArmState, Chunk, Moment, Recent, TaskState
from vgps_sim.kinematics import IkError, JointCommand, ToolServo

# Every refusal names the way out.
STOPPED = "the emergency stop is engaged; `vgps release` releases it"
CLEAR = "`vgps release` clears the fault"


class State(IntEnum):
    """What the gate does; numbers as in GateStatus.msg."""

    WAITING = 0
    PASSING = 1
    HOLDING = 2
    STOPPED = 3
    FAULT = 4


class Reason(IntEnum):
    """Why the gate refuses or holds; numbers as in GateStatus.msg."""

    NONE = 0
    NOTHING_RECEIVED = 1
    NOT_FINITE = 2
    SHAPE = 3
    ABSURD_SIZE = 4
    STALE = 5
    FUTURE = 6
    WRONG_EPISODE = 7
    WORKSPACE = 8
    IK = 9
    STEP_LIMIT = 10
    ESTOP = 11
    NO_ARM_STATE = 12
    EPISODE_OVER = 13


@dataclass(frozen=True)
class Rejection:
    """Why a chunk was refused."""

    reason: Reason
    detail: str


@dataclass(frozen=True, eq=False)
class Output:
    """One command for the arm.

    action: carried out, shortened to the limits of its spec; no displacement when held. Shape (7,).
    reason, detail: why it held.
    """

    moment: Moment
    command: JointCommand
    action: Array
    hold: bool
    reason: Reason = Reason.NONE
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """The gate at a glance. since_chunk: steady-clock age of the last accepted chunk [s]; -1 for none."""

    moment: Moment
    state: State
    reason: Reason
    detail: str
    accepted: int
    rejected: int
    since_chunk: float


class Gate:
    """Chunks and arm states in, at most one command for each observation out.

    execute: steps of a chunk that are carried out; a new one is due at every multiple.
    hold_after: time by the steady clock that an observation may wait for its chunk before the arm
        is told to hold [s].
    steady: a clock that never jumps [s].
    """

    ABSURD = 10.0  # times the spec's limits: clipping that would hide a fault
    LEAD = 1_000_000_000  # [ns] that a chunk may be ahead of the arm states while these are on their way
    JOINT_SLACK = 1e-3  # [rad] beyond a joint's range that a solver's residue explains

    def __init__(
        self,
        servo: ToolServo,
        *,
        execute: int = 2,
        hold_after: float = 5.0,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.servo = servo
        self.execute = execute
        self.hold_after = hold_after
        self.accepted = self.rejected = 0
        self._steady = steady
        self._now: TaskState | None = None  # the observation to act on
        self._since = 0.0  # when it came
        self._seen: Recent[tuple[int, Moment]] = Recent(16)  # stamp -> (episode, moment)
        self._early: Recent[Chunk] = Recent(4)  # chunks whose observation is still on its way
        self._sent: Recent[Output] = Recent(4)
        self._chunk: Chunk | None = None
        self._chunk_at: float | None = None
        self._refused: Rejection | None = None  # the answer to the current observation, when it was refused
        self._gave_up = False  # the planned step was held, so nothing is due before the next one
        self._stopped = False
        self._paused = ""  # why nothing is let through until the next episode; empty for no reason
        self._fault: Rejection | None = None
        self._state, self._reason, self._detail = State.WAITING, Reason.NO_ARM_STATE, "no arm state yet"
        joints = servo.kinematics.model.jnt_range[:6]
        # A servo that a limit stops ends up to MAX_ERROR beside its target, which is inside the box.
        self._bulge = servo.MAX_ERROR + 0.005  # [m]
        self._low, self._high = joints[:, 0] - self.JOINT_SLACK, joints[:, 1] + self.JOINT_SLACK

    # What comes in

    def observe(self, task: TaskState, arm: ArmState) -> None:
        """Make a newer observation the one to act on. A repeated one lets its command be sent again."""
        if self._now is not None and task.moment.stamp < self._now.moment.stamp:
            return
        if not (np.isfinite(arm.q).all() and np.isfinite(arm.gripper)):
            self._fault = Rejection(Reason.NO_ARM_STATE, "the joint states are not finite numbers")
            return
        if self._now is None or task.episode != self._now.episode:
            self.servo.reset(arm.q, arm.gripper)
            self._chunk = self._refused = None
            if self._now is not None:  # whoever begins another episode wants it played
                self._paused = ""
        if self._now is None or task.moment.stamp > self._now.moment.stamp:
            self._since = self._steady()
            self._refused = None
            if task.moment.step % self.execute == 0:
                self._gave_up = False
        self._now = task
        self._seen.put(task.moment.stamp, (task.episode, task.moment))
        for stamp in list(self._early):
            if stamp <= task.moment.stamp and (chunk := self._early.pop(stamp)) is not None:
                self.offer(chunk)

    def rewind(self) -> None:
        """Forget everything that is known by its stamp, because time went back; the next observation begins anew."""
        for recent in (self._seen, self._early, self._sent):
            recent.clear()
        self._now = self._chunk = self._refused = None
        self._gave_up = False
        self._set(State.WAITING, Reason.NO_ARM_STATE, "time went back; a new observation is awaited")

    def offer(self, chunk: Chunk) -> Rejection | None:
        """Take a chunk to execute, or say why not. One that is a little early waits for its observation."""
        latest = self._now.moment.stamp if self._now else None
        if latest is not None and latest < chunk.moment.stamp <= latest + self.LEAD:
            self._early.put(chunk.moment.stamp, chunk)
            return None
        rejection = self._judge(chunk)
        if rejection is None:
            self._chunk, self._chunk_at, self._gave_up = chunk, self._steady(), False
            self.accepted += 1
            return None
        self.rejected += 1
        if chunk.moment.stamp == latest:
            self._refused = rejection
        self._reason, self._detail = rejection.reason, rejection.detail
        return rejection

    def stop(self, engaged: bool) -> None:
        """Engage or release the emergency stop. After release only a new chunk moves the arm."""
        self._stopped, self._chunk = engaged, None
        if engaged:
            self._set(State.STOPPED, Reason.ESTOP, STOPPED)
        elif self._state is State.STOPPED:
            self._set(State.HOLDING, Reason.NOTHING_RECEIVED, "the emergency stop is released; a new chunk is awaited")

    def pause(self, why: str) -> None:
        """Hold the pose until another episode begins, or until `why` is empty; then only a new chunk moves the arm."""
        self._paused, self._chunk = why, None

    def clear_fault(self) -> None:
        """Leave the fault; a cause that lasts brings it back with the next observation."""
        self._fault = self._chunk = None
        if self._state is State.FAULT:
            self._set(State.HOLDING, Reason.NOTHING_RECEIVED, "the fault was cleared; a new chunk is awaited")

    # What goes out

    def poll(self) -> Output | None:
        """The command that is due now, if any: once for each observation."""
        now = self._now
        if now is None:
            return None
        if now.done:
            if not self._stopped and self._fault is None:  # those last until they are released
                self._set(State.WAITING, Reason.EPISODE_OVER, f"{now.task} is over")
            return None
        if self._sent.get(now.moment.stamp) is not None:
            return None
        output = self._decide(now)
        if output is not None:
            self._sent.put(now.moment.stamp, output)
        return output

    def sent(self, stamp: int) -> Output | None:
        """What was sent for an observation, to send it again when it got lost."""
        return self._sent.get(stamp)

    def status(self) -> Status:
        since = -1.0 if self._chunk_at is None else self._steady() - self._chunk_at
        moment = self._now.moment if self._now else Moment(0)
        return Status(moment, self._state, self._reason, self._detail, self.accepted, self.rejected, since)

    def _decide(self, now: TaskState) -> Output | None:
        moment = now.moment
        if self._fault is not None:
            return self._hold(moment, State.FAULT, self._fault.reason, f"{self._fault.detail}; {CLEAR}")
        if self._stopped:
            return self._hold(moment, State.STOPPED, Reason.ESTOP, STOPPED)
        if self._paused:
            return self._hold(moment, State.HOLDING, Reason.EPISODE_OVER, self._paused)
        if self._chunk is not None and 0 <= (i := moment.step - self._chunk.moment.step) < self._reach(self._chunk):
            return self._move(moment, self._chunk.actions[i])
        if self._refused is not None:
            return self._hold(moment, State.HOLDING, self._refused.reason, self._refused.detail)
        if self._gave_up:
            return self._hold(moment, State.HOLDING, self._reason, self._detail)
        if (waited := self._steady() - self._since) >= self.hold_after:
            return self._hold(moment, State.HOLDING, Reason.NOTHING_RECEIVED, f"no chunk came within {waited:.1f} s")
        return None

    def _move(self, moment: Moment, action: Array) -> Output:
        servo = self.servo
        before = servo.q, servo.gripper, servo.position, servo.rotation
        try:
            command = servo.command(action)
        except IkError as error:
            return self._hold(moment, State.HOLDING, Reason.IK, str(error))
        if violation := self._violation(command, before[0], before[2]):
            servo.q, servo.gripper, servo.position, servo.rotation = before
            self._fault = violation
            return self._hold(moment, State.FAULT, violation.reason, f"{violation.detail}; {CLEAR}")
        self._set(State.PASSING, Reason.NONE, "")
        return Output(moment, command, servo.spec.clip(action), hold=False)

    def _hold(self, moment: Moment, state: State, reason: Reason, detail: str) -> Output:
        self._set(state, reason, detail)
        command = self.servo.hold()
        self._gave_up |= reason is not Reason.IK
        still = np.zeros(7)
        still[GRIPPER] = command.gripper
        return Output(moment, command, still, True, reason, detail)

    def _set(self, state: State, reason: Reason, detail: str) -> None:
        self._state, self._reason, self._detail = state, reason, detail

    def _reach(self, chunk: Chunk) -> int:
        return min(self.execute, len(chunk.actions))

    # Judgement

    def _judge(self, chunk: Chunk) -> Rejection | None:
        spec, now, moment, actions = self.servo.spec, self._now, chunk.moment, chunk.actions
        if actions.ndim != 2 or actions.shape[1] != len(spec.names) or not 1 <= len(actions) <= spec.horizon:
            return Rejection(
                Reason.SHAPE, f"a chunk has shape {actions.shape}; at most ({spec.horizon}, {len(spec.names)})"
            )
        if not np.isfinite(actions).all():
            return Rejection(Reason.NOT_FINITE, "a chunk holds NaN or infinity")
        if (np.abs(actions) > self.ABSURD * np.maximum(np.abs(spec.high), np.abs(spec.low))).any():
            return Rejection(Reason.ABSURD_SIZE, f"a chunk asks for more than {self.ABSURD:g} times a step's limits")
        if self._stopped:
            return Rejection(Reason.ESTOP, STOPPED)
        if self._paused:
            return Rejection(Reason.EPISODE_OVER, self._paused)
        if now is None:
            return Rejection(Reason.NO_ARM_STATE, "no arm state yet")
        if moment.stamp > now.moment.stamp:
            return Rejection(Reason.FUTURE, f"the chunk is {_lead(moment, now.moment):.2f} s ahead of the arm state")
        known = self._seen.get(moment.stamp)
        if known is None:
            return Rejection(Reason.STALE, f"the chunk is {_lead(now.moment, moment):.2f} s behind the arm state")
        if known != (now.episode, moment):
            return Rejection(Reason.WRONG_EPISODE, f"the chunk answers seed {moment.seed} step {moment.step}")
        if now.moment.step - moment.step >= self._reach(chunk):
            return Rejection(Reason.STALE, f"the chunk is for step {moment.step}, the arm is at {now.moment.step}")
        return None

    def _violation(self, command: JointCommand, q: Array, position: Array) -> Rejection | None:
        """Where the servo's answer breaks a limit that it should have kept. q, position: of the command before."""
        arm, kinematics = self.servo.arm, self.servo.kinematics
        if not np.isfinite(command.q).all() or not 0.0 <= command.gripper <= 1.0:
            return Rejection(Reason.NOT_FINITE, "a joint target is no finite number, or the gripper is outside 0..1")
        low, high = np.minimum(self._low, q), np.maximum(self._high, q)  # back into the range from wherever it is
        if (command.q < low).any() or (command.q > high).any():
            return Rejection(Reason.STEP_LIMIT, f"a joint target is outside the range: {np.round(command.q, 3)} rad")
        if (np.abs(command.q - q) > np.asarray(arm.velocity_limits) * command.duration * (1 + 1e-6)).any():
            return Rejection(Reason.STEP_LIMIT, "a joint would have to move faster than its limit")
        outside = self._outside(kinematics.pose(command.q)[0])
        if outside > max(self._bulge, self._outside(position)):
            return Rejection(Reason.WORKSPACE, f"the tool would be {outside:.3f} m outside its workspace")
        return None

    def _outside(self, position: Array) -> float:
        """Distance from the workspace box [m]; 0 inside."""
        low, high = np.asarray(self.servo.arm.workspace_low), np.asarray(self.servo.arm.workspace_high)
        return float(np.linalg.norm(position - np.clip(position, low, high)))


def _lead(later: Moment, earlier: Moment) -> float:
    return (later.stamp - earlier.stamp) * 1e-9
