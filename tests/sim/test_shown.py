"""From points of a person to an arm and a gripper in the place of its fingers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError
from vgps_models.turns import turned
from vgps_sim.human.filming import Film, film
from vgps_sim.retarget.shown import above, moved, palm_axes, pinch_axes, seated, shown


@pytest.fixture(scope="module")
def made() -> Film:
    return film("put_carrot_on_plate", 91_000, width=64, height=48, failures=0.0, fps=25, whole=True)


def points(made: Film) -> tuple[np.ndarray, np.ndarray]:
    """Hand and arm in the base frame."""
    turn, at = made.camera_pose[:3, :3], made.camera_pose[:3, 3]
    arm = np.stack([made.shoulder, made.elbow, made.hand[:, 0]], axis=1)
    return made.hand @ turn.T + at, arm @ turn.T + at


def angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Between rotations (T, 3, 3) [deg]."""
    trace = np.einsum("tij,tij->t", one, other)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def test_a_gripper_takes_the_place_of_the_fingers(made):
    hand, arm = points(made)
    person = shown(hand, arm, 0.04)
    tip = made.tip @ made.camera_pose[:3, :3].T + made.camera_pose[:3, 3]
    assert np.abs(person.tip.position - tip).max() < 0.002
    assert np.median(angle(person.tip.rotation, made.camera_pose[:3, :3] @ made.pinch)) < 4
    assert person.arm.lengths == pytest.approx((0.30, 0.27), abs=0.03)
    # The back of the hand is up and the thumb on the left, as of a right hand over a table.
    assert (person.arm.hand[:, 2, 2] > 0).mean() > 0.9


def test_the_palm_is_told_by_six_joints_and_not_by_one(made):
    rng = np.random.default_rng(0)
    true = palm_axes(made.hand)
    noisy = made.hand + rng.normal(0, 0.004, made.hand.shape)
    assert np.median(angle(palm_axes(noisy), true)) < 5
    assert np.median(angle(pinch_axes(noisy, palm_axes(noisy)), pinch_axes(made.hand, true))) < 8


@settings(max_examples=20, deadline=None)
@given(yaw=st.floats(-3.1, 3.1), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_seated_is_the_same_wherever_the_person_sits(made, yaw, x, y):
    hand, arm = points(made)
    person = shown(hand[::10], arm[::10], 0.4)
    one = seated(person)
    other = seated(moved(person, turned(yaw), np.array([x, y, 0.0])))
    assert one.tip.position == pytest.approx(other.tip.position, abs=1e-6)
    assert one.tip.rotation == pytest.approx(other.tip.rotation, abs=1e-6)
    assert one.arm.hand == pytest.approx(other.arm.hand, abs=1e-6)
    assert one.tip.position[:, 2] == pytest.approx(person.tip.position[:, 2])
    assert one.arm.shoulder[:, :2].mean(0)[0] < one.tip.position[:, 0].mean()  # reaches forward


def test_unknown_landmarks_are_refused(made):
    hand, _ = points(made)
    hand = hand.copy()
    hand[3, 7] = np.nan
    with pytest.raises(DataError, match="bridge its gaps first"):
        palm_axes(hand)


def test_fingers_are_not_in_the_table(made):
    person = shown(*points(made), 0.04)
    sunk = moved(person, np.eye(3), np.array([0.0, 0.0, -0.05]))
    lifted = above(sunk, 0.012)
    assert lifted.tip.position[:, 2].min() == pytest.approx(0.012) and sunk.tip.position[:, 2].min() < 0
    free = sunk.tip.position[:, 2] > 0.012
    assert free.any() and np.array_equal(lifted.tip.position[free], sunk.tip.position[free])
