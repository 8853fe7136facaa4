"""The gate: whatever is offered, the arm is told nothing outside its limits, and it is said why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.spaces import ActionSpec
from vgps_node.gate import Gate, Output, Reason, State
from vgps_node.moments import ArmState, Chunk, Moment, TaskState
from vgps_sim.kinematics import IkError, ToolServo

PERIOD = 200_000_000  # [ns]
SERVO = ToolServo()
HOME = SERVO.solve_home()


class Steady:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Arm:
    """A gate with an arm that follows at once, one observation after the other."""

    def __init__(self, execute: int = 2) -> None:
        self.steady = Steady()
        self.gate = Gate(SERVO, execute=execute, hold_after=0.5, steady=self.steady)
        self.q, self.gripper = HOME.copy(), 1.0
        self.task = TaskState(Moment(PERIOD, seed=7, step=0), "task", episode=1)

    def observe(self) -> None:
        self.gate.observe(self.task, ArmState(self.q, self.gripper))

    def step(self, output: Output | None = None) -> None:
        if output is not None:
            self.q, self.gripper = output.command.q.copy(), output.command.gripper
        moment = self.task.moment
        self.task = TaskState(Moment(moment.stamp + PERIOD, moment.seed, moment.step + 1), "task", episode=1)
        self.observe()

    def chunk(self, actions: np.ndarray, **changes: int) -> Chunk:
        moment = self.task.moment
        return Chunk(Moment(**({"stamp": moment.stamp, "seed": moment.seed, "step": moment.step} | changes)), actions)

    def held(self) -> Output:
        """What comes out once the observation has waited too long."""
        assert self.gate.poll() is None
        self.steady.now += 0.6
        output = self.gate.poll()
        assert output is not None and output.hold
        return output


@pytest.fixture
def arm() -> Arm:
    arm = Arm()
    arm.observe()
    return arm


def still(steps: int = 4) -> np.ndarray:
    return np.tile([0, 0, 0, 0, 0, 0, 1.0], (steps, 1))


# What is valid does what it does in one process


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), execute=st.integers(1, 4))
def test_valid_chunks_do_the_same_as_the_servo_alone(seed: int, execute: int) -> None:
    random = np.random.default_rng(seed)
    arm, spec = Arm(execute), ActionSpec()
    arm.observe()
    expected, twin = [], ToolServo()
    twin.reset(HOME, 1.0)
    for _ in range(3):
        chunk = random.normal(size=(4, 7)) * spec.high
        assert arm.gate.offer(arm.chunk(chunk)) is None
        for action in chunk[:execute]:
            output = arm.gate.poll()
            assert output is not None
            try:
                expected.append(twin.command(action))
                assert np.array_equal(output.action, spec.clip(action))
            except IkError:
                expected.append(twin.hold())
                assert output.hold and output.reason is Reason.IK
            assert np.array_equal(output.command.q, expected[-1].q)
            assert output.command.gripper == expected[-1].gripper
            arm.step(output)


def test_one_command_for_each_observation(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(still()))
    output = arm.gate.poll()
    assert output is not None and not output.hold
    assert arm.gate.poll() is None
    arm.observe()  # again: the command must have got lost
    assert arm.gate.poll() is None
    assert arm.gate.sent(arm.task.moment.stamp) is output


def test_a_chunk_ahead_of_its_observation_waits_for_it(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(still()))
    arm.step(arm.gate.poll())
    arm.step(arm.gate.poll())
    stamp, step = arm.task.moment.stamp, arm.task.moment.step
    early = Arm()
    early.observe()
    assert early.gate.offer(early.chunk(still(), stamp=stamp, step=step)) is None
    assert early.gate.accepted == 0
    early.task = arm.task
    early.observe()
    assert early.gate.accepted == 1
    output = early.gate.poll()
    assert output is not None and output.moment == arm.task.moment and not output.hold


# What is not valid is refused, with its reason


@pytest.mark.parametrize(
    ("actions", "changes", "reason"),
    [
        (np.full((4, 7), np.nan), {}, Reason.NOT_FINITE),
        (np.full((4, 7), np.inf), {}, Reason.NOT_FINITE),
        (np.zeros((4, 6)), {}, Reason.SHAPE),
        (np.zeros((5, 7)), {}, Reason.SHAPE),
        (np.zeros((0, 7)), {}, Reason.SHAPE),
        (np.full((4, 7), 100.0), {}, Reason.ABSURD_SIZE),
        (still(), {"stamp": PERIOD - 1}, Reason.STALE),
        (still(), {"stamp": 10**12}, Reason.FUTURE),
        (still(), {"seed": 8}, Reason.WRONG_EPISODE),
        (still(), {"step": 1}, Reason.WRONG_EPISODE),
    ],
)
def test_refusals_have_their_reason(arm: Arm, actions: np.ndarray, changes: dict[str, int], reason: Reason) -> None:
    rejection = arm.gate.offer(arm.chunk(actions, **changes))
    assert rejection is not None and rejection.reason is reason and rejection.detail
    status = arm.gate.status()
    assert (status.reason, status.accepted, status.rejected) == (reason, 0, 1)


def test_a_refused_answer_makes_the_arm_hold_at_once(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(np.full((4, 7), np.nan)))
    output = arm.gate.poll()
    assert output is not None and output.hold and output.reason is Reason.NOT_FINITE
    assert np.array_equal(output.command.q, HOME)


def test_a_stranger_does_not_make_the_arm_hold(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(np.full((4, 7), np.nan), stamp=5))
    assert arm.gate.poll() is None
    assert arm.gate.offer(arm.chunk(still())) is None
    output = arm.gate.poll()
    assert output is not None and not output.hold


def test_a_chunk_of_the_episode_before_is_refused(arm: Arm) -> None:
    old = arm.chunk(still())
    arm.task = TaskState(Moment(5 * PERIOD, seed=7, step=0), "task", episode=2)
    arm.observe()
    rejection = arm.gate.offer(old)
    assert rejection is not None and rejection.reason is Reason.WRONG_EPISODE


def test_a_used_up_chunk_is_stale(arm: Arm) -> None:
    chunk = arm.chunk(still())
    arm.gate.offer(chunk)
    arm.step(arm.gate.poll())
    arm.step(arm.gate.poll())
    rejection = arm.gate.offer(chunk)
    assert rejection is not None and rejection.reason is Reason.STALE


# When nothing comes, it holds


def test_it_waits_and_then_holds(arm: Arm) -> None:
    output = arm.held()
    assert output.reason is Reason.NOTHING_RECEIVED
    assert arm.gate.status().state is State.HOLDING


def test_no_waiting_for_what_is_not_due(arm: Arm) -> None:
    arm.step(arm.held())  # step 1 of a chunk that never came
    output = arm.gate.poll()
    assert output is not None and output.hold


def test_the_wait_is_judged_by_receipt_and_not_by_the_stamp(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(still()))
    arm.step(arm.gate.poll())
    moment = arm.task.moment
    arm.task = TaskState(Moment(moment.stamp + 10**12, moment.seed, moment.step + 1), "task", episode=1)
    arm.observe()  # simulated time leapt; no time has passed
    assert arm.gate.poll() is None


def test_nothing_is_sent_after_the_end(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(still()))
    arm.task = TaskState(Moment(2 * PERIOD, 7, 1), "task", episode=1, done=True)
    arm.observe()
    arm.steady.now += 10.0
    assert arm.gate.poll() is None
    assert arm.gate.status().reason is Reason.EPISODE_OVER


# Emergency stop and faults


def test_the_emergency_stop_holds_until_a_new_chunk_after_release(arm: Arm) -> None:
    arm.gate.offer(arm.chunk(np.tile([0.02, 0, 0, 0, 0, 0, 1.0], (4, 1))))
    arm.gate.stop(True)
    output = arm.gate.poll()
    assert output is not None and output.hold and output.reason is Reason.ESTOP
    assert arm.gate.status().state is State.STOPPED
    arm.step(output)
    rejection = arm.gate.offer(arm.chunk(still()))
    assert rejection is not None and rejection.reason is Reason.ESTOP
    arm.step(arm.gate.poll())
    arm.gate.stop(False)
    assert arm.gate.status().state is State.HOLDING
    assert arm.held().reason is Reason.NOTHING_RECEIVED
    arm.step()
    arm.step(arm.gate.poll())
    assert arm.gate.offer(arm.chunk(still())) is None
    output = arm.gate.poll()
    assert output is not None and not output.hold


def test_paused_it_holds_until_it_is_let_go_or_another_episode_begins(arm: Arm) -> None:
    moving = np.tile([0.02, 0, 0, 0, 0, 0, 1.0], (4, 1))
    arm.gate.offer(arm.chunk(moving))
    arm.gate.pause("the task is over")
    output = arm.gate.poll()
    assert output is not None and output.hold and output.reason is Reason.EPISODE_OVER
    assert output.detail == "the task is over" and arm.gate.status().state is State.HOLDING
    rejection = arm.gate.offer(arm.chunk(moving))
    assert rejection is not None and rejection.reason is Reason.EPISODE_OVER
    arm.step(output)
    arm.gate.pause("")
    arm.step(arm.gate.poll())
    assert arm.gate.offer(arm.chunk(moving)) is None  # only a new chunk moves it again
    output = arm.gate.poll()
    assert output is not None and not output.hold
    arm.gate.pause("the task is over")
    arm.task = TaskState(Moment(99 * PERIOD, 8, 0), "task", episode=arm.task.episode + 1)
    arm.observe()
    assert arm.gate.offer(arm.chunk(moving)) is None


def test_a_joint_state_that_is_no_number_is_a_fault_until_cleared(arm: Arm) -> None:
    arm.gate.observe(arm.task, ArmState(np.full(6, np.nan), 1.0))
    output = arm.gate.poll()
    assert output is not None and output.hold
    assert arm.gate.status().state is State.FAULT
    arm.step(output)
    arm.step(arm.gate.poll())
    arm.gate.offer(arm.chunk(still()))
    assert arm.gate.poll().hold  # type: ignore[union-attr]
    arm.gate.clear_fault()
    arm.step()
    arm.step(arm.gate.poll())
    arm.gate.offer(arm.chunk(still()))
    assert not arm.gate.poll().hold  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("shift", "reason"), [(0.5, Reason.STEP_LIMIT), (10.0, Reason.STEP_LIMIT), (np.nan, Reason.NOT_FINITE)]
)
def test_a_servo_that_breaks_a_limit_is_not_obeyed(arm: Arm, shift: float, reason: Reason) -> None:
    class Broken(ToolServo):
        def hold(self):
            return super().hold()

        def command(self, action: np.ndarray):
            command = super().command(action)
            self.q = command.q + shift
            return self.hold()

    gate = Gate(Broken(), execute=2)
    gate.observe(arm.task, ArmState(HOME, 1.0))
    gate.offer(arm.chunk(still()))
    output = gate.poll()
    assert output is not None and output.hold and output.reason is reason
    assert np.array_equal(output.command.q, HOME)
    assert gate.status().state is State.FAULT


# Whatever is offered


finite = st.floats(-0.4, 0.4)
anything = st.one_of(finite, st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, -1.0]))


@st.composite
def garbage(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    rows, columns = draw(st.sampled_from([(4, 7), (4, 7), (4, 7), (1, 7), (9, 7), (4, 3), (0, 7)]))
    values = draw(st.lists(draw(st.sampled_from([finite, anything])), min_size=rows * columns, max_size=rows * columns))
    return np.array(values, dtype=np.float64).reshape(rows, columns), draw(st.integers(-2, 2)), draw(st.integers(-1, 1))


@settings(max_examples=60, deadline=None)
@given(offers=st.lists(garbage(), min_size=1, max_size=6), execute=st.integers(1, 4))
def test_no_garbage_ever_yields_a_command_outside_the_limits(
    offers: list[tuple[np.ndarray, int, int]], execute: int
) -> None:
    arm = Arm(execute)
    arm.observe()
    low, high = SERVO.kinematics.model.jnt_range[:6].T
    reach = np.asarray(SERVO.arm.velocity_limits) * SERVO.duration
    box = np.asarray(SERVO.arm.workspace_low), np.asarray(SERVO.arm.workspace_high)
    before = HOME
    for actions, late, wrong in offers:
        moment = arm.task.moment
        arm.gate.offer(arm.chunk(actions, stamp=moment.stamp + late * PERIOD // 2, seed=moment.seed + wrong))
        output = arm.gate.poll()
        if output is None:
            arm.steady.now += 1.0
            output = arm.gate.poll()
        assert output is not None
        command = output.command
        assert np.isfinite(command.q).all() and 0.0 <= command.gripper <= 1.0 and command.duration > 0
        assert (command.q >= low - 1e-3).all() and (command.q <= high + 1e-3).all()
        assert (np.abs(command.q - before) <= reach * (1 + 1e-6)).all()
        position, _ = SERVO.kinematics.pose(command.q)
        assert np.linalg.norm(position - np.clip(position, *box)) <= SERVO.MAX_ERROR + 0.005
        assert np.isfinite(output.action).all()
        before = command.q
        arm.step(output)


def test_when_time_goes_back_the_gate_begins_anew_and_follows_again(arm: Arm) -> None:
    """As when a simulator is restarted: the same stamps come again and mean other moments."""
    assert arm.gate.offer(arm.chunk(still())) is None
    arm.step(arm.gate.poll())
    arm.step(arm.gate.poll())
    late = arm.chunk(still())
    arm.gate.rewind()
    assert arm.gate.status().state is State.WAITING and arm.gate.poll() is None
    refused = arm.gate.offer(late)
    assert refused is not None and refused.reason is Reason.NO_ARM_STATE
    arm.task = TaskState(Moment(PERIOD, seed=3, step=0), "task", episode=1)
    arm.observe()
    refused = arm.gate.offer(late)
    assert refused is None or refused.reason is Reason.FUTURE  # a little ahead: it waits for a moment that never comes
    assert arm.gate.offer(arm.chunk(still())) is None
    output = arm.gate.poll()
    assert output is not None and not output.hold and output.moment.seed == 3
