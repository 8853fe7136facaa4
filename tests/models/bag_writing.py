"""Small bags in every format that is read, with the same messages in them."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from PIL import Image as Picture
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from vgps_models.bags.pictures import COMPRESSED, RAW

ROOT = Path(__file__).resolve().parents[2]
STATE = "vgps_msgs/msg/TaskState"
STRING = "std_msgs/msg/String"
SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND  # [ns] when recordings begin
PERIOD = SECOND // 10
WORDS = "put the spoon on the towel"
IDL = (
    """module std_msgs { module msg { struct Header { builtin_interfaces::msg::Time stamp; string frame_id; }; }; };"""
)
IMAGE_IDL = """// generated from rosidl_adapter
#include "std_msgs/msg/Header.idl"

module sensor_msgs {
  module msg {
    @verbatim (language="comment", text=
      "An uncompressed image" "\\n" "(0, 0) is at top-left")
    struct Image {
      std_msgs::msg::Header header;
      @unit (value="pixel")
      uint32 height;
      unsigned long width;
      string encoding;
      uint8 is_bigendian;
      uint32 step;
      sequence<uint8> data;
    };
  };
};
"""
TIME_IDL = "module builtin_interfaces { module msg { struct Time { int32 sec; uint32 nanosec; }; }; };"
RULE = "=" * 80 + "\n"
ALL_IDL = "".join(
    f"{RULE}IDL: {name}\n{text}\n"
    for name, text in (
        ("sensor_msgs/msg/Image", IMAGE_IDL), ("std_msgs/msg/Header", IDL), ("builtin_interfaces/msg/Time", TIME_IDL),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A message and when it was written [ns]."""

    topic: str
    type: str
    message: Any
    at: int


@cache
def store(ros1: bool = False) -> Typestore:
    made = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    text = (ROOT / "ros_ws/src/vgps_msgs/msg/TaskState.msg").read_text()
    made.register(get_types_from_msg(text, STATE))
    return made


def make(type: str, ros1: bool = False, **fields: Any) -> Any:
    """A message; fields that are not given are zero or empty."""
    if ros1 and type == "std_msgs/msg/Header":
        fields = {"seq": 0} | fields
    return store(ros1).types[type](**fields)


def header(at: int, ros1: bool = False, frame: str = "cam") -> Any:
    """at: stamp [ns]."""
    stamp = make("builtin_interfaces/msg/Time", ros1, sec=at // SECOND, nanosec=at % SECOND)
    return make("std_msgs/msg/Header", ros1, stamp=stamp, frame_id=frame)


def image(at: int, shade: int, encoding: str = "rgb8", *, ros1: bool = False, size: tuple[int, int] = (4, 6)) -> Any:
    """size: (height, width). Color is (shade, 10, 20); others hold the shade alone."""
    order = {"rgb8": (shade, 10, 20), "bgr8": (20, 10, shade), "16UC1": (shade, 1), "mono16": (shade, 1)}
    values = order.get(encoding, (shade,) * (3 if encoding.startswith(("rgb", "bgr")) else 1))
    rows = np.tile(np.array(values, np.uint8), (*size, 1))
    return make(
        RAW, ros1, header=header(at, ros1), height=size[0], width=size[1], encoding=encoding, is_bigendian=0,
        step=rows.shape[1] * rows.shape[2], data=rows.ravel(),
    )  # fmt: skip


def packed(
    at: int, shade: int, format: str = "jpeg", *, mode: str = "RGB", head: bytes = b"", size: tuple[int, int] = (8, 8)
) -> Any:
    """head: bytes before the picture. size: (height, width)."""
    buffer = io.BytesIO()
    pixels = np.full((*size, 3) if mode == "RGB" else size, shade, np.uint16 if mode == "I;16" else np.uint8)
    Picture.fromarray(pixels).save(buffer, "JPEG" if "jpeg" in format else "PNG")
    data = np.frombuffer(head + buffer.getvalue(), np.uint8)
    return make(COMPRESSED, header=header(at), format=format, data=data)


def state(at: int, episode: int, success: bool = False, *, task: str = WORDS, ros1: bool = False) -> Any:
    return make(
        STATE, ros1, header=header(at, ros1), task="t", instruction=task, episode=episode, seed=0, step=0, events=[],
        success=success, done=False, loop_ms=-1.0,
    )  # fmt: skip


def string(text: str) -> Any:
    return make(STRING, data=text)


def film(topic: str = "/front", count: int = 8, *, begin: int = BEGIN, ros1: bool = False, encoding: str = "rgb8",
         period: int = PERIOD) -> list[Row]:  # fmt: skip
    """Images whose red is 10 times their number, stamped when they were seen and written 5 ms later."""
    return [
        Row(topic, RAW, image(at, 10 * n % 256, encoding, ros1=ros1), at + 5_000_000)
        for n, at in enumerate(range(begin, begin + count * period, period))
    ]


def task(topic: str = "/task/state", episodes: Sequence[int] = (1,) * 8, *, begin: int = BEGIN, ros1: bool = False,
         success: bool = False) -> list[Row]:  # fmt: skip
    """A state with every image of `film`."""
    return [
        Row(topic, STATE, state(int(at), episode, success and n == len(episodes) - 1, ros1=ros1), int(at) + 6_000_000)
        for n, (episode, at) in enumerate(zip(episodes, begin + np.arange(len(episodes)) * PERIOD, strict=True))
    ]


def in_time(*films: Iterable[Row]) -> list[Row]:
    return sorted((row for film in films for row in film), key=lambda row: row.at)


def mcap(
    path: Path, rows: Iterable[Row], *, schema: str = "ros2msg", definitions: dict[str, str | None] | None = None,
    encoding: str = "cdr", compression: CompressionType = CompressionType.NONE, chunk: int = 1000,
    chunked: bool = True, finish: bool = True,
) -> Path:  # fmt: skip
    """definitions: of types, instead of the right ones; None for a channel without a schema."""
    ros1 = encoding == "ros1"
    definitions = definitions or {}
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=chunk, compression=compression, use_chunking=chunked)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for row in rows:
            if row.topic not in channels:
                text = definitions[row.type] if row.type in definitions else definition(row.type, ros1)
                name = ros1_name(row.type) if ros1 else row.type
                number = 0 if text is None else writer.register_schema(name, schema, text.encode())
                channels[row.topic] = writer.register_channel(row.topic, encoding, number)
            data = serialized(row, ros1)
            writer.add_message(channels[row.topic], log_time=int(row.at), publish_time=int(row.at), data=data)
        if finish:
            writer.finish()
    return path


def bag1(path: Path, rows: Iterable[Row], compression: str = "none") -> Path:
    writer = rosbag1.Writer(path)
    if compression != "none":
        writer.set_compression(rosbag1.Writer.CompressionFormat[compression.upper()])
    with writer:
        connections: dict[str, Any] = {}
        for row in rows:
            if row.topic not in connections:
                connections[row.topic] = writer.add_connection(row.topic, row.type, typestore=store(ros1=True))
            writer.write(connections[row.topic], int(row.at), serialized(row, True))
    return path


def bag2(folder: Path, rows: Iterable[Row], storage: str = "mcap", compression: str = "none") -> Path:
    """A folder as rosbag2 writes it. compression: none, file or message."""
    plugin = rosbag2.StoragePlugin.MCAP if storage == "mcap" else rosbag2.StoragePlugin.SQLITE3
    writer = rosbag2.Writer(folder, version=9, storage_plugin=plugin)
    if compression != "none":
        mode = rosbag2.CompressionMode[compression.upper()]
        writer.set_compression(mode, rosbag2.CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for row in rows:
            if row.topic not in connections:
                connections[row.topic] = writer.add_connection(row.topic, row.type, typestore=store())
            writer.write(connections[row.topic], int(row.at), serialized(row, False))
    return folder


def split(folder: Path, rows: Sequence[Row], parts: int, storage: str = "mcap", metadata: bool = True) -> Path:
    """A folder as rosbag2 writes it when it splits a bag."""
    folder.mkdir(parents=True)
    ending = {"mcap": ".mcap", "sqlite3": ".db3"}[storage]
    names = []
    for number, some in enumerate(np.array_split(np.arange(len(rows)), parts)):
        part = bag2(folder.parent / f"part{number}", [rows[row] for row in some], storage)
        names.append(f"{folder.name}_{number}{ending}")
        shutil.move(next(file for file in part.iterdir() if file.suffix == ending), folder / names[-1])
        about = (part / "metadata.yaml").read_text()
        shutil.rmtree(part)
        if metadata:
            listed = "\n".join(f"  - {name}" for name in names)
            about = re.sub(r"(relative_file_paths:)(\n\s+- \S+)+", rf"\1\n{listed}", about)
            (folder / "metadata.yaml").write_text(about)
    return folder


def definition(type: str, ros1: bool = False) -> str:
    return store(ros1).generate_msgdef(type, ros_version=1 if ros1 else 2)[0]


def ros1_name(type: str) -> str:
    return type.replace("/msg/", "/")


def serialized(row: Row, ros1: bool) -> bytes:
    if isinstance(row.message, bytes):
        return row.message
    made = store(ros1).serialize_ros1 if ros1 else store(ros1).serialize_cdr
    return bytes(made(row.message, row.type))


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder and the sha256 of what is in it."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
