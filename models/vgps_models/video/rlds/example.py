"""tf.train.Example, the protocol buffer of RLDS episodes: a map from names to lists of bytes, floats or integers.

Example { Features features = 1 }   Features { map<string, Feature> feature = 1 }
Feature { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }, each with `repeated value = 1`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError

Feature = list[bytes] | NDArray[np.float32] | NDArray[np.int64]
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3


def parse(data: bytes) -> dict[str, Feature]:
    """Features by name. Raises DataError when the bytes are no such message."""
    out: dict[str, Feature] = {}
    for features in _messages(memoryview(data), 1):
        for entry in _messages(features, 1):
            name, feature = "", memoryview(b"")
            for number, wire, value in _fields(entry):
                if wire == BYTES and number == 1:
                    name = _text(value)
                elif wire == BYTES and number == 2:
                    feature = value
            out[name] = _feature(feature)
    return out


def build(features: Mapping[str, Sequence[Any] | NDArray[Any]]) -> bytes:
    """The message of some features: bytes, text, floats or integers, told apart by their first value."""
    entries = b""
    for name, values in features.items():
        items = list(values)
        if items and isinstance(items[0], (bytes, str)):
            coded = [item.encode() if isinstance(item, str) else item for item in items]
            kind, content = BYTES_LIST, b"".join(_tagged(1, item) for item in coded)
        elif items and isinstance(items[0], (float, np.floating)):
            kind, content = FLOAT_LIST, _tagged(1, np.asarray(items, "<f4").tobytes())
        else:
            kind, content = INT64_LIST, _tagged(1, b"".join(_varint(int(item) & (1 << 64) - 1) for item in items))
        entries += _tagged(1, _tagged(1, name.encode()) + _tagged(2, _tagged(kind, content)))
    return _tagged(1, entries)


def _feature(data: memoryview) -> Feature:
    for number, wire, value in _fields(data):
        if wire != BYTES:
            continue
        if number == BYTES_LIST:
            return [bytes(item) for item in _messages(value, 1)]
        if number == FLOAT_LIST:  # packed or one by one
            return np.frombuffer(b"".join(v for n, w, v in _fields(value) if n == 1 and w in (BYTES, FIXED32)), "<f4")
        if number == INT64_LIST:
            return np.array(list(_integers(value)), np.uint64).astype(np.int64)
    return []


def _integers(data: memoryview) -> Iterator[int]:
    for number, wire, value in _fields(data):
        if number == 1 and wire == VARINT:
            yield value
        elif number == 1 and wire == BYTES:
            at = 0
            while at < len(value):
                item, at = _read_varint(value, at)
                yield item


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    return (value for number, wire, value in _fields(data) if number == wanted and wire == BYTES)


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value): an integer for VARINT, a view of the bytes for the others."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _read_varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            length, at = _read_varint(data, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise DataError(f"no tf.train.Example: wire type {wire} at byte {at}")
        if at + length > len(data):
            raise DataError(f"no tf.train.Example: a field ends {at + length - len(data)} bytes past the end")
        yield number, wire, data[at : at + length]
        at += length


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise DataError("no tf.train.Example: it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise DataError(f"no tf.train.Example: a number at byte {at} is too long")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tagged(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _text(value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"no tf.train.Example: a name is no text ({error})") from None
