"""Recordings of colour and depth: what is written comes back, and whatever is wrong with one is named and counted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import bag_messages
import numpy as np
import pytest
import vendor_bags as vendor
from bag_messages import HEADER, STAMP, header
from PIL import Image as Picture
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd import open_recording
from vgps_models.rgbd.folder import write_folder
from vgps_models.rgbd.paired import partners
from vgps_models.rgbd.table import camera_over_table
from vgps_models.rgbd.transforms import between, pose_of, turn_of

CAMERA = Intrinsics.of_fovy(64, 48, 50.0)
COUNT = 8


def frames(count: int = COUNT):
    for i in range(count):
        rgb = np.full((48, 64, 3), 20 * i, np.uint8)
        depth = np.full((48, 64), 0.5 + 0.01 * i)
        depth[:4] = np.nan
        yield rgb, depth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write_folder(tmp_path / "film", CAMERA, frames(), fps=20.0) == COUNT
    return tmp_path / "film"


def test_what_is_written_comes_back(folder):
    found = open_recording(folder)
    assert found.camera == CAMERA and found.pose is None and found.period == pytest.approx(0.05)
    read = list(found.frames())
    assert [frame.number for frame in read] == list(range(COUNT)) and not found.faults.found
    for i, frame in enumerate(read):
        assert frame.rgb is not None and np.abs(frame.rgb.astype(int) - 20 * i).max() <= 2
        assert frame.depth is not None and np.isnan(frame.depth[:4]).all()
        assert frame.depth[4:] == pytest.approx(0.5 + 0.01 * i, abs=6e-4)


def test_missing_and_damaged_pictures_are_counted_and_read_around(folder):
    (folder / "color" / "000002.jpg").unlink()
    (folder / "depth" / "000004.png").unlink()
    half = (folder / "depth" / "000005.png").read_bytes()
    (folder / "depth" / "000005.png").write_bytes(half[: len(half) // 2])
    (folder / "depth" / "000006.png").write_bytes(b"")
    (folder / "color" / "000007.jpg").write_bytes(b"no picture")
    found = open_recording(folder)
    read = list(found.frames())
    assert found.faults.counts() == {
        "missing frames": 1, "depth without colour": 1, "colour without depth": 1, "unreadable depth": 2,
        "unreadable colour": 1,
    }  # fmt: skip
    assert [frame.depth is None for frame in read] == [False, False, False, True, True, True, False]
    assert read[-1].rgb is None and read[0].rgb is not None
    assert any("000005.png" in line and "2 times" in line for line in found.faults.lines())


def test_depth_of_another_camera_is_refused(folder):
    Picture.fromarray(np.ones((24, 32), np.uint16)).save(folder / "depth" / "000003.png")
    with pytest.raises(SpecError, match="depth of frame 3 is 32 x 24 px, but the intrinsics are of 64 x 48"):
        list(open_recording(folder).frames())


def test_eight_bit_depth_is_no_depth(folder):
    Picture.fromarray(np.ones((48, 64), np.uint8)).convert("RGB").save(folder / "depth" / "000003.png")
    found = open_recording(folder)
    list(found.frames())
    assert "not 16 bit" in found.faults.found["unreadable depth"][0]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"fx": -1.0}, SpecError, "above 0"),
        ({"cx": 900.0}, SpecError, "in the picture"),
        ({"fy": "wide"}, DataError, "garbles"),
        ({"pose": [[1, 2], [3, 4]]}, DataError, "4 x 4"),
        ({"fps": 0}, SpecError, "above 0"),
        ({"depth_scale": None}, DataError, "garbles"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(folder, change, kind, said):
    path = folder / "camera.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(kind, match=said):
        open_recording(folder)


def test_a_folder_that_is_none_says_what_one_is(tmp_path):
    with pytest.raises(DataError, match=r"camera\.json or intrinsic.json beside"):
        open_recording(tmp_path)
    (tmp_path / "camera.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        open_recording(tmp_path)


def test_what_open3d_records_is_read(folder):
    told = json.loads((folder / "camera.json").read_text(encoding="utf-8"))
    (folder / "camera.json").unlink()
    columns = [told["fx"], 0, 0, 0, told["fy"], 0, told["cx"], told["cy"], 1]
    other = {"width": 64, "height": 48, "intrinsic_matrix": columns, "depth_scale": 1000.0, "fps": 20}
    (folder / "intrinsic.json").write_text(json.dumps(other), encoding="utf-8")
    assert open_recording(folder).camera == CAMERA


def test_times_say_when_frames_were_lost(folder):
    at = [0, 0.05, 0.1, 0.15, 0.35, 0.4, 0.45, 0.5]
    (folder / "times.csv").write_text(
        "number,seconds\n" + "".join(f"{i},{t}\n" for i, t in enumerate(at)), encoding="utf-8"
    )
    assert open_recording(folder).faults.found["missing frames"] == ["3 after 0.15 s"]
    (folder / "times.csv").write_text("number,seconds\n0,1.0\n1,0.5\n", encoding="utf-8")
    with pytest.raises(DataError, match="does not rise"):
        open_recording(folder)


def test_the_table_is_found_under_clutter():
    random = np.random.default_rng(0)
    camera = Intrinsics.of_fovy(160, 120, 50.0)
    tilt, height = 0.7, 0.8  # [rad] down, [m] above the table
    rays = camera.lift(np.stack(np.meshgrid(np.arange(160.0), np.arange(120.0)), -1), np.ones((120, 160)))
    up = np.array([0.0, -np.cos(tilt), -np.sin(tilt)])
    depth = height / -(rays @ up)
    depth[(depth < 0) | (depth > 3)] = np.nan
    depth[50:90, 40:80] -= 0.15  # a box
    depth += random.normal(0, 0.002, depth.shape)
    pose = camera_over_table(depth, camera)
    assert pose[:3, :3] @ up == pytest.approx([0, 0, 1], abs=0.01) and pose[2, 3] == pytest.approx(height, abs=0.01)
    assert (pose[:3, :3] @ [0, 0, 1])[1] == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="no table stands out"):
        camera_over_table(random.uniform(0.4, 1.8, depth.shape), camera)


IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
MESSAGES = {
    IMAGE: bag_messages.IMAGE,
    INFO: f"{HEADER}uint32 height\nuint32 width\nfloat64[9] k{STAMP}",
}
COLOUR, DEPTH = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"


def image(array: np.ndarray, encoding: str, at: int) -> SimpleNamespace:
    return SimpleNamespace(
        header=header(at), height=array.shape[0], width=array.shape[1], encoding=encoding, is_bigendian=0,
        step=array.strides[0], data=array.tobytes(),
    )  # fmt: skip


def info(at: int, focal: float = CAMERA.fx) -> SimpleNamespace:
    k = [focal, 0, CAMERA.cx, 0, focal, CAMERA.cy, 0, 0, 1]
    return SimpleNamespace(header=header(at), height=48, width=64, k=k)


def write_bag(path: Path, *, kind: str = "16UC1", lost: int = -1, focal: float | None = None) -> Path:
    """Depth comes a little after colour; that of frame `lost` never."""
    Writer = pytest.importorskip("mcap_ros2.writer").Writer
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2048)
        schemas = {name: writer.register_msgdef(name, text) for name, text in MESSAGES.items()}

        def say(topic: str, kind: str, message: SimpleNamespace, at: int) -> None:
            writer.write_message(topic, schemas[kind], message, log_time=at, publish_time=at)

        for i, (rgb, depth) in enumerate(frames()):
            at = 10**9 + i * 50_000_000
            say("/camera/color/camera_info", INFO, info(at), at)
            if focal is not None:
                say("/camera/aligned_depth_to_color/camera_info", INFO, info(at, focal), at)
            say(COLOUR, IMAGE, image(rgb, "rgb8", at), at + 2)
            if i != lost:
                units = np.nan_to_num(depth * 1000).astype(np.uint16) if kind == "16UC1" else depth.astype(np.float32)
                say(DEPTH, IMAGE, image(units, kind, at + 4_000_000), at + 9_000_000)
        writer.finish()
    return path


@pytest.mark.parametrize("kind", ["16UC1", "32FC1"])
def test_a_bag_is_read_as_a_folder_is(tmp_path, folder, kind):
    bag, other = open_recording(write_bag(tmp_path / "run.mcap", kind=kind)), open_recording(folder)
    assert bag.camera == CAMERA and len(bag) == COUNT and bag.period == pytest.approx(0.05)
    for mine, theirs in zip(bag.frames(), other.frames(), strict=True):
        assert mine.rgb is not None and theirs.rgb is not None and mine.depth is not None and theirs.depth is not None
        assert np.abs(mine.rgb.astype(int) - theirs.rgb).max() <= 2
        assert np.array_equal(np.isnan(mine.depth), np.isnan(theirs.depth))
        assert np.nanmax(np.abs(mine.depth - theirs.depth)) < 2e-3
    assert not bag.faults.found


def test_a_bag_that_lacks_depth_or_breaks_off_is_read_as_far_as_it_goes(tmp_path):
    lost = open_recording(write_bag(tmp_path / "lost.mcap", lost=3))
    assert [frame.depth is None for frame in lost.frames()] == [i == 3 for i in range(COUNT)]
    assert "colour without depth" in lost.faults.counts()
    whole = write_bag(tmp_path / "whole.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    cut = open_recording(tmp_path / "cut.mcap")
    assert 0 < len(cut) < COUNT and "cut short" in cut.faults.counts()
    assert sum(frame.depth is not None for frame in cut.frames()) >= len(cut) - 1


def test_a_depth_is_paired_with_one_colour_in_any_rhythm():
    stamps = np.array([0, 100, 120, 200, 300])  # one came twice as soon
    made = partners(stamps, np.array([4, 108, 205, 305]))
    assert made == {0: 4, 100: 108, 120: None, 200: 205, 300: 305}
    assert partners(stamps, np.array([1000])) == dict.fromkeys(stamps.tolist())
    assert partners(np.array([5]), np.array([5])) == {5: 5}
    assert partners(stamps, np.array([], np.int64)) == dict.fromkeys(stamps.tolist())


@pytest.mark.parametrize("apart", [0.0, 0.25, 0.45, 0.5, 0.55, 0.9])
def test_shutters_that_are_apart_lose_no_frames(apart):
    """Whichever is nearer by chance; and a depth that is missing does not move all that follow."""
    random, period = np.random.default_rng(0), 33_000_000
    stamps = period * np.arange(1, 200)
    depths = stamps + round(apart * period) + random.integers(-800_000, 800_000, len(stamps))
    made = partners(stamps, np.delete(depths, [50, 51, 120]))
    missing = [row for row, at in enumerate(made.values()) if at is None]
    assert len(missing) <= 4 and {50, 51, 120} <= {row - away for row in missing for away in (0, 1)}
    away = [at - stamp for stamp, at in made.items() if at is not None]
    assert max(away) - min(away) < 2_000_000 and max(map(abs, away)) < 0.55 * period


def test_depth_of_half_the_rate_goes_with_every_other_frame():
    stamps = 33_000_000 * np.arange(1, 41)
    made = partners(stamps, stamps[::2] + 3_000_000)
    assert [at is not None for at in made.values()] == [True, False] * 20


def test_depth_that_is_not_aligned_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"align_depth\.enable"):
        open_recording(write_bag(tmp_path / "other.mcap", focal=90.0))


def write_unaligned(path: Path, *, chain: bool) -> Path:
    """As `realsense2_camera` without align_depth: the table of `vendor`, and how the frames hang together."""
    Writer = pytest.importorskip("mcap_ros2.writer").Writer
    link, names = "camera_link", ("camera_color_optical_frame", "camera_depth_optical_frame")
    turn = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # what optical frames are in others
    placed = turn * Rotation.from_matrix(vendor.pose()[:3, :3])
    edges = [
        bag_messages.transform(link, names[0], [0, 0.02, 0], turn.as_quat()),
        bag_messages.transform(link, names[1], [0, 0.02, 0] + turn.apply(vendor.pose()[:3, 3]), placed.as_quat()),
    ]
    told = MESSAGES | {TRANSFORMS: bag_messages.TRANSFORMS}
    with path.open("wb") as file:
        writer = Writer(file)
        schemas = {name: writer.register_msgdef(name, text) for name, text in told.items()}
        if chain:
            writer.write_message("/tf_static", schemas[TRANSFORMS], SimpleNamespace(transforms=edges), 1, 1)
        for seconds, rgb, steps in vendor.shots():
            at = round(seconds * 1e9)
            pictures = (vendor.COLOUR, rgb, "rgb8", "color"), (vendor.DEPTH, steps, "16UC1", "depth")
            for (camera, array, encoding, stream), name in zip(pictures, names, strict=True):
                k = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
                lens = SimpleNamespace(header=header(at, name), height=camera.height, width=camera.width, k=k)
                seen = image(array, encoding, at)
                seen.header = header(at, name)
                writer.write_message(f"/camera/{stream}/camera_info", schemas[INFO], lens, at, at)
                writer.write_message(f"/camera/{stream}/image", schemas[IMAGE], seen, at, at)
        writer.finish()
    return path


def test_depth_that_is_not_aligned_is_aligned_where_the_bag_says_how(tmp_path):
    found = open_recording(write_unaligned(tmp_path / "run.mcap", chain=True))
    assert found.camera == vendor.COLOUR and len(found) == vendor.COUNT
    for frame in found.frames():
        true = vendor.scene(vendor.COLOUR, np.eye(4), frame.number)
        slope = abs(np.asarray(np.gradient(true, axis=0))) + abs(np.asarray(np.gradient(true, axis=1)))
        assert frame.depth is not None and (abs(frame.depth - true) < slope + 0.002).mean() > 0.92
    with pytest.raises(SpecError, match="/tf_static"):
        open_recording(write_unaligned(tmp_path / "other.mcap", chain=False))


def test_frames_hang_together_or_do_not():
    one, two = pose_of(np.eye(3), [1, 0, 0]), pose_of(turn_of(0, 0, 1, 1), [0, 2, 0])
    edges = [("world", "arm", one), ("arm", "eye", two), ("arm", "tool", one), ("moon", "flag", one)]
    found = between(edges, "eye", "tool")
    assert found is not None and found[:3, 3] == pytest.approx([-1, 2, 0])
    assert found[:3, :3] @ [1, 0, 0] == pytest.approx([0, 1, 0])
    assert between(edges, "eye", "flag") is None
    assert between([], "eye", "eye") == pytest.approx(np.eye(4))
    assert np.isnan(turn_of(0, 0, 0, 0)).all()  # as a transform that nobody filled in has it
    between([("a", "b", one), ("b", "a", one)], "a", "b")  # a circle ends


def test_a_bag_without_depth_says_what_it_has(tmp_path):
    with pytest.raises(DataError, match="rgb8"):
        open_recording(write_bag(tmp_path / "colour.mcap", kind="rgb8x"))
