"""Messages: what goes over ROS comes back as it was, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rclpy.serialization import deserialize_message, serialize_message

from vgps_models.contract import Contract
from vgps_models.errors import DataError
from vgps_msgs.msg import GateStatus
from vgps_node import messages
from vgps_node.gate import Output, Reason, State, Status
from vgps_node.moments import ArmState, Candidates, Chunk, Moment, Scores, TaskState
from vgps_sim.kinematics import JointCommand

CONTRACT = Contract.load()
moments = st.builds(
    Moment, st.integers(0, 2**31 * 10**9 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1)
)
numbers = st.floats(allow_nan=True, allow_infinity=True)
six = hnp.arrays(np.float64, 6, elements=st.floats(-10, 10))


def wire(message):
    """Through the middleware's own serialisation."""
    return deserialize_message(serialize_message(message), type(message))


@given(moment=moments, data=st.data(), k=st.integers(1, 5))
def test_candidates_and_chunks(moment: Moment, data: st.DataObject, k: int) -> None:
    actions = data.draw(hnp.arrays(np.float64, (k, 4, 7), elements=numbers))
    log_prob = data.draw(st.none() | hnp.arrays(np.float64, k, elements=numbers))
    back = messages.candidates_from_msg(wire(messages.candidates_to_msg(Candidates(moment, actions, 1.25, log_prob))))
    assert back.moment == moment and back.sample_ms == 1.25
    np.testing.assert_array_equal(back.actions, actions)
    assert (back.log_prob is None) == (log_prob is None)
    if log_prob is not None:
        np.testing.assert_array_equal(back.log_prob, log_prob)
    chunk = messages.chunk_from_msg(wire(messages.chunk_to_msg(Chunk(moment, actions[0]))))
    assert chunk.moment == moment
    np.testing.assert_array_equal(chunk.actions, actions[0])


@given(moment=moments, data=st.data(), k=st.integers(0, 5))
def test_scores(moment: Moment, data: st.DataObject, k: int) -> None:
    mean, std = (data.draw(hnp.arrays(np.float64, k, elements=numbers)) for _ in range(2))
    scores = Scores(moment, "argmax", mean, std, k - 1, 0.5, True, 3, 1.5, 2.5, 3.5)
    back = messages.scores_from_msg(wire(messages.scores_to_msg(scores)))
    np.testing.assert_array_equal(back.mean, mean)
    np.testing.assert_array_equal(back.std, std)
    assert {**vars(back), "mean": 0, "std": 0} == {**vars(scores), "mean": 0, "std": 0}


@given(moment=moments, events=st.lists(st.sampled_from(["grasped", "lifted"])), flags=st.tuples(*[st.booleans()] * 2))
def test_task_state(moment: Moment, events: list[str], flags: tuple[bool, bool]) -> None:
    state = TaskState(moment, "a_task", "do it", 3, tuple(events), *flags, 12.5)
    assert messages.task_state_from_msg(wire(messages.task_state_to_msg(state))) == state


@given(q=six, velocity=six, metres=st.floats(0, 0.044), order=st.permutations(range(7)))
def test_arm_state_by_name_whatever_the_order(
    q: np.ndarray, velocity: np.ndarray, metres: float, order: list[int]
) -> None:
    arm = ArmState(q, metres / CONTRACT.gripper_travel, velocity)  # as a joint's position gives it
    message = messages.arm_state_to_msg(arm, 5, CONTRACT)
    for name in ("name", "position", "velocity", "effort"):
        values = list(getattr(message, name))
        setattr(message, name, [values[i] for i in order])
    back = messages.arm_state_from_msg(wire(message), CONTRACT)
    assert np.array_equal(back.q, q) and np.array_equal(back.velocity, velocity)
    assert back.gripper == min(arm.gripper, 1.0)


@given(q=six, gripper=st.sampled_from([0.0, 1.0, 0.5]), duration=st.integers(1, 5 * 10**9))
def test_joint_command(q: np.ndarray, gripper: float, duration: int) -> None:
    command = JointCommand(q, gripper, duration / 1e9)
    message = wire(messages.command_to_msg(command, 99, CONTRACT))
    back = messages.command_from_msg(message, CONTRACT)
    assert np.array_equal(back.q, q) and back.gripper == gripper and messages.stamp_of(message) == 99
    assert back.duration == pytest.approx(command.duration, abs=1e-9)


@given(pixels=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))), pad=st.integers(0, 5))
def test_images_of_both_orders_with_and_without_padding(pixels: np.ndarray, pad: int) -> None:
    message = messages.image_to_msg(pixels, 7, "frame")
    assert np.array_equal(messages.image_from_msg(wire(message)), pixels)
    height, width, _ = pixels.shape
    padded = np.zeros((height, 3 * width + pad), np.uint8)
    padded[:, : 3 * width] = pixels[..., ::-1].reshape(height, -1)
    message.data, message.step, message.encoding = padded.tobytes(), 3 * width + pad, "bgr8"
    assert np.array_equal(messages.image_from_msg(message), pixels)


def test_what_is_not_as_it_says_is_refused() -> None:
    image = messages.image_to_msg(np.zeros((4, 4, 3), np.uint8), 0, "f")
    image.height = 5
    with pytest.raises(DataError, match="5x4"):
        messages.image_from_msg(image)
    image.encoding = "mono8"
    with pytest.raises(DataError, match="rgb8"):
        messages.image_from_msg(image)
    chunk = messages.chunk_to_msg(Chunk(Moment(0), np.zeros((4, 7))))
    chunk.horizon = 5
    with pytest.raises(DataError, match="28 numbers"):
        messages.chunk_from_msg(chunk)
    candidates = messages.candidates_to_msg(Candidates(Moment(0), np.zeros((2, 4, 7)), log_prob=np.zeros(2)))
    candidates.log_prob = [0.0]
    with pytest.raises(DataError, match="log_prob"):
        messages.candidates_from_msg(candidates)
    with pytest.raises(DataError, match="holds none"):
        messages.candidates_from_msg(messages.candidates_to_msg(Candidates(Moment(0), np.zeros((0, 4, 7)))))
    joints = messages.arm_state_to_msg(ArmState(np.zeros(6), 1.0), 0, CONTRACT)
    joints.name = ["other", *list(joints.name)[1:]]
    with pytest.raises(DataError, match="joint_0"):
        messages.arm_state_from_msg(joints, CONTRACT)
    command = messages.command_to_msg(JointCommand(np.zeros(6), 1.0, 0.2), 0, CONTRACT)
    command.points = []
    with pytest.raises(DataError, match="no points"):
        messages.command_from_msg(command, CONTRACT)


def test_the_gate_and_its_message_number_states_and_reasons_alike() -> None:
    for prefix, names in (("STATE_", State), ("REASON_", Reason)):
        constants = {name: getattr(GateStatus, name) for name in dir(GateStatus) if name.startswith(prefix)}
        assert constants == {prefix + member.name: member.value for member in names}


def test_status_and_sent_action() -> None:
    status = Status(Moment(3), State.HOLDING, Reason.STALE, "why", 4, 5, 0.5)
    message = wire(messages.status_to_msg(status))
    assert (message.state, message.reason, message.detail) == (State.HOLDING, Reason.STALE, "why")
    assert (message.accepted, message.rejected, message.since_chunk) == (4, 5, 0.5)
    action = np.arange(7) / 3
    output = Output(Moment(3, 1, 2), JointCommand(np.zeros(6), 1.0, 0.1), action, True, Reason.IK, "far")
    message = wire(messages.sent_action_to_msg(output))
    assert np.array_equal(message.action, action) and message.hold and message.reason == Reason.IK


def test_camera_info_is_the_pinhole_of_its_field_of_view() -> None:
    info = messages.camera_info(0, "f", 100, 200, 90.0)
    assert info.k[0] == pytest.approx(50.0) and (info.k[2], info.k[5]) == (99.5, 49.5)
