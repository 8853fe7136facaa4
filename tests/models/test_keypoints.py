"""Landmarks lifted by depth with holes and edges, and smoothed over time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.filters import OneEuro, OneEuroConfig
from vgps_models.keypoints.lifting import Lifting, lift, metres

CAMERA = Intrinsics.of_fovy(160, 120, 45.0)
EXACT = Lifting(inside=0.0)
points = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.15, 0.15), st.floats(0.4, 2.0))


@given(points)
def test_lifting_undoes_projection(point):
    p = np.array(point)
    assert CAMERA.lift(CAMERA.project(p), p[2]) == pytest.approx(p, abs=1e-12)


def test_a_ray_through_the_middle_goes_straight():
    assert CAMERA.project(np.array([0.0, 0.0, 1.0])) == pytest.approx([79.5, 59.5])
    above = CAMERA.project(np.array([0.0, -np.tan(np.radians(22.5)), 1.0]))
    assert above[1] == pytest.approx(-0.5)  # the upper edge of the upper row


@settings(max_examples=50)
@given(st.floats(0.4, 2.0), st.floats(0, 0.6), st.integers(0, 10_000))
def test_holes_change_nothing_while_enough_is_left(far, holes, seed):
    random = np.random.default_rng(seed)
    depth = np.full((120, 160), far)
    depth[random.random(depth.shape) < holes] = np.nan
    found = lift(depth, np.array([[80.0, 60.0]]), np.ones(1), CAMERA, EXACT)
    patch = depth[58:63, 78:83]
    if np.isfinite(patch).mean() >= EXACT.valid:
        assert found.position[0, 2] == pytest.approx(far)
        assert found.confidence[0] == pytest.approx(np.isfinite(patch).mean())
    else:
        assert np.isnan(found.position).all() and found.confidence[0] == 0 and not found.known.any()


def test_at_an_edge_the_finger_counts_and_not_the_table_behind():
    depth = np.full((120, 160), 0.80)
    depth[:, :80] = 0.60  # a finger whose edge runs through the patch
    found = lift(depth, np.array([[80.0, 60.0]]), np.ones(1), CAMERA, EXACT)
    assert found.position[0, 2] == pytest.approx(0.60) and found.confidence[0] == pytest.approx(0.4)


def test_a_single_near_pixel_is_noise():
    depth = np.full((120, 160), 0.8)
    depth[60, 80] = 0.2
    assert lift(depth, np.array([[80.0, 60.0]]), np.ones(1), CAMERA, EXACT).position[0, 2] == pytest.approx(0.8)


def test_a_landmark_far_off_its_hand_is_not_believed():
    depth = np.full((120, 160), 0.6)
    depth[100:, :] = 0.9
    pixels = np.array([[80.0, 40.0], [90.0, 50.0], [85.0, 60.0], [80.0, 110.0]])
    found = lift(depth, pixels, np.full(4, 0.8), CAMERA)
    assert found.known.tolist() == [True, True, True, False]
    assert found.confidence[:3] == pytest.approx(0.8)


def test_joints_lie_under_the_skin_along_the_ray():
    depth = np.full((120, 160), 0.5)
    pixels = np.array([[20.0, 30.0]])
    skin, joint = (lift(depth, pixels, np.ones(1), CAMERA, s).position[0] for s in (EXACT, Lifting(inside=0.01)))
    assert np.linalg.norm(joint - skin) == pytest.approx(0.01) and np.allclose(np.cross(joint, skin), 0)


@pytest.mark.parametrize("pixel", [(-1.0, 5.0), (500.0, 5.0), (np.nan, 5.0), (5.0, np.inf)])
def test_what_lies_outside_is_unknown(pixel):
    found = lift(np.full((120, 160), 0.5), np.array([pixel]), np.ones(1), CAMERA)
    assert found.confidence[0] == 0 and not np.isfinite(found.position).any()


def test_nothing_but_holes_is_nothing_known():
    found = lift(np.full((120, 160), np.nan), np.full((21, 2), 60.0), np.ones(21), CAMERA)
    assert not found.known.any() and found.position.shape == (21, 3)


def test_depth_comes_in_millimetres_or_metres_and_0_is_a_hole():
    depth = np.array([[0, 500]], np.uint16)
    assert np.isnan(metres(depth)[0, 0]) and metres(depth)[0, 1] == 0.5
    assert np.isnan(metres(np.array([[-1.0, np.inf]], np.float32))).all()
    for wrong in (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.int32)):
        with pytest.raises(DataError, match="expected \\(height, width\\)"):
            metres(wrong)


def test_intrinsics_of_another_stream_are_noticed():
    with pytest.raises(SpecError, match="is 640 x 480 px, but the intrinsics are of 160 x 120"):
        lift(np.zeros((480, 640)), np.zeros((1, 2)), np.ones(1), CAMERA)
    with pytest.raises(SpecError, match="the centre lies in the picture"):
        Intrinsics(10, 10, 5.0, 5.0, 20.0, 5.0)


def test_what_rests_trembles_less_and_what_moves_is_followed():
    random, t = np.random.default_rng(0), np.arange(150) / 30
    still = random.normal(0, 0.004, (len(t), 1, 3))
    moving = np.zeros((len(t), 1, 3))
    moving[:, 0, 0] = 0.5 * np.clip(t - 2, 0, 1)  # 0.5 m/s for a second
    quiet, quick = (
        np.array([f(p, s) for p, s in zip(path, t, strict=True)])
        for f, path in ((OneEuro(), still), (OneEuro(), moving))
    )
    assert quiet[30:].std() < 0.6 * still[30:].std()
    assert np.abs(quick - moving).max() < 0.02 and np.abs(quick[-1] - moving[-1]).max() < 0.002


def test_the_path_of_a_filter_that_is_never_slow_is_the_signal():
    path = np.cumsum(np.random.default_rng(1).normal(size=(50, 2, 3)), axis=0)
    f = OneEuro(OneEuroConfig(cutoff=1e9, speed=0.0))
    assert np.allclose([f(p, i + 1.0) for i, p in enumerate(path)], path, atol=1e-6)


def test_points_that_vanish_begin_anew():
    f = OneEuro()
    f(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0)
    gone = f(np.array([[np.nan, np.nan], [1.0, 1.0]]), 0.1)
    assert np.isnan(gone[0]).all() and gone[1] == pytest.approx([1.0, 1.0])
    back = f(np.array([[5.0, 5.0], [1.0, 1.0]]), 0.2)
    assert back[0] == pytest.approx([5.0, 5.0])
    after = f(np.array([[5.1, 5.0], [1.0, 1.0]]), 0.3)
    assert 5.0 < after[0, 0] < 5.1


def test_time_goes_forward():
    f = OneEuro()
    f(np.zeros((1, 3)), 1.0)
    for points, seconds in ((np.zeros((1, 3)), 1.0), (np.zeros((2, 3)), 2.0)):
        with pytest.raises(DataError, match="the same shape, and later"):
            f(points, seconds)
    with pytest.raises(SpecError, match="above 0"):
        OneEuroConfig(cutoff=0.0)
