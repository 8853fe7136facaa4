"""A person in simulation, filmed as a RealSense does, with depth from beside colour, and recorded by librealsense."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd import open_recording
from vgps_models.rgbd.folder import write_folder
from vgps_node.cli import main
from vgps_sim.human.filming import HEIGHT, WIDTH
from vgps_sim.people.performance import perform
from vgps_sim.people.stage import Stage
from vgps_sim.people.views import View

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import vendor_bags as vendor  # type: ignore[import-not-found]  # beside the tests of models

FPS, WIDER = 25, 58.0  # depth's field of view is wider than colour's [deg]
POSE = vendor.pose(np.radians([0.3, -0.4, 0.5]))  # as little turned as real ones are
NOISE, HOLES = 0.002, 0.03  # [m], share


class Watching:
    """Colour, depth in its place, and depth from beside it."""

    def __init__(self) -> None:
        self.shots: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.depth = Intrinsics.of_fovy(WIDTH, HEIGHT, WIDER)

    def __call__(self, stage: Stage, views: Sequence[View]) -> None:
        import mujoco

        name, model, data = views[0].name, stage.model, stage.data
        number = model.camera(name).id
        self.colour = Intrinsics.of_fovy(WIDTH, HEIGHT, float(model.cam_fovy[number]))
        rgb, true = stage.filmed(name, HEIGHT, WIDTH)
        kept = model.cam_pos[number].copy(), model.cam_quat[number].copy(), model.cam_fovy[number].copy()
        beside, turned = stage.camera_pose(name) @ POSE, np.empty(4)
        mujoco.mju_mat2Quat(turned, (beside[:3, :3] * (1, -1, -1)).ravel())
        model.cam_pos[number], model.cam_quat[number], model.cam_fovy[number] = beside[:3, 3], turned, WIDER
        mujoco.mj_camlight(model, data)
        self.shots.append((rgb, true, stage.filmed(name, HEIGHT, WIDTH)[1]))
        model.cam_pos[number], model.cam_quat[number], model.cam_fovy[number] = kept
        mujoco.mj_camlight(model, data)

    def compressed(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """With colour as a folder has it, so that only depth is another."""
        for rgb, true, depth in self.shots:
            buffer = io.BytesIO()
            Picture.fromarray(rgb).save(buffer, "JPEG", quality=95)
            yield np.asarray(Picture.open(buffer)), true, depth


def given(depth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noisy = depth + random.normal(0, NOISE, depth.shape)
    return np.where(random.random(depth.shape) < HOLES, 0.0, noisy)


def steps(depth: np.ndarray) -> np.ndarray:
    return np.where((depth > 0) & (depth < 10), depth / vendor.STEP, 0).round().astype(np.uint16)


def told(recording: Path, out: Path) -> dict:
    assert main(["retarget", str(recording), "--arm", "widowx_250s", "--out", str(out)]) == 0
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


@pytest.mark.evidence  # films for two minutes
@pytest.mark.timeout(1800)
def test_a_film_by_librealsense_is_as_good_as_one_with_depth_in_colours_place(tmp_path):
    rs = pytest.importorskip("pyrealsense2")
    pytest.importorskip("mediapipe")
    seen = Watching()
    perform(
        "person", "put_carrot_on_plate", 93003, size=16, failures=0.0, front=0.0, fps=FPS, whole=True, watch=seen
    )  # fmt: skip
    shots = [(10 + number / FPS, rgb, steps(depth)) for number, (rgb, _, depth) in enumerate(seen.shots)]
    clean = vendor.recorded(tmp_path / "clean", shots[:40], seen.depth, seen.colour, POSE, rest=0.05)
    theirs = vendor.aligned(rs, clean)
    rows = []
    for frame in open_recording(clean).frames():
        true = seen.shots[frame.number][1]
        if frame.depth is None or frame.number not in theirs:
            continue
        near, other = true < 5, np.where(theirs[frame.number] > 0, theirs[frame.number], np.nan)
        away, others = (abs(depth - true)[near] for depth in (frame.depth, other))
        between = abs(frame.depth - other)
        rows.append(
            (
                np.nanmedian(away), np.mean(away > 0.005), np.mean(np.isnan(away)),
                np.nanmedian(others), np.mean(others > 0.005), np.mean(np.isnan(others)),
                np.nanmedian(between), np.mean(np.isnan(frame.depth) == np.isnan(other)),
            )
        )  # fmt: skip
    ours = np.mean(rows, axis=0)
    print(
        f"\n{len(rows)} frames: median {1e3 * ours[0]:.1f} mm, {ours[1]:.1%} beyond 5 mm, {ours[2]:.1%} open; "
        f"librealsense's {1e3 * ours[3]:.1f} mm, {ours[4]:.1%}, {ours[5]:.1%}; "
        f"between them {1e3 * ours[6]:.1f} mm, {ours[7]:.1%} of the pixels open in both or neither"
    )
    assert len(rows) > 20 and ours[0] < ours[3] and ours[1] < ours[4] and ours[7] > 0.98

    random = np.random.default_rng(0)
    noisy = (
        (10 + number / FPS, rgb, steps(given(depth, random)))
        for number, (rgb, _, depth) in enumerate(seen.compressed())
    )
    film = vendor.recorded(tmp_path / "film", noisy, seen.depth, seen.colour, POSE, rest=0.05)
    write_folder(
        tmp_path / "folder", seen.colour, ((rgb, given(true, random)) for rgb, true, _ in seen.compressed()), fps=FPS
    )
    one, other = told(film, tmp_path / "one"), told(tmp_path / "folder", tmp_path / "other")
    for name, result in (("librealsense", one), ("in place", other)):
        best = result["ways"]["retargeted"]
        print(
            f"{name}: {result['frames']} frames, hand in {result['hand_found']:.1%}, "
            f"{best['position_mm']:.1f} mm, {best['rotation_deg']:.1f} deg; {result['faults']}"
        )
    assert one["frames"] == len(seen.shots) and one["hand_found"] > other["hand_found"] - 0.05
    assert abs(one["ways"]["retargeted"]["position_mm"] - other["ways"]["retargeted"]["position_mm"]) < 2
