"""The tool servo: what is commanded is what the joints do, and never more than the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.spaces import ActionSpec
from vgps_sim.arms import get_arm, tool_down
from vgps_sim.kinematics import IkError, ToolKinematics, ToolServo

SPEC = ActionSpec()
ACTION = st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6).map(lambda v: np.array([*v, 1.0]))


@pytest.fixture(scope="module")
def servo() -> ToolServo:
    return ToolServo(SPEC)


@pytest.fixture(autouse=True)
def _at_home(servo):
    servo.reset(servo.solve_home(), 1.0)


def test_home_points_down(servo):
    position, rotation = servo.kinematics.pose(servo.solve_home())
    np.testing.assert_allclose(position, get_arm("widowx_ai").home_position, atol=1e-3)
    np.testing.assert_allclose(rotation, tool_down(0.0), atol=1e-2)


@settings(max_examples=25)
@given(actions=st.lists(ACTION, min_size=1, max_size=8))
def test_any_actions_stay_within_limits(servo, actions):
    servo.reset(servo.solve_home(), 1.0)
    arm = servo.arm
    for action in actions:
        before, at = servo.q.copy(), servo.position.copy()
        try:
            command = servo.command(action)
        except IkError:
            np.testing.assert_array_equal(servo.q, before)
            np.testing.assert_array_equal(servo.position, at)
            continue
        assert (np.abs(command.q - before) <= np.asarray(arm.velocity_limits) * servo.duration + 1e-9).all()
        assert np.linalg.norm(servo.position - at) <= SPEC.max_translation + servo.MAX_ERROR + 1e-9
        low, high = servo.kinematics.model.jnt_range[:6].T
        assert (command.q >= low - 1e-6).all() and (command.q <= high + 1e-6).all()
        reached, _ = servo.kinematics.pose(command.q)
        assert reached[2] > -1e-3, "the tool went into the table"


def test_displacements_add_up_in_the_commanded_pose(servo):
    start = servo.position.copy()
    for _ in range(5):
        servo.command(np.array([0.01, 0.004, -0.01, 0, 0, 0.1, 1]))
    reached, rotation = servo.kinematics.pose(servo.q)
    np.testing.assert_allclose(reached - start, [0.05, 0.02, -0.05], atol=1e-3)
    turned = Rotation.from_matrix(rotation @ tool_down(0.0).T).as_rotvec()
    np.testing.assert_allclose(turned, [0, 0, 0.5], atol=0.02)


def test_the_whole_layout_region_can_be_reached_at_any_yaw(servo):
    for x in (0.19, 0.27, 0.35):
        for y in (-0.15, 0.0, 0.15):
            for yaw in (-1.5, 0.0, 1.5):
                for z in (0.11, 0.005):
                    goal, rotation = np.array([x, y, z]), tool_down(yaw)
                    q = servo.solve(goal, rotation, servo.solve_home())
                    reached, turned = servo.kinematics.pose(q)
                    assert np.linalg.norm(reached - goal) < 3e-3
                    assert np.linalg.norm(Rotation.from_matrix(turned.T @ rotation).as_rotvec()) < 0.04


def test_the_workspace_box_stops_the_tool(servo):
    for _ in range(20):
        servo.command(np.array([0, 0, 0.03, 0, 0, 0, 0]))
    assert servo.position[2] <= servo.arm.workspace_high[2] + 1e-9
    for _ in range(20):
        servo.command(np.array([0, 0, -0.03, 0, 0, 0, 0]))
    assert servo.position[2] >= servo.arm.workspace_low[2] - 1e-6


def test_nonsense_is_refused_and_changes_nothing(servo):
    before = servo.position.copy(), servo.q.copy()
    for action in (np.full(7, np.nan), np.zeros(6), np.array([np.inf] * 7)):
        with pytest.raises(SpecError):
            servo.command(action)
    np.testing.assert_array_equal(before[0], servo.position)
    np.testing.assert_array_equal(before[1], servo.q)


def test_proprio_is_the_pose():
    kinematics = ToolKinematics()
    q = np.array([0.2, 1.2, 1.1, -1.3, 0.1, 0.3])
    position, rotation = kinematics.pose(q)
    np.testing.assert_allclose(
        kinematics.proprio(q, 0.5), [*position, *rotation[:, 0], *rotation[:, 1], 0.5], atol=1e-6
    )
