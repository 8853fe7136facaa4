"""A person filmed with depth: what is true of it holds together, and hands are found in it and lifted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vgps_models.errors import DataError
from vgps_models.keypoints.hands import LANDMARKS, Hand, HandLandmarker, HandsConfig
from vgps_sim.human.examination import HandsBench, bench_hands, visible
from vgps_sim.human.filming import Film, film
from vgps_sim.tasks import TASKS

TASK = "put_carrot_on_plate"


@pytest.fixture(scope="module")
def made() -> Film:
    return film(TASK, 90_000, width=320, height=240, failures=0.0)


def test_a_film_holds_together(made: Film):
    count = len(made)
    assert made.performance.success and count == made.performance.length == len(made.seconds)
    assert made.rgb.shape == (count, 240, 320, 3) and made.depth.shape == (count, 240, 320)
    assert made.hand.shape == (count, LANDMARKS, 3)
    assert np.allclose(made.camera_pose[:3, :3] @ made.camera_pose[:3, :3].T, np.eye(3), atol=1e-9)
    bones = np.linalg.norm(made.hand[:, 5] - made.hand[:, 0], axis=1)  # from the wrist to the index finger's knuckle
    assert np.ptp(bones) < 1e-6 and 0.07 < bones[0] < 0.12
    pads = (made.hand[:, 4] + made.hand[:, 8]) / 2
    assert np.abs(np.linalg.norm(pads - made.tip, axis=1)).max() < 0.015


def test_the_camera_sees_the_table_where_it_is(made: Film):
    """Lifted into the base frame, the lowest that is seen is the table's top, at height 0."""
    v, u = np.mgrid[0:240:4, 0:320:4]
    points = made.camera.lift(np.stack([u, v], -1).astype(float), made.depth[0][v, u])
    height = (points @ made.camera_pose[:3, :3].T + made.camera_pose[:3, 3])[..., 2]
    near = made.depth[0][v, u] < 3
    on_table = np.abs(height[near]) < 0.004
    assert on_table.mean() > 0.3


def test_what_is_drawn_is_skin_around_the_joints_that_are_to_be_seen(made: Film):
    shown = np.array([visible(made, t) for t in range(len(made))])
    assert 0.05 < shown.mean() < 0.95
    t = int(shown.sum(1).argmax())
    pixels = np.round(made.camera.project(made.hand[t])[shown[t]]).astype(int)
    gap = made.hand[t][shown[t], 2] - made.depth[t][pixels[:, 1], pixels[:, 0]]
    assert (np.abs(gap) < 0.02).all() and np.median(gap) > 0  # joints lie under the skin


def test_a_perfect_detector_is_judged_perfect_but_for_the_depth():
    made = film(next(iter(TASKS)), 90_000, failures=0.0)  # what the bench films first

    def find(image: np.ndarray) -> list[Hand]:
        t = next(t for t, frame in enumerate(made.rgb) if np.array_equal(image, frame))
        return [Hand(made.camera.project(made.hand[t]), "right", 0.9)]

    told = bench_hands(HandsBench(films=1, seed=90_000, every=4), find)
    assert told["found"] == told["called_right"] == 1 and told["error_px"]["p90"] < 1e-6
    assert told["error_mm"]["p50"] < 8


def test_hands_are_found_and_lifted():
    pytest.importorskip("mediapipe")
    told = bench_hands(HandsBench(films=4, seed=92_000))
    assert told["found"] > 0.4 and told["found_where_none_is"] == 0
    assert told["error_mm"]["p50"] < 10 and told["landmarks"] > 80


def test_a_bench_in_which_no_hand_is_found_says_so():
    told = bench_hands(HandsBench(films=1, seed=90_000, every=4), lambda image: [])
    assert told["found"] == 0 and told["landmarks"] == 0 and told["error_mm"] == told["error_px"] == {}


def test_pictures_and_weights_that_are_none_are_refused(tmp_path: Path):
    pytest.importorskip("mediapipe")
    find = HandLandmarker()
    assert find(np.zeros((48, 64, 3), np.uint8)) == []
    with pytest.raises(DataError, match="expected \\(height, width, 3\\) uint8"):
        find(np.zeros((48, 64, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there is no"):
        HandLandmarker(HandsConfig(model=tmp_path / "none.task"))
    damaged = tmp_path / "damaged.task"
    damaged.write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(DataError, match="is damaged"):
        HandLandmarker(HandsConfig(model=damaged))


def test_photographs_are_looked_at_instead_of_films_where_a_folder_is_named(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "empty.png")
    (tmp_path / "hands.json").write_text('{"empty.png": []}', encoding="utf-8")
    told = bench_hands(HandsBench(photographs=tmp_path), lambda image: [])
    assert (told["photographs"], told["hands"], told["others_found"]) == (1, 0, 0)
