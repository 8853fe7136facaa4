"""Color and depth in bags of every format, beside other cameras: the right two are found and belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from bag_writing import COMPRESSED, PERIOD, RAW, Row, film, image, in_time, make, packed

from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd import open_recording

INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
COLOR, DEEP = "/camera/camera/color/image_raw", "/camera/camera/aligned_depth_to_color/image_raw"
LENS = Intrinsics(6, 4, 5.0, 5.0, 2.5, 1.5)


def lens(topic: str, *, focal: float = 5.0, frame: str = "cam", ros1: bool = False, count: int = 8) -> list[Row]:
    names = ("D", "K", "R", "P") if ros1 else ("d", "k", "r", "p")
    k = np.array([focal, 0, 2.5, 0, focal, 1.5, 0, 0, 1])
    values: dict[str, Any] = dict(zip(names, (np.zeros(5), k, np.eye(3).ravel(), np.zeros(12)), strict=True))
    roi = make("sensor_msgs/msg/RegionOfInterest", ros1, x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    made = []
    for row in film(count=count):
        info = make(INFO, ros1, header=bags.header(row.at, ros1, frame), height=4, width=6, distortion_model="x",
                    binning_x=0, binning_y=0, roi=roi, **values)  # fmt: skip
        made.append(Row(topic, INFO, info, row.at))
    return made


def deep(
    topic: str, encoding: str = "16UC1", *, late: int = 3_000_000, ros1: bool = False, frame: str = "cam"
) -> list[Row]:
    """256 mm and the number of the frame, a little later than color."""
    rows = []
    for n, row in enumerate(film()):
        at = row.at - 5_000_000 + late
        message = image(at, n, encoding, ros1=ros1)
        message.header.frame_id = frame
        rows.append(Row(topic, RAW, message, at + 5_000_000))
    return rows


def whole(prefix: str = "/camera/camera", ros1: bool = False) -> list[Row]:
    return in_time(
        film(f"{prefix}/color/image_raw", ros1=ros1), lens(f"{prefix}/color/camera_info", ros1=ros1),
        deep(f"{prefix}/aligned_depth_to_color/image_raw", ros1=ros1),
    )  # fmt: skip


def check(path: Path, camera: str = "", first: int = 0) -> list[str]:
    found = open_recording(path, camera)
    assert found.camera == LENS and len(found) == 8 and found.period == pytest.approx(PERIOD * 1e-9)
    for n, frame in enumerate(found.frames()):
        assert frame.rgb is not None and frame.rgb[3, 5].tolist() == [10 * n + first, 10, 20]
        assert frame.depth is not None and frame.depth[3, 5] == pytest.approx(0.256 + n * 1e-3)
    return found.faults.lines()


def test_every_format_gives_the_same(tmp_path):
    assert not check(bags.mcap(tmp_path / "a.mcap", whole()))
    assert not check(bags.bag1(tmp_path / "b.bag", whole(ros1=True), "lz4"))
    assert not check(bags.bag2(tmp_path / "c", whole(), "sqlite3"))
    assert not check(bags.split(tmp_path / "d", whole(), 3))
    assert not check(bags.mcap(tmp_path / "e.mcap", whole(ros1=True), schema="ros1msg", encoding="ros1"))


def test_infrared_and_other_topics_of_depth_are_no_obstacle(tmp_path):
    rows = in_time(
        whole(), film("/camera/camera/infra1/image_rect_raw", encoding="mono8"), film("/thermal", encoding="mono16"),
        film("/webcam/image_raw", encoding="bgr8"), film("/bayer", encoding="bayer_rggb8"),
        [Row("/task/state", bags.STRING, bags.string("x"), bags.BEGIN)],
    )  # fmt: skip
    assert not check(bags.mcap(tmp_path / "run.mcap", rows))


def test_depth_that_is_aligned_is_preferred(tmp_path):
    other = "/camera/camera/depth"
    rows = in_time(
        whole(), lens("/camera/camera/aligned_depth_to_color/camera_info"), lens(f"{other}/camera_info", focal=7.0),
        deep(f"{other}/image_rect_raw", frame="deep"),
    )  # fmt: skip
    assert not check(bags.mcap(tmp_path / "run.mcap", rows))


def test_packed_pictures(tmp_path):
    depth = {"format": "16UC1; compressedDepth png", "mode": "I;16", "head": bytes(12)}
    times = [row.at - 5_000_000 for row in film()]
    rows = in_time(
        [Row(f"{COLOR}/compressed", COMPRESSED, packed(at, 50, "png", size=(4, 6)), at) for at in times],
        [Row(f"{DEEP}/compressedDepth", COMPRESSED, packed(at, 900, size=(4, 6), **depth), at) for at in times],
        lens("/camera/camera/color/camera_info"),
    )
    found = open_recording(bags.mcap(tmp_path / "run.mcap", rows))
    frame = next(found.frames())
    assert frame.rgb is not None and (frame.rgb == 50).all() and found.camera == LENS
    assert frame.depth is not None and frame.depth == pytest.approx(np.full((4, 6), 0.9))
    assert not found.faults.found


def test_several_cameras_with_depth_are_listed_and_one_is_named(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", in_time(whole("/left"), whole("/right")))
    with pytest.raises(DataError, match=r"several cameras .*/left/color/image_raw, /right/color/image_raw.*--camera"):
        open_recording(path)
    for camera in ("left", "/right/color/image_raw", "right/color"):
        assert not check(path, camera)
    with pytest.raises(DataError, match="several cameras are called 'color'"):
        open_recording(path, "color")


def test_intrinsics_are_known_by_the_frame_where_no_topic_lies_beside(tmp_path):
    rows = in_time(film(COLOR), deep(DEEP), lens("/elsewhere/info"))
    assert not check(bags.mcap(tmp_path / "run.mcap", rows))
    with pytest.raises(DataError, match=r"no sensor_msgs/msg/CameraInfo beside .*found: /elsewhere/info"):
        open_recording(
            bags.mcap(tmp_path / "b.mcap", in_time(film(COLOR), deep(DEEP), lens("/elsewhere/info", frame="x")))
        )


def edge(child: str, x: float, at: int) -> Row:
    turn = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    shift = make("geometry_msgs/msg/Vector3", x=x, y=0.0, z=0.0)
    pose = make("geometry_msgs/msg/Transform", translation=shift, rotation=turn)
    stamped = make("geometry_msgs/msg/TransformStamped", header=bags.header(at, frame="base"), child_frame_id=child,
                   transform=pose)  # fmt: skip
    return Row("/robot1/tf", TF, make(TF, transforms=[stamped]), at)


def test_frames_hang_together_by_what_does_not_move(tmp_path):
    """Under any name of the topic; a frame that moves says nothing about how two cameras stand."""
    rows = [
        film(COLOR), lens("/camera/camera/color/camera_info"), deep("/d/image", frame="deep"),
        lens("/d/camera_info", focal=7.0, frame="deep"), [edge("cam", 0.0, bags.BEGIN)],
    ]  # fmt: skip
    still = [edge("deep", 0.02, bags.BEGIN + n) for n in range(3)]
    found = open_recording(bags.mcap(tmp_path / "a.mcap", in_time(*rows, still)))
    assert found.camera == LENS and next(found.frames()).depth is not None
    moving = [edge("deep", 0.02 * n, bags.BEGIN + n) for n in range(3)]
    with pytest.raises(SpecError, match="/tf_static"):
        open_recording(bags.mcap(tmp_path / "b.mcap", in_time(*rows, moving)))


def test_time_that_goes_back_is_said_and_the_longest_part_is_used(tmp_path):
    rows = whole()
    again = [Row(row.topic, row.type, row.message, row.at + 20 * PERIOD) for row in rows[: len(rows) // 2]]
    faults = check(bags.mcap(tmp_path / "run.mcap", rows + again))
    assert len(faults) == 1 and "time goes back once" in faults[0] and "the longest is used" in faults[0]


def test_a_folder_of_several_bags_is_refused(tmp_path):
    bags.mcap(tmp_path / "a.mcap", whole())
    bags.mcap(tmp_path / "b.mcap", whole())
    with pytest.raises(DataError, match=r"holds 2 bags \(a, b"):
        open_recording(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        open_recording(tmp_path / "none.mcap")


def test_what_is_missing_is_said_with_what_is_there(tmp_path):
    with pytest.raises(DataError, match=r"needs images in color and of depth .*it has /front \(rgb8\)"):
        open_recording(bags.mcap(tmp_path / "a.mcap", film()))
    empty = tmp_path / "b.mcap"
    empty.write_bytes(b"")
    with pytest.raises(DataError, match=r"no images; .*b.mcap is empty"):
        open_recording(empty)
