"""Recordings of librealsense, written by librealsense: see `vendor_bags`, which made those in recordings/ with versions
2.56.5 (.bag) and 2.59.1 (.db3) and makes more of them where pyrealsense2 is installed."""

from __future__ import annotations

import bz2
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import vendor_bags as vendor

pytest.importorskip("mcap")
pytest.importorskip("lz4")
pytest.importorskip("cv2")

from vgps_models.bags import packing
from vgps_models.bags.paths import BagFiles
from vgps_models.bags.reader import messages
from vgps_models.bags.ros1_file import MAGIC
from vgps_models.errors import DataError, SpecError
from vgps_models.rgbd import open_recording
from vgps_models.rgbd.lens import straightener
from vgps_models.rgbd.realsense_files import facts

FRONT = 0.46  # [m] before it is the box
RECORDINGS = Path(__file__).parent / "recordings"
BAG, DB3 = RECORDINGS / "table.bag", RECORDINGS / "table.db3"


@pytest.fixture(params=[BAG, DB3], ids=["bag", "db3"])
def path(request) -> Path:
    return request.param


@pytest.fixture
def own(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(path, tmp_path))


def check(path: Path) -> None:
    """Every frame is there, and depth is what a camera in colour's place sees, to the pixel but for outlines."""
    found = open_recording(path)
    assert len(found) == vendor.COUNT and found.period == pytest.approx(vendor.PERIOD, abs=1e-5)
    assert found.camera.project(np.array([0.1, 0.2, 1.0])) == pytest.approx(
        vendor.COLOUR.project(np.array([0.1, 0.2, 1.0])), abs=1e-4
    )
    for frame in found.frames():
        assert frame.rgb is not None and np.array_equal(frame.rgb, vendor.colour(frame.number))
        assert frame.depth is not None
        true = vendor.scene(vendor.COLOUR, np.eye(4), frame.number)
        assert np.isfinite(frame.depth).mean() > 0.99
        slope = abs(np.asarray(np.gradient(true, axis=0))) + abs(
            np.asarray(np.gradient(true, axis=1))
        )  # [m] from a pixel to the next
        close = abs(frame.depth - true) < slope + 0.002
        assert close.mean() > 0.92 and close[true < FRONT].mean() > 0.98
    assert not found.faults.found


def test_depth_is_seen_from_where_colour_is(path):
    check(path)


def test_without_the_extrinsics_it_would_not_be(path):
    """What the test above would not notice is no test of them."""
    found = open_recording(path)
    read = next(found.frames())
    raw = vendor.scene(vendor.DEPTH, np.linalg.inv(vendor.pose()), 0)
    assert read.depth is not None and read.depth.shape != raw.shape
    box, true = (
        np.argwhere(depth < FRONT).mean(0) for depth in (read.depth, vendor.scene(vendor.COLOUR, np.eye(4), 0))
    )
    unmoved = np.argwhere(raw < FRONT).mean(0) * vendor.COLOUR.fx / vendor.DEPTH.fx  # sizes of pixels alone
    assert box == pytest.approx(true, abs=0.6) and np.linalg.norm(unmoved - true) > 5


def test_the_first_bytes_say_what_it_is_and_not_the_name(path, tmp_path):
    other = {".bag": ".db3", ".db3": ".bag"}[path.suffix]
    check(Path(shutil.copy(path, tmp_path / f"film{other}")))
    (tmp_path / "text.bag").write_text("no bag at all, but more than a few bytes of text")
    with pytest.raises(DataError, match="is no bag: it begins with 'no bag at all, b'"):
        open_recording(tmp_path / "text.bag")


def edited(path: Path, old: bytes, new: bytes) -> Path:
    """The packed .bag unpacked and packed again, with other bytes of the same length in every message."""
    lz4 = pytest.importorskip("lz4.frame")
    assert len(old) == len(new)
    data, made, at = path.read_bytes(), MAGIC, len(MAGIC)
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        header, at = data[at + 4 : at + 4 + size], at + 4 + size
        (size,) = struct.unpack_from("<I", data, at)
        body, at = data[at + 4 : at + 4 + size], at + 4 + size
        if b"compression=lz4" in header:
            header = header.replace(
                struct.pack("<I", 15) + b"compression=lz4", struct.pack("<I", 16) + b"compression=none"
            )
            body = lz4.decompress(body)
            assert old in body
            body = body.replace(old, new)
        made += struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
    path.write_bytes(made)
    return path


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return Path(shutil.copy(BAG, tmp_path))


def test_a_bag_may_be_unpacked(bag):
    check(edited(bag, b"Hardware Clock", b"Hardware Clock"))


def test_streams_with_different_clocks_are_paired_by_when_they_were_written(own):
    """Those of this recording were written as fast as the disk took them."""
    if own.suffix == ".db3":
        with closing(sqlite3.connect(own)) as base, base:
            metadata = base.execute(
                "SELECT messages.id, data FROM messages JOIN topics ON topics.id = topic_id "
                "WHERE name LIKE '%Color_0/image/metadata'"
            ).fetchall()
            for number, data in metadata:
                other = data.replace(b"Hardware Clock", b"Other wallClock").replace(b"timestamp=100", b"timestamp=900")
                base.execute("UPDATE messages SET data = ? WHERE id = ?", (other, number))
        found = open_recording(own)
        assert found.seconds[-1] < vendor.COUNT * vendor.PERIOD and "colour without depth" not in found.faults.found
        assert found.period != pytest.approx(vendor.PERIOD, abs=1e-5)


@pytest.mark.parametrize("share", [0.55, 0.8, 0.95])
def test_a_bag_that_breaks_off_or_was_never_closed_is_read_as_far_as_it_goes(bag, share):
    edited(bag, b"Hardware Clock", b"Hardware Clock")
    data = bag.read_bytes()
    bag.write_bytes(data[: int(len(data) * share)])
    found = open_recording(bag)
    assert "cut short" in found.faults.counts() and 1 <= len(found) <= vendor.COUNT
    assert next(found.frames()).depth is not None


def test_a_bag_whose_recorder_was_killed_has_no_index_and_is_read(bag):
    data = bag.read_bytes()
    at = data.index(b"index_pos=") + len(b"index_pos=")
    whole = data[: int.from_bytes(data[at : at + 8], "little")]
    bag.write_bytes(whole[:at] + bytes(8) + whole[at + 8 :])
    found = open_recording(bag)
    assert len(found) == vendor.COUNT and "never closed" in found.faults.found["cut short"][0]
    assert all(frame.depth is not None for frame in found.frames())


@pytest.mark.parametrize("keep", [100, 5000])
def test_one_that_breaks_off_before_the_first_picture_says_so(own, keep):
    own.write_bytes(own.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"(no pictures of a stream Color|it has no images).*cut short"):
        open_recording(own)


def test_a_frame_that_lacks_its_depth_is_told(path, monkeypatch):
    import vgps_models.rgbd.realsense as module

    def without(bag: BagFiles, problems: list[str]) -> Iterator[object]:
        pictures = 0
        for fact in facts(bag, problems):
            pictures += fact.what == "picture" and "Depth" in fact.of
            if not (fact.what in ("picture", "stamp") and "Depth" in fact.of and pictures == 2):
                yield fact

    monkeypatch.setattr(module, "facts", without)
    found = open_recording(path)
    assert [frame.depth is None for frame in found.frames()] == [False, True, False, False]
    assert found.faults.found["colour without depth"] == ["1 of 4 frames"]


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        (b"mono16", b"disp16", DataError, "Depth_0 is in 'disp16'; mono16 can be read"),
        (b"\x04\0\0\0rgb8", b"\x04\0\0\0HEVC", DataError, r"Color_0 is in 'HEVC'; rgb8, .*yuv422"),
        (b"/Color_0/", b"/Thing_0/", DataError, "no pictures of a stream Color"),
        (b"Depth_0/tf/", b"Depth_0/xx/", DataError, "does not say how .*Depth_0 stands to"),
        (b"info/camera_info", b"info/cXmera_info", SpecError, "64 px|80 x 60 px, but the intrinsics are of no size"),
        (b"Inverse Brown Conrady", b"Something new to all.", None, ""),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(bag, old, new, kind, said):
    edited(bag, old, new)
    if kind is None:
        check(bag)  # without coefficients the model of distortion is nothing to anybody
        return
    with pytest.raises(kind, match=said):
        open_recording(bag)


def test_where_nothing_says_the_unit_depth_is_not_guessed(bag):
    edited(bag, b"\x01\0\0\0" + b"1" + struct.pack("<II", 48, 64), b"\x01\0\0\0" + b"0" + struct.pack("<II", 48, 64))
    check(bag)  # not in the picture, but the sensor's option says it
    edited_again = bag.read_bytes().replace(b"/option/Depth_Units/value", b"/option/Depth_Xnits/value")
    bag.write_bytes(edited_again)
    found = open_recording(bag)
    assert all(frame.depth is None for frame in found.frames())
    assert "Depth Units" in found.faults.found["unreadable depth"][0]


def test_distortion_is_taken_out_of_colour():
    """A pixel that lens and sensor moved is where a pinhole camera would have had it."""
    coefficients = (-0.056, 0.068, 0.0004, 0.0007, -0.022)
    straight = straightener(vendor.COLOUR, "Inverse Brown Conrady", coefficients)
    assert straight is not None
    x, y = 0.5, -0.35
    k1, k2, p1, p2, k3 = coefficients
    r = x * x + y * y
    f = 1 + k1 * r + k2 * r**2 + k3 * r**3
    bent = x * f + 2 * p1 * x * y + p2 * (r + 2 * x * x), y * f + 2 * p2 * x * y + p1 * (r + 2 * y * y)
    camera = vendor.COLOUR
    rows, columns = np.mgrid[0 : camera.height, 0 : camera.width]
    seen_at = camera.project(np.array([*bent, 1.0]))
    picture = 255 * np.exp(-((columns - seen_at[0]) ** 2 + (rows - seen_at[1]) ** 2) / 8)
    made = straight(np.repeat(picture.astype(np.uint8)[..., None], 3, -1))[..., 0].astype(float)
    middle = np.array([(made * columns).sum(), (made * rows).sum()]) / made.sum()
    assert middle == pytest.approx(camera.project(np.array([x, y, 1.0])), abs=0.1)
    assert straightener(camera, "Inverse Brown Conrady", (0, 0, 0, 0, 0)) is None
    with pytest.raises(SpecError, match=r"Ftheta.*brown conrady"):
        straightener(camera, "Ftheta", coefficients)


def test_a_db3_may_be_packed_message_by_message(tmp_path):
    """As version 2.58.4 does."""
    pack = pytest.importorskip("zstandard").compress
    path = Path(shutil.copy(DB3, tmp_path))
    with closing(sqlite3.connect(path)) as base, base:
        rows = base.execute("SELECT id, data FROM messages").fetchall()
        base.executemany("UPDATE messages SET data = ? WHERE id = ?", [(pack(data), number) for number, data in rows])
    check(path)


@pytest.mark.parametrize("kind", packing.PACKINGS)
def test_what_unpacks_to_more_than_anything_holds_is_not_unpacked(kind, monkeypatch):
    small, large = bytes(1000), bytes(1001)
    pack = {
        "bz2": bz2.compress,
        "lz4": pytest.importorskip("lz4.frame").compress,
        "zstd": pytest.importorskip("zstandard").compress,
    }[kind]
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)
    assert packing.unpack(kind, pack(small)) == small
    for most in (None, 1000):
        with pytest.raises(ValueError, match="more than 1000 bytes"):
            packing.unpack(kind, pack(large), most)


def test_colour_in_a_db3_may_be_packed_yuv(tmp_path):
    """As version 2.59.1 does with what no PNG can hold. Grey is the same in all orders of U and V."""
    pack = pytest.importorskip("zstandard").compress
    path, (width, height) = Path(shutil.copy(DB3, tmp_path)), (vendor.COLOUR.width, vendor.COLOUR.height)
    shade = np.tile(np.array([126, 128], np.uint8), (height, width))  # Y, and U or V, of every pixel
    text, data = f"YUYV; zstd; {width}x{height} step={2 * width}".encode() + b"\0", pack(shade.tobytes())
    message = b"\0\1\0\0" + bytes(8) + struct.pack("<I", 1) + bytes(4) + struct.pack("<I", len(text)) + text
    message += bytes(-len(message) % 4) + struct.pack("<I", len(data)) + data
    with closing(sqlite3.connect(path)) as base, base:
        of_colour = "SELECT id FROM topics WHERE name LIKE '%Color_0/image/data%'"
        base.execute(f"UPDATE messages SET data = ? WHERE topic_id IN ({of_colour})", (message,))
    found = open_recording(path)
    assert [int(frame.rgb[30, 40, 1]) for frame in found.frames() if frame.rgb is not None] == [128] * vendor.COUNT
    assert not found.faults.found


def test_the_bag_is_read_as_rosbags_reads_it():
    rosbags = pytest.importorskip("rosbags.rosbag1")
    with rosbags.Reader(BAG) as reader:
        theirs = {(c.topic, c.msgtype, at, bytes(data)) for c, at, data in reader.messages()}
    ours = messages(BagFiles(BAG, (BAG,)))
    assert {(m.channel.topic, m.channel.type, m.log, bytes(m.data)) for m in ours} == theirs


def recorded(path: Path, **how) -> Path:
    pytest.importorskip("pyrealsense2")
    return vendor.recorded(path, vendor.shots(), vendor.DEPTH, vendor.COLOUR, vendor.pose(), **how)


@pytest.mark.parametrize("packed", [True, False])
def test_what_the_installed_librealsense_records_is_read(tmp_path, packed):
    check(recorded(tmp_path / "film", packed=packed))


def test_what_librealsense_aligns_is_aligned_here_too(tmp_path):
    rs = pytest.importorskip("pyrealsense2")
    film = recorded(tmp_path / "film")
    theirs, compared = vendor.aligned(rs, film), 0
    for frame in open_recording(film).frames():
        if frame.number not in theirs or frame.depth is None:
            continue
        other = theirs[frame.number]
        both = np.isfinite(frame.depth) & (other > 0)
        assert (np.isfinite(frame.depth) == (other > 0)).mean() > 0.95
        # Theirs lets the nearer of two neighbours win on a slanted surface, and gives depth along its own axis.
        assert np.median(abs(frame.depth - other)[both]) < 0.02
        assert np.median(abs(frame.depth - other)[both & (frame.depth < FRONT)]) < 0.005
        compared += 1
    assert compared >= 2
