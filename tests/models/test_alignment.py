"""Depth in another camera's frame: what it must be whatever the cameras, and what a slow reading of the rule gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_closing
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd.alignment import SAME, Alignment

EYE = np.eye(4)
focal, shift = st.floats(10, 40), st.floats(-1.5, 1.5)


@st.composite
def cameras(draw: st.DrawFn) -> Intrinsics:
    width, height = draw(st.integers(8, 20)), draw(st.integers(8, 20))
    centre = (width - 1) / 2 + draw(shift), (height - 1) / 2 + draw(shift)
    return Intrinsics(width, height, draw(focal), draw(focal), *centre)


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    """Side by side: some centimetres, some degrees."""
    made = np.eye(4)
    made[:3, :3] = Rotation.from_rotvec([draw(st.floats(-0.1, 0.1)) for _ in range(3)]).as_matrix()
    made[:3, 3] = [draw(st.floats(-0.05, 0.05)) for _ in range(3)]
    return made


def depths(camera: Intrinsics) -> st.SearchStrategy[np.ndarray]:
    metres = st.one_of(st.floats(0.3, 3.0), st.sampled_from([np.nan, 0.0, 0.5, 2.0]))
    return arrays(np.float64, (camera.height, camera.width), elements=metres)


def slowly(depth: np.ndarray, one: Intrinsics, other: Intrinsics, pose: np.ndarray) -> np.ndarray:
    """The rule, pixel by pixel."""
    layers = np.full((2, other.height, other.width), np.inf)
    for row, column in np.ndindex(depth.shape):
        z = depth[row, column]
        if not z > 0:
            continue
        corners = np.array([[column - 0.5, row - 0.5], [column + 0.5, row + 0.5]])
        there = one.lift(corners, np.full(2, z)) @ pose[:3, :3].T + pose[:3, 3]
        z_there = (one.lift(np.array([column, row]), np.array(z)) @ pose[:3, :3].T + pose[:3, 3])[2]
        low, high = np.sort(other.project(there), axis=0)
        more = 0.25 * (high - low)
        spans = (np.ceil(low), np.ceil(high) - 1), (np.ceil(low - more), np.ceil(high + more) - 1)
        for layer, (first, last) in zip(layers, spans, strict=True):
            for y in range(max(0, int(first[1])), min(other.height - 1, int(last[1])) + 1):
                for x in range(max(0, int(first[0])), min(other.width - 1, int(last[0])) + 1):
                    layer[y, x] = min(layer[y, x], z_there)
    made = np.where(layers[0] < layers[1] + SAME, *layers)
    return np.where(np.isfinite(made), made, np.nan)


@given(st.data(), cameras(), cameras(), poses())
@settings(max_examples=60, deadline=None)
def test_it_is_what_the_rule_says(data, one, other, pose):
    depth = data.draw(depths(one))
    assert Alignment(one, other, pose)(depth) == pytest.approx(slowly(depth, one, other, pose), nan_ok=True)


@given(st.data(), cameras())
@settings(max_examples=40, deadline=None)
def test_from_a_camera_to_itself_nothing_changes(data, camera):
    depth = data.draw(depths(camera))
    assert Alignment(camera, camera, EYE)(depth) == pytest.approx(np.where(depth > 0, depth, np.nan), nan_ok=True)


@given(cameras(), poses(), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.5, 2.0))
@settings(max_examples=60, deadline=None)
def test_a_plane_stays_that_plane_without_holes(camera, pose, across, down, distance):
    """Both cameras are alike and fine enough for the step between pixels to be small beside the plane's distance."""
    fine = Intrinsics(60, 50, 80 + camera.fx, 80 + camera.fy, 29.3, 24.8)
    normal = np.array([across, down, 1.0])  # of n x = distance, in the first camera's frame
    pixels = np.stack(np.meshgrid(np.arange(60.0), np.arange(50.0)), -1)
    rays = fine.lift(pixels, np.ones((50, 60)))
    seen = Alignment(fine, fine, pose)(distance / (rays @ normal))
    turned = pose[:3, :3] @ normal
    true = (distance + turned @ pose[:3, 3]) / (rays @ turned)
    slope = abs(np.asarray(np.gradient(true, axis=0))) + abs(
        np.asarray(np.gradient(true, axis=1))
    )  # [m] from a pixel to the next
    known = np.isfinite(seen)
    assert (abs(seen - true)[known] <= 1.5 * slope[known] + 1e-3 * true[known]).all()
    closed = binary_closing(known, np.ones((3, 3)))
    assert not (closed & ~known)[2:-2, 2:-2].any()


@given(cameras(), poses(), st.floats(0.4, 0.8), st.floats(1.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_the_nearest_wins(camera, pose, near, far):
    """A box before a wall: wherever the box alone would be seen, nothing is seen through it."""
    align = Alignment(camera, camera, pose)
    wall, box = np.full((camera.height, camera.width), far), np.full((camera.height, camera.width), np.nan)
    box[2:6, 2:6] = near
    seen, alone = align(np.where(np.isfinite(box), box, wall)), align(box)
    there = np.isfinite(alone)
    assert (seen[there] <= alone[there] + SAME).all()


def test_what_the_depth_camera_did_not_see_stays_open():
    """Beside a box the other camera looks at what the box hides."""
    camera = Intrinsics(80, 60, 80.0, 80.0, 39.5, 29.5)
    pose = np.eye(4)
    pose[0, 3] = 0.05
    depth = np.full((60, 80), 2.0)
    depth[20:40, 30:50] = 0.5
    seen = Alignment(camera, camera, pose)(depth)
    moved, stayed = round(80 * 0.05 / 0.5), round(80 * 0.05 / 2.0)
    assert np.allclose(seen[22:38, 30 + moved : 50 + moved], 0.5)
    shadow = seen[22:38, 30 + stayed + 1 : 30 + moved - 1]
    assert shadow.size and np.isnan(shadow).all()


def test_cameras_of_another_size_and_poses_that_are_none_are_refused():
    camera = Intrinsics(16, 12, 20.0, 20.0, 7.5, 5.5)
    with pytest.raises(SpecError, match="16 x 12"):
        Alignment(camera, camera, EYE)(np.ones((12, 15)))
    for pose in (np.diag([1.0, 1, 2, 1]), np.diag([-1.0, 1, 1, 1]), np.full((4, 4), np.nan)):
        with pytest.raises(SpecError, match="no rotation"):
            Alignment(camera, camera, pose)


def test_what_lies_behind_the_other_camera_is_not_seen():
    camera = Intrinsics(16, 12, 20.0, 20.0, 7.5, 5.5)
    pose = np.eye(4)
    pose[2, 3] = -1.0
    assert np.isnan(Alignment(camera, camera, pose)(np.full((12, 16), 0.9))).all()
