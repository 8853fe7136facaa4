"""Pictures in messages: their kind is known by what is in them, and sizes are checked before they are believed."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from bag_writing import COMPRESSED, RAW, image, packed

from vgps_models.bags.pictures import COLOR, DEPTH, GRAY, depth_units, kind_of, pixels
from vgps_models.errors import DataError

HEAD = struct.pack("<iff", 0, 0.0, 0.0)  # of compressed_depth_image_transport


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        *[(name, COLOR) for name in ("rgb8", "bgr8", "rgba8", "bgra8", "yuv422", "yuv422_yuy2", "uyvy", "yuyv")],
        *[(name, GRAY) for name in ("mono8", "8UC1")],
        *[(name, DEPTH) for name in ("16UC1", "mono16", "32FC1")],
        *[(name, "") for name in ("bayer_rggb8", "bayer_gbrg16", "8UC3", "rgb16", "nv12", "64FC1", "", "HEVC")],
    ],
)
def test_raw_images_are_of_the_kind_that_their_encoding_says(encoding, kind):
    found = kind_of(image(1, 5, encoding), RAW)
    assert found.name == kind and (encoding in found.why)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (packed(1, 5, "jpeg"), COLOR),
        (packed(1, 5, "rgb8; jpeg compressed bgr8"), COLOR),
        (packed(1, 5, "png"), COLOR),
        (packed(1, 5, ""), COLOR),
        (packed(1, 5, "mono8; jpeg compressed ", mode="L"), GRAY),
        (packed(1, 5, "16UC1; png compressed ", mode="I;16"), DEPTH),
        (packed(1, 5, "png", mode="I;16"), DEPTH),
        (packed(1, 5, "16UC1; compressedDepth png", mode="I;16", head=HEAD), DEPTH),
        (packed(1, 5, "32FC1; compressedDepth rvl", head=HEAD), DEPTH),
        (SimpleNamespace(format="h264", data=b"\0\0\0\1\x67"), ""),
        (SimpleNamespace(format="jpeg", data=b""), ""),
    ],
    ids=lambda value: value.format if hasattr(value, "format") and not isinstance(value, str) else None,
)
def test_packed_images_are_of_the_kind_that_is_in_them(message, kind):
    assert kind_of(message, COMPRESSED).name == kind


def test_color_comes_as_rgb():
    for encoding in ("rgb8", "bgr8"):
        assert pixels(image(1, 200, encoding), RAW, "x")[2, 3].tolist() == [200, 10, 20]
    assert pixels(image(1, 200, "8UC1"), RAW, "x")[2, 3].tolist() == [200] * 3
    assert pixels(packed(1, 77, "png"), COMPRESSED, "x")[2, 3].tolist() == [77] * 3


def test_depth_comes_as_it_was_written():
    assert depth_units(image(1, 7, "16UC1"), RAW, "x")[3, 5] == 7 + 256
    big = image(1, 7, "16UC1")
    big.is_bigendian = 1
    assert depth_units(big, RAW, "x")[3, 5] == 7 * 256 + 1
    for head in (b"", HEAD):
        made = depth_units(packed(1, 900, "16UC1; compressedDepth png", mode="I;16", head=head), COMPRESSED, "x")
        assert made.dtype == np.uint16 and (made == 900).all()
    a, b, depth = 100.0, 1.0, 2.5  # stored = a / depth + b
    head = struct.pack("<iff", 0, a, b)
    made = depth_units(
        packed(1, round(a / depth + b), "32FC1; compressedDepth png", mode="I;16", head=head), COMPRESSED, "x"
    )
    assert made == pytest.approx(np.full((8, 8), depth))
    holes = depth_units(packed(1, 0, "32FC1; compressedDepth png", mode="I;16", head=head), COMPRESSED, "x")
    assert np.isnan(holes).all()


def changed(message: object, **fields: object) -> SimpleNamespace:
    names = ("height", "width", "step", "encoding", "is_bigendian", "data")
    return SimpleNamespace(**({name: getattr(message, name) for name in names} | fields))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8"),
        ({"height": 9999}, "has 72 bytes"),
        ({"width": 1 << 31, "height": 1 << 31}, "has 72 bytes"),
        ({"height": 0}, "6x0"),
        ({"step": 1}, "rows of 1 bytes"),
        ({"data": b""}, "has 0 bytes"),
        ({"encoding": "yuv422", "width": 5, "step": 18}, "5 is odd"),
    ],
)
def test_images_that_lie_about_themselves_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        pixels(changed(image(1, 5), **change), RAW, "x")


@pytest.mark.parametrize("read", [pixels, depth_units])
@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", packed(1, 5, "png").data.tobytes()[:40]])
def test_packed_images_that_are_damaged_are_refused(read, data):
    with pytest.raises(DataError, match=r"cannot be read|PNG can be read"):
        read(SimpleNamespace(format="png", data=data), COMPRESSED, "x")


def test_depth_that_cannot_be_read_says_how_it_is_packed():
    with pytest.raises(DataError, match="'16UC1; compressedDepth rvl'; PNG can be read"):
        depth_units(SimpleNamespace(format="16UC1; compressedDepth rvl", data=HEAD + b"abc"), COMPRESSED, "x")
    with pytest.raises(DataError, match="3 channels"):
        depth_units(packed(1, 5, "16UC1; compressedDepth png"), COMPRESSED, "x")
    with pytest.raises(DataError, match="depth is in 'rgb8'"):
        depth_units(image(1, 5), RAW, "x")


def test_a_message_without_the_fields_of_its_type():
    for type in (RAW, COMPRESSED):
        with pytest.raises(DataError, match="its messages lack a field"):
            kind_of(bags.string("x"), type)
