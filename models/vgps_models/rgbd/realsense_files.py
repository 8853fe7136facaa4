"""What is in a recording of librealsense, one fact after the other: `.bag` (ROS 1) of versions up to 2.57, `.db3`
(rosbag2 in SQLite) of 2.58 and later. Unlike other bags it has a layout of its own, in the names of topics.

| of | topic | in a .bag | in a .db3 |
|---|---|---|---|
| pictures | /device_0/sensor_0/Depth_0/image/data | sensor_msgs/Image, the frame's stamp in its header, behind it the unit | sensor_msgs/msg/Image, or CompressedImage (PNG; YUV in Zstandard) under ../compressed, ../compressedDepth |
| intrinsics | ../info/camera_info, ../camera_info | sensor_msgs/CameraInfo | text: width=640;height=480;fx=.. |
| extrinsics | ../tf/<group> | geometry_msgs/Transform | text: rotation=<by columns>;translation=.. |
| frames | ../image/metadata | diagnostic_msgs/KeyValue | text: timestamp=<ms>;timestamp_domain=.. |
| unit | /device_0/sensor_0/option/Depth_Units/value | std_msgs/Float32 | text |

Every message of a .db3 may be packed with Zstandard. What is known comes from what versions 2.56.5, 2.57.7, 2.58.1, 2.58.4 and
2.59.1 write.
"""  # noqa: E501 a row of a table is one line

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from vgps_models.bags.packing import unpack
from vgps_models.bags.paths import BagFiles
from vgps_models.bags.reader import messages
from vgps_models.bags.records import Message
from vgps_models.bags.types import decode, decoded
from vgps_models.errors import DataError
from vgps_models.rgbd.transforms import pose_of, turn_of

PNG = b"\x89PNG"
ZSTD = re.compile(r"(\w+); zstd; (\d+)x(\d+) step=(\d+)")  # "YUYV; zstd; 640x480 step=1280"
TOPIC = re.compile(r"(/device_\d+/sensor_\d+)(/[A-Za-z]+_\d+)?/(.+)")
FIRST = 200  # messages among which a recording of librealsense has one of its topics


@dataclass(frozen=True, eq=False)
class Raw:
    """A picture as it was written. data: rows of `step` bytes, or a whole PNG, whose encoding is then `compressed`.

    stamp: of the frame [ns], 0 where other messages say it. units: metres of one step of depth, likewise.
    """

    encoding: str
    data: Any
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


def is_recording(bag: BagFiles) -> bool:
    """Whether librealsense wrote it, and not a driver of ROS."""
    return any(TOPIC.fullmatch(message.channel.topic) for message in islice(messages(bag), FIRST))


def facts(bag: BagFiles, problems: list[str]) -> Iterator[Fact]:
    """In the order of the file. What is wrong with it is appended to `problems`."""
    failed: set[str] = set()
    for message in messages(bag, problems=problems):
        if (found := TOPIC.fullmatch(message.channel.topic)) is None:
            continue
        sensor, stream, rest = found.groups()
        of = _of_ros1 if message.channel.encoding == "ros1" else _of_ros2
        try:
            for what, value in of(message, rest):
                yield Fact(sensor if what == "units" else sensor + (stream or ""), message.log, what, value)
        except (DataError, struct.error, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            if message.channel.topic not in failed:
                failed.add(message.channel.topic)
                problems.append(f"{message.channel.topic} is damaged ({error})")


def _of_ros1(message: Message, rest: str) -> Iterator[tuple[str, Any]]:
    if rest == "option/Depth_Units/value":
        yield "units", float(decode(message).data)
    elif rest == "image/data":
        said, end = decoded(message)
        # The definition in the bag does not tell of the unit; that it is there does the frame's name "1".
        (units,) = struct.unpack_from("<f", message.data, end) if said.header.frame_id == "1" else (0.0,)
        stamp = 1_000_000_000 * said.header.stamp.sec + said.header.stamp.nanosec
        yield "picture", _raw(said, stamp, units)
    elif rest == "info/camera_info":
        said = decode(message)
        k, coefficients = (tuple(map(float, values)) for values in (said.K, said.D))
        pinhole = (k[0], k[4], k[2], k[5])
        yield "camera", Told(said.width, said.height, pinhole, said.distortion_model, coefficients)
    elif rest == "image/metadata":
        said = decode(message)
        if said.key == "timestamp_domain":
            yield "clock", said.value
    elif rest.startswith("tf/"):
        said = decode(message)
        turn, shift = said.rotation, said.translation
        yield "group", rest.removeprefix("tf/")
        yield "pose", pose_of(turn_of(turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z))


def _of_ros2(message: Message, rest: str) -> Iterator[tuple[str, Any]]:
    if rest == "option/Depth_Units/value":
        yield "units", float(decode(message).data)
    elif rest == "image/data":
        yield "picture", _raw(decode(message))
    elif rest in ("image/data/compressed", "image/data/compressedDepth"):
        yield "picture", _compressed(decode(message))
    elif rest == "camera_info":
        yield "camera", _camera(_pairs(decode(message).data))
    elif rest == "image/metadata":
        told = _pairs(decode(message).data)
        yield "clock", told.get("timestamp_domain", "")
        yield "stamp", round(float(told["timestamp"]) * 1e6)
        if "depth_units" in told:
            yield "units", float(told["depth_units"])
    elif rest.startswith("tf/"):
        told = _pairs(decode(message).data)
        turn = np.array(_numbers(told["rotation"])).reshape(3, 3).T  # it is by columns
        yield "group", rest.removeprefix("tf/")
        yield "pose", pose_of(turn, _numbers(told["translation"]))


def _raw(said: Any, stamp: int = 0, units: float = 0.0) -> Raw:
    return Raw(said.encoding, said.data, said.width, said.height, said.step, bool(said.is_bigendian), stamp, units)


def _compressed(said: Any) -> Raw:
    data = bytes(said.data)
    at = data[:32].find(PNG)  # behind a short header of `compressedDepth`
    if at >= 0:
        return Raw("compressed", data[at:])
    if (found := ZSTD.fullmatch(said.format)) is None:
        return Raw(said.format, data)
    width, height, step = map(int, found.groups()[1:])
    return Raw(found[1], unpack("zstd", data), width, height, step)


def _camera(told: dict[str, str]) -> Told:
    pinhole = tuple(float(told[name]) for name in ("fx", "fy", "ppx", "ppy"))
    return Told(int(told["width"]), int(told["height"]), pinhole, told["model"], _numbers(told["coeffs"]))


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))
