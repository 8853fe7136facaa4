"""Bags in every format and layout show the same, and whatever is wrong with a file is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
import bag_writing as bags
from mcap.writer import CompressionType

from vgps_models.bags.paths import find_bags, is_bag
from vgps_models.bags.pictures import RAW
from vgps_models.errors import DataError
from vgps_models.progress.footage import open_footage

SHADES = [0, 20, 50, 70]
WITHOUT_HEADER = bags.definition(RAW).split(bags.RULE)[0]


def check(path: Path, problems: int = 0) -> None:
    """The film of `bags.film` is in it."""
    assert is_bag(path)
    footage = open_footage(path, bags.WORDS)
    assert len(footage) == 1 and len(footage.problems) == problems, footage.problems
    scene = footage.scene(0, 4)
    assert scene.clip.views["/front"][:, 3, 5].tolist() == [[shade, 10, 20] for shade in SHADES]
    assert np.allclose(scene.seconds, [0, 0.2, 0.5, 0.7])


MCAPS = {
    "packed with lz4": {"compression": CompressionType.LZ4},
    "packed with zstd": {"compression": CompressionType.ZSTD},
    "one chunk": {"chunk": 1 << 20},
    "no chunks": {"chunked": False},
    "ros2idl of all types": {"schema": "ros2idl", "definitions": {RAW: bags.ALL_IDL}},
    "ros2idl of one type": {"schema": "ros2idl", "definitions": {RAW: bags.IMAGE_IDL}},
    "omgidl": {"schema": "omgidl", "definitions": {RAW: bags.IMAGE_IDL}},
    "without what it refers to": {"definitions": {RAW: WITHOUT_HEADER}},
    "with Windows line ends": {"definitions": {RAW: bags.definition(RAW).replace("\n", "\r\n")}},
    "empty definition": {"definitions": {RAW: ""}},
    "blank definition": {"definitions": {RAW: " \n"}},
    "nameless definition": {"schema": "", "definitions": {RAW: ""}},
    "definition not found": {"schema": "unknown", "definitions": {RAW: ""}},
}


@pytest.mark.parametrize("how", MCAPS.values(), ids=MCAPS)
def test_mcap_however_it_was_written(tmp_path, how):
    check(bags.mcap(tmp_path / "run.mcap", bags.film(), **how))


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_ros1_however_it_was_packed(tmp_path, compression):
    check(bags.bag1(tmp_path / "run.bag", bags.film(ros1=True), compression))


def test_mcap_of_ros1(tmp_path):
    rows = bags.film(ros1=True)
    check(bags.mcap(tmp_path / "run.mcap", rows, schema="ros1msg", encoding="ros1"))
    check(bags.mcap(tmp_path / "bare.mcap", rows, schema="ros1msg", encoding="ros1", definitions={RAW: ""}))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compression", ["none", "file", "message"])
def test_folders_of_rosbag2_and_their_files(tmp_path, storage, compression):
    folder = bags.bag2(tmp_path / "run", bags.film(), storage, compression)
    check(folder)
    check(folder / "metadata.yaml")
    (file,) = (file for file in folder.iterdir() if file.suffix != ".yaml")
    check(file)
    (folder / "metadata.yaml").unlink()
    check(folder)


@pytest.mark.parametrize("metadata", ["whole", "none", "garbled", "lies"])
def test_parts_of_a_split_bag_are_read_in_their_order(tmp_path, metadata):
    """The tenth comes after the second."""
    folder = bags.split(tmp_path / "run", bags.film(count=12), 12, metadata=metadata != "none")
    about = folder / "metadata.yaml"
    if metadata == "garbled":
        about.write_bytes(about.read_bytes()[:120] + b"\xff: [")
    elif metadata == "lies":
        about.write_text(about.read_text().replace("run_5.", "run_77."))
    footage = open_footage(folder, "x")
    lost = metadata == "lies"
    assert len(footage) == 1 and len(footage.scene(0).clip) == 12
    assert [bool("run_77" in problem) for problem in footage.problems] == [True] * lost
    shades = footage.scene(0).clip.views["/front"][:, 0, 0, 0].tolist()
    assert shades == [10 * n for n in range(12)]
    (folder / "run_5.mcap").unlink()
    assert len(open_footage(folder, "x").scene(0).clip) == 11


def test_parts_in_sqlite(tmp_path):
    check(bags.split(tmp_path / "run", bags.film(), 3, "sqlite3"))


def test_a_folder_of_bags_of_all_kinds(tmp_path):
    bags.mcap(tmp_path / "b.mcap", bags.film())
    bags.bag1(tmp_path / "deep.bag", bags.film(ros1=True))
    bags.bag2(tmp_path / "day" / "a", bags.film(), "sqlite3")
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("nothing")
    footage = open_footage(tmp_path, "x")
    assert [footage.scene(n, 2).name for n in range(len(footage))] == ["b", "deep", "a"]
    assert len(footage.problems) == 1 and "empty.mcap is empty" in footage.problems[0]


def test_a_bag_is_known_by_its_first_bytes(tmp_path):
    film, film1 = bags.film(), bags.film(ros1=True)
    check(Path(shutil.copy(bags.mcap(tmp_path / "a.mcap", film), tmp_path / "a.db3")))
    check(Path(shutil.copy(bags.bag1(tmp_path / "b.bag", film1), tmp_path / "b.recording")))
    folder = bags.bag2(tmp_path / "c", film, "sqlite3")
    check(Path(shutil.copy(next(folder.glob("*.db3")), tmp_path / "c.bag")))


def database(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE topics (id INTEGER)")


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "zeros": (lambda p: p.write_bytes(bytes(4096)), "is no bag"),
    "text": (lambda p: p.write_text("not a bag at all, but text"), "is no bag: it begins with 'not a bag at all'"),
    "lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"),
        "git lfs pull",
    ),
    "html": (lambda p: p.write_text("\n<!DOCTYPE html><html>404</html>"), "a web page"),
    "old": (lambda p: p.write_bytes(b"#ROSBAG V1.2\n" + bytes(100)), "rosbag filter"),
    "database": (database, "no bag: it has no tables messages and topics"),
    "magic": (lambda p: p.write_bytes(b"\x89MCAP0\r\n"), "cut short"),
    "half a magic": (lambda p: p.write_bytes(b"\x89MCA"), "cut short after 4 bytes"),
    "one byte": (lambda p: p.write_bytes(b"#"), "cut short after 1 bytes"),
    "zstd": (
        lambda p: p.write_bytes(pytest.importorskip("zstandard").compress(b"hello world")),
        "holds no bag",
    ),
    "half zstd": (lambda p: p.write_bytes(b"\x28\xb5\x2f\xfd\x04"), "cut short"),
}


@pytest.mark.parametrize("ending", [".mcap", ".db3", ".bag", ".mcap.zstd"])
@pytest.mark.parametrize(("write", "said"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_bag_is_named_once(tmp_path, ending, write, said):
    path = tmp_path / f"run{ending}"
    write(path)
    with pytest.raises(DataError, match=said) as caught:
        open_footage(path, "x")
    assert str(caught.value).count(said.split(":")[0]) == 1


def test_a_bag_without_images_says_what_it_has(tmp_path):
    rows = [bags.Row(f"/topic{n}", bags.STRING, bags.string("x"), bags.BEGIN) for n in range(12)]
    with pytest.raises(DataError, match=r"no images; its topics are /topic0 \(std_msgs/msg/String\).* and 4 more"):
        open_footage(bags.mcap(tmp_path / "run.mcap", rows), "x")
    with pytest.raises(DataError, match="no message"):
        open_footage(bags.mcap(tmp_path / "none.mcap", []), "x")


def test_a_killed_recorder_of_db3_leaves_a_log_that_is_read(tmp_path):
    source = next(bags.bag2(tmp_path / "whole", bags.film(), "sqlite3").glob("*.db3"))
    killed = tmp_path / "killed"
    killed.mkdir()
    with sqlite3.connect(source) as base:
        base.execute("PRAGMA journal_mode=WAL")
        half = base.execute("SELECT * FROM messages WHERE id > 4").fetchall()
        base.execute("DELETE FROM messages WHERE id > 4")
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        base.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", half)
        base.commit()
        for file in (source, source.with_name(f"{source.name}-wal")):
            shutil.copy(file, killed)
    before = bags.fingerprint(killed)
    assert any(name.endswith("-wal") for name in before)
    check(killed)
    assert bags.fingerprint(killed) == before
    (killed / f"{source.name}-wal").unlink()
    assert len(open_footage(killed, "x").scene(0).clip) == 4


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("how", [{}, {"chunked": False}, {"compression": CompressionType.ZSTD}], ids=str)
def test_an_unfinished_mcap_is_read_as_far_as_it_goes(tmp_path, how, share):
    whole = bags.mcap(tmp_path / "whole.mcap", bags.film(count=60), **how).read_bytes()
    path = tmp_path / "run.mcap"
    path.write_bytes(whole[: int(share * len(whole))])
    footage = open_footage(path, "x")
    shades = footage.scene(0).clip.views["/front"][:, 0, 0, 0].tolist()
    assert shades == [10 * n % 256 for n in range(len(shades))] and 2 <= len(shades) <= 60
    assert len(footage.problems) == 1 and "cut short" in footage.problems[0]


def test_a_recorder_that_was_killed_before_it_wrote_the_end(tmp_path):
    footage = open_footage(bags.mcap(tmp_path / "run.mcap", bags.film(), finish=False, chunked=False), "x")
    assert len(footage.scene(0).clip) == 8 and "was never closed" in footage.problems[0]


def test_attachments_are_passed_over(tmp_path):
    whole = bags.mcap(tmp_path / "run.mcap", bags.film(), chunked=False).read_bytes()
    begin = whole.index(b"ros2") + len("ros2") + 8  # behind the header
    attachment = b"\x09" + (5000).to_bytes(8, "little") + bytes(5000)
    (tmp_path / "run.mcap").write_bytes(whole[:begin] + attachment + whole[begin:])
    check(tmp_path / "run.mcap")
    (tmp_path / "cut.mcap").write_bytes(whole[:begin] + attachment[:-1])
    with pytest.raises(DataError, match="the last record should have 5000 bytes"):
        open_footage(tmp_path / "cut.mcap", "x")


def test_a_damaged_chunk_ends_what_is_read(tmp_path):
    path = bags.mcap(tmp_path / "run.mcap", bags.film(count=60))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    footage = open_footage(path, "x")
    assert "checksum" in footage.problems[0] and 10 < len(footage.scene(0).clip) < 60


def test_finding_needs_no_library_for_bags(tmp_path):
    bags.mcap(tmp_path / "run.mcap", bags.film())
    found, problems = find_bags(tmp_path)
    assert [bag.name for bag in found] == ["run"] and not problems
    assert not is_bag(tmp_path / "nothing") and not is_bag(Path(__file__))
