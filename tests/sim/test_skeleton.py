"""A hand of bones fitted to landmarks: back from what it was posed as, also where half of it is hidden."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_sim.human.filming import Film, film
from vgps_sim.human.grip import pinch
from vgps_sim.human.rig import LANDMARKS, landmarks, load_rig
from vgps_sim.human.skeleton import FitConfig, HandSkeleton, fit_hand

CAMERA = Intrinsics.of_fovy(640, 480, 45.0)


@pytest.fixture(scope="module")
def made() -> Film:
    return film("put_carrot_on_plate", 91_000, width=64, height=48, failures=0.0, fps=25, whole=True)


def seen(made: Film, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depth in a camera of 640 x 480, with noise."""
    pixels = CAMERA.project(made.hand) + rng.normal(0, 1.0, made.hand.shape[:2] + (2,))
    return pixels, made.hand[..., 2] + rng.normal(0, 0.003, made.hand.shape[:2])


def error(found: np.ndarray, made: Film) -> float:
    return float(np.median(np.linalg.norm(found - made.hand[: len(found)], axis=-1)))


@pytest.mark.parametrize("size", [0.9, 1.0, 1.1])
def test_the_skeleton_has_the_bones_of_the_rig(size):
    skeleton = HandSkeleton(CAMERA, size)
    q = np.zeros(skeleton.model.nq)
    q[3] = 1
    mine, theirs = skeleton.landmarks(q), landmarks(load_rig().pose(np.eye(4), {}, size))
    assert mine == pytest.approx(theirs, abs=1e-7) and len(LANDMARKS) == len(mine)


def test_joints_bend_as_the_rig_bends_them():
    skeleton, held = HandSkeleton(CAMERA), pinch(0.03)
    q = np.zeros(skeleton.model.nq)
    q[3] = 1
    for joint, (bent, spread, turn) in held.bends.items():
        for what, angle in (("bend", bent), ("spread", spread), ("turn", turn)):
            name = f"{joint} {what}"
            if angle:
                q[skeleton.model.joint(name).qposadr[0]] = angle
    assert skeleton.landmarks(q) == pytest.approx(landmarks(load_rig().pose(np.eye(4), held.bends)), abs=1e-7)


def test_steps_are_downhill():
    """The right side of the equations is minus half the slope of the cost where all weights are 1."""
    skeleton = HandSkeleton(CAMERA, config=FitConfig(pixels=1e4, depth=1e4))  # so far off that robust weights are 1
    rng = np.random.default_rng(0)
    q = np.r_[0.02, -0.03, 0.6, 1, 0, 0, 0, skeleton._ease + rng.normal(0, 0.1, len(skeleton._ease))]
    pixels, depth = rng.uniform(100, 400, (21, 2)), rng.uniform(0.4, 0.8, 21)
    _, right, cost = skeleton._system(q, pixels, depth, None, 1e9)

    for i in range(6, skeleton.model.nv):
        step = np.zeros(skeleton.model.nv)
        step[i] = 1e-6
        moved = q.copy()
        mujoco.mj_integratePos(skeleton.model, moved, step, 1.0)
        slope = (skeleton._system(moved, pixels, depth, None, 1e9)[2] - cost) / 1e-6
        assert slope == pytest.approx(-2 * right[i], rel=1e-3, abs=1e-3)


def test_a_hand_that_is_seen_whole_is_found_again(made):
    pixels, depth = seen(made, np.random.default_rng(0))
    found, size = fit_hand(pixels[:40], depth[:40], CAMERA, 0.04)
    assert error(found, made) < 0.006 and 0.86 <= size <= 1.14


def test_what_hides_a_finger_does_not_pull_it(made):
    """Two fingers have the depth of something 5 cm before them; lifted as seen they would be that far off."""
    pixels, depth = seen(made, np.random.default_rng(1))
    hidden = [6, 7, 8, 10, 11, 12]
    depth[:, hidden] -= 0.05
    found, _ = fit_hand(pixels[:40], depth[:40], CAMERA, 0.04)
    off = np.linalg.norm(found - made.hand[:40], axis=-1)
    assert np.median(off[:, hidden]) < 0.02 and np.median(off) < 0.01


def test_frames_without_a_hand_stay_unknown(made):
    pixels, depth = seen(made, np.random.default_rng(2))
    pixels[5:9] = np.nan
    depth[12] = np.nan
    found, _ = fit_hand(pixels[:20], depth[:20], CAMERA, 0.04)
    assert np.isnan(found[[5, 6, 7, 8, 12]]).all() and np.isfinite(found[[4, 9, 11, 13]]).all()
    with pytest.raises(DataError, match="no hand was seen"):
        fit_hand(np.full((3, 21, 2), np.nan), depth[:3], CAMERA, 0.04)
