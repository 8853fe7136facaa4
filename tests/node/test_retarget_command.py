"""`vgps film` and `vgps retarget`: a recording of a person to a motion and a page, whole and damaged."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from vgps_models.keypoints import pose_landmarker
from vgps_models.keypoints.finder import PointFinder
from vgps_models.keypoints.person import ARM
from vgps_models.keypoints.pose_landmarker import PoseConfig
from vgps_node.cli import main
from vgps_sim.retarget.chains import get_chain

pytest.importorskip("mediapipe")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("film") / "carrot"
    arguments = ["put_carrot_on_plate", "--out", str(out), "--seed", "93003", "--fps", "5"]
    assert main(["film", *arguments]) == 0
    return out


def retarget(recording: Path, out: Path, *more: str) -> dict:
    assert main(["retarget", str(recording), "--out", str(out), *more]) == 0
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("arm", ["widowx_ai", "widowx_250s"])
def test_a_recording_becomes_a_motion_and_a_page(recording, tmp_path, arm, capsys):
    told = retarget(recording, tmp_path, "--arm", arm)
    assert told["hand_found"] > 0.8 and min(told["joints_seen"].values()) > 0.7
    with (tmp_path / "motion.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    q, (low, high) = np.array([row[1:7] for row in rows[1:]], float), get_chain(arm).limits
    assert rows[0][1:7] == [f"{name}_rad" for name in get_chain(arm).joints]
    assert len(q) > 10 and ((q >= low - 1e-4) & (q <= high + 1e-4)).all()
    assert told["ways"]["retargeted"]["jerk"] < 0.8 * told["ways"]["end effector"]["jerk"]
    assert told["ways"]["retargeted"]["limits_broken"] == told["ways"]["retargeted"]["collisions"] == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3 and page.count("data:image/jpeg") == 10 and "Nothing was noticed" not in page
    assert "report.html" in capsys.readouterr().out


class Elsewhere(PointFinder):
    """In place of a pose landmarker, which sees no person in an arm of rods: what the points see."""

    asked: Path

    def __init__(self, config: PoseConfig) -> None:
        found = PointFinder.load("points", ARM)
        super().__init__(found.net, found.names)
        Elsewhere.asked = config.model


def test_the_arm_is_found_by_a_pose_landmarker_where_one_is_named(recording, tmp_path, monkeypatch):
    by_points = retarget(recording, tmp_path / "points")
    monkeypatch.setattr(pose_landmarker, "PoseLandmarker", Elsewhere)
    by_pose = retarget(recording, tmp_path / "pose", "--pose", "some.task", "--points", "nothing")
    assert Elsewhere.asked == Path("some.task")
    assert by_pose["joints_seen"] == by_points["joints_seen"] and by_pose["ways"] == by_points["ways"]


def test_what_is_wrong_with_a_recording_is_told(recording, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(recording, broken)
    (broken / "color" / "000006.jpg").unlink()
    (broken / "depth" / "000008.png").write_bytes((broken / "depth" / "000008.png").read_bytes()[:500])
    Picture.open(broken / "color" / "000012.jpg").transpose(Picture.Transpose.FLIP_LEFT_RIGHT).save(
        broken / "color" / "000012.jpg"
    )
    faults = retarget(broken, tmp_path / "out")["faults"]
    assert faults["missing frames"] == faults["unreadable depth"] == 1
    said = capsys.readouterr().out
    assert "noticed: unreadable depth: depth/000008.png" in said
    assert "unreadable depth" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_frames_that_are_mirrored_are_noticed(recording, tmp_path):
    mirrored = tmp_path / "mirrored"
    shutil.copytree(recording, mirrored)
    for path in sorted(mirrored.glob("*/0*")):
        if int(path.stem) % 3 == 0:
            picture = Picture.open(path)
            picture.load()
            picture.transpose(Picture.Transpose.FLIP_LEFT_RIGHT).save(path)
    faults = retarget(mirrored, tmp_path / "out")["faults"]
    assert faults.get("left and right swapped", 0) + faults.get("another's hand", 0) > 0


@pytest.mark.parametrize("change", [{"depth_scale": 500.0}, {"fx": 0.5, "fy": 0.5}, {"fx": 1.6, "fy": 1.6}])
def test_intrinsics_of_another_stream_of_the_same_size_are_noticed(recording, tmp_path, change, capsys):
    """Nobody's hand is that large or small; that the arm is then too long may make it an error."""
    other = tmp_path / "other"
    shutil.copytree(recording, other)
    told = json.loads((other / "camera.json").read_text(encoding="utf-8"))
    changed = {name: value * told[name] if name in told and value < 2 else value for name, value in change.items()}
    (other / "camera.json").write_text(json.dumps(told | changed), encoding="utf-8")
    main(["retarget", str(other), "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert "implausible size" in said.out + said.err


def test_intrinsics_of_another_size_are_refused(recording, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(recording, other)
    told = json.loads((other / "camera.json").read_text(encoding="utf-8"))
    (other / "camera.json").write_text(
        json.dumps(told | {"width": 1280, "height": 960, "cx": 640, "cy": 480}), encoding="utf-8"
    )
    assert main(["retarget", str(other), "--out", str(tmp_path / "out")]) == 1
    assert "the intrinsics are of 1280 x 960" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 1, "camera.json"),
        (["{film}", "--arm", "ur5"], 2, "widowx_250s"),
        (["{film}", "--place", "moon"], 2, "seat"),
        (["{film}", "--place", "base"], 1, "--markers"),
        (["{film}", "--points", "nothing"], 2, "checkpoint"),
        (["{film}", "--pose", "nothing.task"], 1, "there is no nothing.task; name a pose_landmarker_full.task"),
        (["{film}", "--pose", "{film}/camera.json"], 1, "https://ai.google.dev/edge/mediapipe/solutions/vision"),
    ],
)
def test_what_cannot_be_is_said(recording, tmp_path, arguments, code, said, capsys):
    asked = [word.format(film=recording) for word in arguments]
    assert main(["retarget", *asked, "--out", str(tmp_path)]) == code
    assert said in capsys.readouterr().err
