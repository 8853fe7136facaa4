"""Whatever happened to a bag, what is good in it is read and the rest is an error of ours with a sentence in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from mcap.writer import CompressionType

from vgps_models.bags.paths import find_bags, is_bag
from vgps_models.errors import VgpsError
from vgps_models.progress.footage import open_footage
from vgps_models.rgbd import open_recording
from vgps_models.video.sources import open_sources

FORMATS = ("mcap", "mcap.zstd", "mcap in chunks", "mcap without chunks", "db3", "bag", "bag in lz4")


@cache
def whole(kind: str) -> bytes:
    """A small bag, as the bytes of its file."""
    with TemporaryDirectory() as folder:
        path, rows = Path(folder), bags.in_time(bags.film(count=5), bags.task(episodes=[1, 1, 1, 2, 2]))
        if kind.startswith("bag"):
            rows = bags.in_time(bags.film(count=5, ros1=True), bags.task(episodes=[1, 1, 1, 2, 2], ros1=True))
            file = bags.bag1(path / "a.bag", rows, "lz4" if "lz4" in kind else "none")
        elif kind == "db3":
            file = next(bags.bag2(path / "a", rows, "sqlite3").glob("*.db3"))
        elif kind == "mcap.zstd":
            file = next(bags.bag2(path / "a", rows, "mcap", "file").glob("*.zstd"))
        else:
            how = {"mcap": {"compression": CompressionType.ZSTD}, "mcap in chunks": {"chunk": 300}}
            file = bags.mcap(path / "a.mcap", rows, **how.get(kind, {"chunked": False}))
        return file.read_bytes()


def read(data: bytes, kind: str) -> int:
    """How many images the attempts of a file have; -1 where it is refused. Other errors are not caught."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"run.{kind.split()[0]}"
        path.write_bytes(data)
        assert is_bag(path) and len(find_bags(path)[0]) == 1
        for opened in (lambda: open_sources([str(path)]), lambda: open_recording(path)):
            try:
                opened()
            except VgpsError as error:
                assert str(path) in str(error)
        count = 0
        try:
            footage = open_footage(path, "x")
            for number in range(len(footage)):
                count += len(footage.scene(number).clip)
        except VgpsError as error:
            assert len(str(error)) < 2000
            return -1
        return count


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_bags_have_all_images(kind):
    assert read(whole(kind), kind) == 5


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(FORMATS), share=st.floats(0, 1))
def test_a_bag_may_be_cut_anywhere(kind, share):
    data = whole(kind)
    assert read(data[: int(share * len(data))], kind) <= 5


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(FORMATS), data=st.data())
def test_bytes_of_a_bag_may_be_anything(kind, data):
    made = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(made) - 1))
        made[at] = data.draw(st.integers(0, 255))
    read(bytes(made), kind)


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(FORMATS), begin=st.integers(0, 64), rest=st.binary(max_size=300))
def test_a_bag_may_go_on_with_anything(kind, begin, rest):
    read(whole(kind)[:begin] + rest, kind)
