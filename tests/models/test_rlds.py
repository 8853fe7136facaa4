"""TFRecord and tf.train.Example without TensorFlow: exact on what is whole, and no damage goes unnoticed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError
from vgps_models.video.rlds.crc32c import crc32c, masked
from vgps_models.video.rlds.example import build, parse
from vgps_models.video.rlds.tfrecord import frame, records

BYTES = st.lists(st.binary(max_size=40), max_size=6)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=6)
INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6)


def plain(data: bytes) -> int:
    """The definition, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],  # RFC 3720, B.4
)
def test_known_checksums(data: bytes, value: int) -> None:
    assert crc32c(data) == value


@settings(max_examples=30)
@given(size=st.one_of(st.integers(0, 300), st.integers(2000, 9000)), seed=st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_the_definition(size: int, seed: int) -> None:
    data = np.random.default_rng(seed).bytes(size)
    assert crc32c(data) == plain(data)


@given(features=st.dictionaries(st.text(max_size=12), st.one_of(BYTES, FLOATS, INTEGERS), max_size=6))
def test_what_is_built_is_parsed(features: dict) -> None:
    made = parse(build(features))
    assert set(made) == set(features)
    for name, values in features.items():
        assert list(made[name]) == (np.float32(values).tolist() if values and isinstance(values[0], float) else values)


def test_numbers_that_are_not_packed_are_read_too() -> None:
    floats = b"".join(b"\x0d" + struct.pack("<f", x) for x in (1.5, -2.0))  # field 1, 32 bits
    integers = b"\x08\x07\x08\x96\x01"  # field 1, varints 7 and 150

    def wrap(kind: int, content: bytes) -> bytes:
        feature = bytes([kind << 3 | 2, len(content)]) + content
        entry = b"\x0a\x01x\x12" + bytes([len(feature)]) + feature
        features = b"\x0a" + bytes([len(entry)]) + entry
        return b"\x0a" + bytes([len(features)]) + features

    assert list(parse(wrap(2, floats))["x"]) == [1.5, -2.0]
    assert list(parse(wrap(3, integers))["x"]) == [7, 150]


@given(data=st.binary(max_size=200))
def test_noise_is_parsed_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        parse(data)
    except DataError as error:
        assert "tf.train.Example" in str(error)


@settings(max_examples=40)
@given(contents=st.lists(st.binary(max_size=60), min_size=1, max_size=5), data=st.data())
def test_no_flipped_bit_and_no_cut_goes_unnoticed(
    contents: list[bytes], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    whole = b"".join(map(frame, contents))
    path.write_bytes(whole)
    assert [record.read() for record in records(path)] == contents
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"a\.tfrecord"):
        for record in records(path):
            record.read()
    borders = {0}
    for content in contents:
        borders.add(max(borders) + len(frame(content)))
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda n: n not in borders))
    path.write_bytes(whole[:cut])
    read = []
    with pytest.raises(DataError, match="ends within"):
        for record in records(path):
            read.append(record.read())  # noqa: PERF401 # what came before the error counts
    assert read == contents[: len(read)] and len(read) == sum(0 < border <= cut for border in borders)


def test_a_length_that_is_not_to_be_believed(tmp_path: Path) -> None:
    head = struct.pack("<Q", 1 << 60)
    (tmp_path / "huge.tfrecord").write_bytes(head + struct.pack("<I", masked(head)) + bytes(100))
    with pytest.raises(DataError, match="damaged"):
        list(records(tmp_path / "huge.tfrecord"))
