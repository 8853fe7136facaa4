"""Bags of ROS 1 (format 2.0, http://wiki.ros.org/Bags/Format/2.0), read from front to back without their index.

A bag gets its index when it is closed; one whose recorder was killed has none, and what was recorded is there all the
same. Libraries refuse such a bag.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from pathlib import Path

from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.rgbd.wire import MOST_BYTES, Fields

try:
    import lz4.frame
except ImportError as error:
    raise MissingDependencyError(
        "reading bags of ROS 1 needs a small package; install it with: pip install 'vgps[bags]'"
    ) from error

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, BAG, CHUNK, CONNECTION = 2, 3, 5, 7  # of the kinds of records those that are of interest
UNPACK = {"bz2": bz2.BZ2Decompressor, "lz4": lz4.frame.LZ4FrameDecompressor}
PACKINGS = ("none", *UNPACK)

Message = tuple[str, str, int, memoryview]  # topic, type as in `sensor_msgs/Image`, when it was written [ns], its bytes


def messages(path: Path) -> Iterator[Message]:
    """All of them in the order of the file.

    Raises DataError when it is no such bag, EOFError where it breaks off and at the end of one that was never closed;
    ValueError, KeyError or RuntimeError where it is damaged.
    """
    connections: dict[int, tuple[str, str]] = {}
    closed, size = True, path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{path} is no bag of ROS 1: it does not begin with {MAGIC.decode().strip()}")
        while file.tell() < size:
            header = _header(file.read(_number(file.read(4))))
            length = _number(file.read(4))
            data = file.read(min(length, size - file.tell()))  # a length is not believed beyond the end
            if header["op"][0] == BAG:
                closed = _number(header["index_pos"]) > 0
            elif header["op"][0] == CONNECTION:
                _connect(header, data, connections)
            elif header["op"][0] == CHUNK:
                packing = header["compression"].decode()
                if packing not in PACKINGS:
                    raise DataError(f"{path} is packed with '{packing}'; {', '.join(PACKINGS)} can be read")
                if packing == "none" or len(data) == length:
                    yield from _within(Fields(memoryview(_unpacked(packing, data))), connections)
            if len(data) < length:
                raise EOFError(f"{length} bytes expected, {len(data)} are there")
    if not closed:
        raise EOFError("it was never closed")


def _within(chunk: Fields, connections: dict[int, tuple[str, str]]) -> Iterator[Message]:
    while chunk.left():
        header, data = _header(bytes(chunk.blob())), chunk.blob()
        if header["op"][0] == CONNECTION:
            _connect(header, bytes(data), connections)
        elif header["op"][0] == MESSAGE:
            seconds, nanoseconds = Fields(memoryview(header["time"])).numbers("I", 2)
            topic, kind = connections[_number(header["conn"])]
            yield topic, kind, 1_000_000_000 * int(seconds) + int(nanoseconds), data


def _unpacked(packing: str, data: bytes) -> bytes:
    if packing == "none":
        return data
    unpack = UNPACK[packing]()
    made = unpack.decompress(data, MOST_BYTES)
    if not unpack.eof:
        raise ValueError(f"a chunk is damaged, or of more than {MOST_BYTES} bytes when it is unpacked")
    return made


def _connect(header: dict[str, bytes], data: bytes, connections: dict[int, tuple[str, str]]) -> None:
    connections[_number(header["conn"])] = (header["topic"].decode(), _header(data)["type"].decode())


def _header(data: bytes) -> dict[str, bytes]:
    """Its `name=value`, each after its length."""
    found, fields = dict[str, bytes](), Fields(memoryview(data))
    while fields.left():
        name, _, value = bytes(fields.blob()).partition(b"=")
        found[name.decode()] = value
    return found


def _number(data: bytes) -> int:
    if len(data) not in (4, 8):
        raise EOFError(f"a number expected, {len(data)} bytes are there")
    return int.from_bytes(data, "little")
