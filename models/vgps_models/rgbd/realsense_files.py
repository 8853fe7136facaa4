"""What a recording of librealsense tells, one fact after the other: `.bag` (ROS 1) of versions up to 2.57, `.db3`
(rosbag2 in SQLite) of 2.58 and later. Which one it is stands in its first bytes, whatever its name.

| of | topic | in a .bag | in a .db3 |
|---|---|---|---|
| pictures | /device_0/sensor_0/Depth_0/image/data | sensor_msgs/Image, the frame's stamp in its header, behind it the unit | sensor_msgs/msg/Image, or CompressedImage (PNG; YUV in Zstandard) under ../compressed, ../compressedDepth |
| intrinsics | ../info/camera_info, ../camera_info | sensor_msgs/CameraInfo | text: width=640;height=480;fx=.. |
| extrinsics | ../tf/<group> | geometry_msgs/Transform | text: rotation=<by columns>;translation=.. |
| frames | ../image/metadata | diagnostic_msgs/KeyValue | text: timestamp=<ms>;timestamp_domain=.. |
| unit | /device_0/sensor_0/option/Depth_Units/value | std_msgs/Float32 | text |

Every message of a .db3 may be packed with Zstandard. Learned from what versions 2.56.5, 2.57.7, 2.58.1, 2.58.4 and
2.59.1 write.
"""  # noqa: E501 a row of a table is one line

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.rgbd.ros1 import MAGIC, messages
from vgps_models.rgbd.transforms import pose_of, turn_of
from vgps_models.rgbd.wire import MOST_BYTES, Fields

SQLITE = b"SQLite format 3\0"
PACKED = b"\x28\xb5\x2f\xfd"  # how a frame of Zstandard begins
PNG = b"\x89PNG"
ZSTD = re.compile(r"(\w+); zstd; (\d+)x(\d+) step=(\d+)")  # "YUYV; zstd; 640x480 step=1280"
TOPIC = re.compile(r"(/device_\d+/sensor_\d+)(/[A-Za-z]+_\d+)?/(.+)")


@dataclass(frozen=True, eq=False)
class Raw:
    """A picture as it was written. data: rows of `step` bytes, or a whole PNG, whose encoding is then `compressed`.

    stamp: of the frame [ns], 0 where other messages tell it. units: metres of one step of depth, likewise.
    """

    encoding: str
    data: memoryview
    width: int = 0
    height: int = 0
    step: int = 0
    is_bigendian: bool = False
    stamp: int = 0
    units: float = 0.0


@dataclass(frozen=True)
class Told:
    """fx, fy, cx, cy [px] and five coefficients of distortion, of pictures of this size."""

    width: int
    height: int
    pinhole: tuple[float, ...]
    model: str
    distortion: tuple[float, ...]


@dataclass(frozen=True)
class Fact:
    """of: a stream, as /device_0/sensor_0/Depth_0, or its sensor. written: when [ns]. what: and then value is
    picture (`Raw`) | camera (`Told`) | units (float) | clock (str) | stamp (int, of the picture written then) |
    group (str) and pose (4, 4), of the group's reference in this stream's frame."""

    of: str
    written: int
    what: str
    value: Any


def facts(path: Path) -> Iterator[Fact]:
    """In the order of the file. Raises DataError when it is no such file, and what is in `BROKEN` where it breaks."""
    with path.open("rb") as file:
        begin = file.read(len(SQLITE))
    if begin.startswith(MAGIC):
        yield from _of_bag(path)
    elif begin == SQLITE:
        yield from _of_db3(path)
    else:
        raise DataError(f"{path} is neither a bag of ROS 1 (.bag) nor one of ROS 2 in SQLite (.db3)")


BROKEN = (EOFError, OSError, ValueError, IndexError, KeyError, RuntimeError, sqlite3.Error)


def _of_bag(path: Path) -> Iterator[Fact]:
    for topic, _, written, data in messages(path):
        if (found := TOPIC.fullmatch(topic)) is None:
            continue
        sensor, stream, rest = found.groups()
        of, fields = sensor + (stream or ""), Fields(data)
        if rest == "option/Depth_Units/value":
            yield Fact(sensor, written, "units", fields.number("f"))
        elif rest == "image/data":
            yield Fact(of, written, "picture", _image(fields, ros1=True))
        elif rest == "info/camera_info":
            yield Fact(of, written, "camera", _camera_info(fields))
        elif rest == "image/metadata" and fields.text() == "timestamp_domain":
            yield Fact(of, written, "clock", fields.text())
        elif rest.startswith("tf/"):
            numbers = fields.numbers("d", 7)
            yield Fact(of, written, "group", rest.removeprefix("tf/"))
            yield Fact(of, written, "pose", pose_of(turn_of(*numbers[3:]), numbers[:3]))


def _of_db3(path: Path) -> Iterator[Fact]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
        topics = {
            number: found.groups()
            for number, name in base.execute("SELECT id, name FROM topics")
            if (found := TOPIC.fullmatch(name))
        }
        for number, written, data in base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
            if number not in topics:
                continue
            sensor, stream, rest = topics[number]
            of, fields = sensor + (stream or ""), Fields.cdr(_unpacked(data))
            if rest == "option/Depth_Units/value":
                yield Fact(sensor, written, "units", float(fields.text()))
            elif rest == "image/data":
                yield Fact(of, written, "picture", _image(fields, ros1=False))
            elif rest in ("image/data/compressed", "image/data/compressedDepth"):
                yield Fact(of, written, "picture", _compressed(fields))
            elif rest == "camera_info":
                yield Fact(of, written, "camera", _camera(_pairs(fields.text())))
            elif rest == "image/metadata":
                told = _pairs(fields.text())
                yield Fact(of, written, "clock", told.get("timestamp_domain", ""))
                yield Fact(of, written, "stamp", round(float(told["timestamp"]) * 1e6))
                if "depth_units" in told:
                    yield Fact(sensor, written, "units", float(told["depth_units"]))
            elif rest.startswith("tf/"):
                told = _pairs(fields.text())
                turn = np.array(_numbers(told["rotation"])).reshape(3, 3).T  # it is by columns
                yield Fact(of, written, "group", rest.removeprefix("tf/"))
                yield Fact(of, written, "pose", pose_of(turn, _numbers(told["translation"])))


def _image(fields: Fields, *, ros1: bool) -> Raw:
    if ros1:
        fields.whole()  # the frame's number
    stamp = 1_000_000_000 * fields.whole() + fields.whole()
    frame = fields.text()
    height, width = fields.whole(), fields.whole()
    encoding, big, step, data = fields.text(), fields.whole("B"), fields.whole(), fields.blob()
    # The definition in the bag does not tell of the unit; that it is there does the frame's name "1".
    units = fields.number("f") if ros1 and frame == "1" else 0.0
    return Raw(encoding, data, width, height, step, bool(big), stamp if ros1 else 0, units)


def _compressed(fields: Fields) -> Raw:
    fields.numbers("I", 2)
    fields.text()
    packing, data = fields.text(), fields.blob()
    at = bytes(data[:32]).find(PNG)  # behind a short header of `compressedDepth`
    if at >= 0:
        return Raw("compressed", data[at:])
    if (found := ZSTD.fullmatch(packing)) is None:
        return Raw(packing, data)
    width, height, step = map(int, found.groups()[1:])
    return Raw(found[1], memoryview(_unpacked(bytes(data))), width, height, step)


def _camera_info(fields: Fields) -> Told:
    fields.numbers("I", 3)
    fields.text()
    height, width, model = fields.whole(), fields.whole(), fields.text()
    distortion = fields.numbers("d", fields.whole())
    k = fields.numbers("d", 9)
    return Told(width, height, (k[0], k[4], k[2], k[5]), model, distortion)


def _camera(told: dict[str, str]) -> Told:
    pinhole = tuple(float(told[name]) for name in ("fx", "fy", "ppx", "ppy"))
    return Told(int(told["width"]), int(told["height"]), pinhole, told["model"], _numbers(told["coeffs"]))


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(PACKED):
        return data
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError(
            "this recording is packed with Zstandard, which needs a small package; install it with: "
            "pip install 'vgps[bags]'"
        ) from error
    try:
        if zstandard.frame_content_size(data) > MOST_BYTES:
            raise ValueError(f"a message is packed that is said to hold more than {MOST_BYTES} bytes")
        return zstandard.decompress(data, max_output_size=MOST_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
