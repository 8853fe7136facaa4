"""Bags of ROS 1 (format 2.0, http://wiki.ros.org/Bags/Format/2.0), read from front to back without their index.

A bag gets its index when it is closed; one whose recorder was killed has none, and what was recorded is there all the
same. Libraries refuse such a bag.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import IO

from vgps_models.bags.packing import unpack
from vgps_models.bags.records import BrokenBagError, Channel, Message, Span, ros_type
from vgps_models.errors import DataError

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, BAG, CHUNK, CONNECTION = 2, 3, 5, 7  # of the kinds of records those that are of interest
PACKINGS = ("none", "bz2", "lz4")
BROKEN = (EOFError, OSError, ValueError, KeyError, IndexError, struct.error, MemoryError, OverflowError)
NUMBER = struct.Struct("<I")


def messages(file: IO[bytes], size: int, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    """In the order of the file. size: of the file in bytes.

    Raises DataError for another version of the format, BrokenBagError where the bag breaks off or is damaged, and at
    the end of one that was never closed.
    """
    begin = file.read(len(MAGIC))
    if begin != MAGIC:
        version = begin[:13].split(b"\n")[0].decode("ascii", "replace")
        raise DataError(
            f"is a bag of ROS 1 in another format ('{version}'); 2.0 can be read. With ROS 1, "
            "`rosbag filter OLD NEW True` writes it anew"
        )
    try:
        yield from _messages(file, size, topics, span)
    except BROKEN as error:
        raise BrokenBagError(str(error) or type(error).__name__) from error


def _messages(file: IO[bytes], size: int, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    connections: dict[int, Channel] = {}
    closed = True
    while file.tell() < size:
        header = _header(_blob(file, size))
        length = _number(file.read(4))
        data = file.read(min(length, size - file.tell()))  # a length is not believed beyond the end
        if header["op"][0] == BAG:
            if header.get("encryptor"):
                raise DataError("is encrypted; `rosbag decrypt` makes a bag that can be read")
            closed = _number(header["index_pos"]) > 0
        elif header["op"][0] == CONNECTION and len(data) == length:
            _connect(header, data, connections)
        elif header["op"][0] == CHUNK:
            packing = header["compression"].decode()
            if packing not in PACKINGS:
                raise ValueError(f"a chunk is packed with '{packing}'; {', '.join(PACKINGS)} can be read")
            if packing == "none" or len(data) == length:
                inner = data if packing == "none" else unpack(packing, data)
                yield from _within(memoryview(inner), connections, topics, span)
        if len(data) < length:
            raise EOFError(f"{length} bytes expected, {len(data)} are there")
    if not closed:
        raise EOFError("it was never closed; the recorder was killed")


def _within(
    chunk: memoryview, connections: dict[int, Channel], topics: Collection[str] | None, span: Span | None
) -> Iterator[Message]:
    at = 0
    while at < len(chunk):
        head, at = _cut(chunk, at)
        data, at = _cut(chunk, at)
        header = _header(bytes(head))
        if header["op"][0] == CONNECTION:
            _connect(header, bytes(data), connections)
        elif header["op"][0] == MESSAGE:
            seconds, nanoseconds = struct.unpack("<II", header["time"])
            log, channel = 1_000_000_000 * seconds + nanoseconds, connections[_number(header["conn"])]
            if (topics is None or channel.topic in topics) and (span is None or span[0] <= log < span[1]):
                yield Message(channel, log, data)


def _connect(header: dict[str, bytes], data: bytes, connections: dict[int, Channel]) -> None:
    said = _header(data)
    topic, kind = header["topic"].decode(errors="replace"), said["type"].decode(errors="replace")
    definition = said.get("message_definition", b"").decode(errors="replace")
    connections[_number(header["conn"])] = Channel(topic, ros_type(kind), "ros1", "ros1msg", definition)


def _header(data: bytes) -> dict[str, bytes]:
    """Its `name=value`, each after its length."""
    found, view, at = dict[str, bytes](), memoryview(data), 0
    while at < len(view):
        field, at = _cut(view, at)
        name, _, value = bytes(field).partition(b"=")
        found[name.decode()] = value
    return found


def _cut(view: memoryview, at: int) -> tuple[memoryview, int]:
    """Bytes after their count, and where they end."""
    (length,) = NUMBER.unpack_from(view, at)
    end = at + NUMBER.size + length
    if end > len(view):
        raise EOFError(f"{length} bytes expected, {len(view) - at - NUMBER.size} are there")
    return view[at + NUMBER.size : end], end


def _blob(file: IO[bytes], size: int) -> bytes:
    length = _number(file.read(4))
    if length > size - file.tell():
        raise EOFError(f"{length} bytes expected, {size - file.tell()} are there")
    return file.read(length)


def _number(data: bytes) -> int:
    if len(data) not in (4, 8):
        raise EOFError(f"a number expected, {len(data)} bytes are there")
    return int.from_bytes(data, "little")
