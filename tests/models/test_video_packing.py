"""Packing: every bad video is named and costs nothing but itself, and a killed run ends up as one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from films import (  # pyright: ignore[reportMissingImports]
    damaged,
    film,
    sound,
    steady,
    turned,
    without_frames,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError, SpecError
from vgps_models.video import Form, VideoShards
from vgps_models.video.info import info
from vgps_models.video.packing import PackConfig, make_plan, pack
from vgps_models.video.sheet import choose, sheet
from vgps_models.video.workers import WorkerDiedError, in_workers
from vgps_models.video.writing import ShardBusyError, ShardWriter

SMALL = Form(size=16)


def packed(source: Path, out: Path, form: Form = SMALL, processes: int = 1, **options) -> VideoShards:
    pack(PackConfig((str(source),), out, form, processes=processes, **options))
    return VideoShards(out)


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.glob("*")) if path.name != ".lock"}


def shades(shards: VideoShards, name: str) -> list[int]:
    number = [video.name for video in shards.videos].index(name)
    frames = shards.read(np.arange(shards.bounds[number], shards.bounds[number + 1]))
    return [int(np.median(frame)) for frame in frames]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each: good, odd and bad."""
    root = tmp_path_factory.mktemp("zoo") / "zoo"
    root.mkdir()
    steady(root / "good.mp4", 2.0)
    (root / "empty.mp4").write_bytes(b"")
    (root / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    (root / "cut.mp4").write_bytes((root / "good.mp4").read_bytes()[:2000])
    sound(root / "sound.mp4")
    without_frames(root / "frameless.mp4")
    film(root / "single.mp4", (0,))
    turned(film(root / "turned.mp4", (0, 200, 400)))
    film(root / "uneven.mp4", (0, 40, 400, 440, 2000, 3000), (20, 60, 100, 140, 180, 220))
    film(root / "slow.mp4", (0, 1000, 2000), (50, 100, 150))
    film(root / "jump.mp4", (0, 200, 400, 90_000), (50, 100, 150, 200))
    damaged(root / "damaged.mkv", 6.0)
    return root


def test_every_kind_of_bad_video_is_named_and_the_rest_is_used(zoo: Path, tmp_path: Path) -> None:
    shards = packed(zoo, tmp_path / "out")
    found = info(tmp_path / "out", verify=True)
    kinds = {problem.name.removeprefix("zoo/"): problem.kind for problem in found.problems}
    assert kinds == {
        "empty.mp4": "empty",
        "noise.mp4": "unreadable",
        "cut.mp4": "unreadable",
        "sound.mp4": "no picture",
        "frameless.mp4": "empty",
        "single.mp4": "too short",
        "jump.mp4": "cut short",
        "damaged.mkv": "cut short",
    }
    assert all(problem.reason for problem in found.problems) and not found.damaged and not found.waiting
    videos = {video.name.removeprefix("zoo/"): video for video in shards.videos}
    assert set(videos) == {"good.mp4", "turned.mp4", "uneven.mp4", "slow.mp4", "jump.mp4", "damaged.mkv"}
    assert videos["turned.mp4"].rotated == -90 and videos["uneven.mp4"].variable and not videos["slow.mp4"].variable
    assert videos["jump.mp4"].cut_short and videos["jump.mp4"].frames == 3 and not videos["good.mp4"].cut_short
    assert 2 <= videos["damaged.mkv"].frames < 28 and videos["good.mp4"].frames == 10
    assert found.notes == {"rotated": 1, "variable rate": 1, "slower than asked for": 2}
    assert found.kinds["unreadable"] == 2 and found.videos == 6 and found.frames == len(shards)


def test_a_fixed_rate_is_made_of_any_rate_by_the_time_stamps(zoo: Path, tmp_path: Path) -> None:
    shards = packed(zoo, tmp_path / "out")
    assert np.allclose(shades(shards, "zoo/slow.mp4"), [50] * 5 + [100] * 5 + [150], atol=3)
    assert shards.videos[[v.name for v in shards.videos].index("zoo/slow.mp4")].repeated == 8
    want = [20, 60, 100] + [140] * 7 + [180] * 5 + [220]  # 0, 0.2, 0.4 s, ...
    assert np.allclose(shades(shards, "zoo/uneven.mp4"), want, atol=5)
    number = [v.name for v in shards.videos].index("zoo/turned.mp4")
    corner = shards.read(shards.bounds[number : number + 1])[0]
    assert corner[1, 14].min() > 200 > corner[1, 1].max()


def test_long_recordings_become_pieces_that_share_a_frame(tmp_path: Path) -> None:
    times = [200 * i for i in range(23)]
    path = film(tmp_path / "long.mp4", times, [20 + 10 * i for i in range(23)])
    shards = packed(path, tmp_path / "out", Form(size=16, cut_s=2.0))
    assert [(v.frames, v.begin_s) for v in shards.videos] == [(10, 0.0), (10, 1.8), (5, 3.6)]
    joined = [shades(shards, video.name) for video in shards.videos]
    assert joined[0][-1] == joined[1][0] and joined[1][-1] == joined[2][0]
    whole = joined[0] + joined[1][1:] + joined[2][1:]
    assert np.allclose(whole, [20 + 10 * i for i in range(23)], atol=4)
    exact = packed(film(tmp_path / "b.mp4", times[:10]), tmp_path / "b", Form(size=16, cut_s=2.0))
    assert [v.frames for v in exact.videos] == [10]


def test_several_processes_make_the_same_as_one(zoo: Path, tmp_path: Path) -> None:
    packed(zoo, tmp_path / "one")
    packed(zoo, tmp_path / "three", processes=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_raw_frames_are_those_that_jpeg_comes_close_to(zoo: Path, tmp_path: Path) -> None:
    coded, raw = packed(zoo, tmp_path / "jpeg"), packed(zoo, tmp_path / "raw", Form(size=16, codec="raw"))
    assert raw.bounds.tolist() == coded.bounds.tolist()
    every = np.arange(len(raw))
    assert np.abs(raw.read(every).astype(int) - coded.read(every)).max() < 30
    assert not list((tmp_path / "raw").glob("*.npy"))


KILLED = """
import os, signal, sys
from pathlib import Path
from vgps_models.video import Form
from vgps_models.video.packing import PackConfig, pack
from vgps_models.video.writing import ShardWriter
left = int(sys.argv[3])
write = ShardWriter.write
def counted(self, content):
    global left
    left -= 1
    if left == 0:
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, content)
ShardWriter.write = counted
pack(PackConfig((sys.argv[1],), Path(sys.argv[2]), Form(size=16), processes=1))
"""


@pytest.mark.parametrize("after", [1, 18, 40])
def test_killed_and_resumed_is_as_in_one_go(zoo: Path, tmp_path: Path, after: int) -> None:
    packed(zoo, tmp_path / "whole")
    out = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", KILLED, str(zoo), str(out), str(after)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert list(out.glob("*.part"))
    packed(zoo, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_killed_command_with_workers_goes_on(tmp_path: Path) -> None:
    root, out = tmp_path / "films", tmp_path / "out"
    root.mkdir()
    for number in range(24):
        steady(root / f"{number:02d}.mp4", 1.5, size=(96, 96))
    arguments = [sys.executable, "-m", "vgps_node.cli", "video", "pack", str(root), "--out", str(out), "--size", "16"]
    child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("shard-*.json")):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 30
    while True:  # its workers end by themselves, when they next have something to say
        try:
            packed(root, out, Form(size=16))
            assert not info(out).waiting
            break
        except (AssertionError, DataError):
            assert time.monotonic() < deadline
    packed(root, tmp_path / "whole", Form(size=16))
    assert contents(out) == contents(tmp_path / "whole")


@settings(max_examples=25)
@given(tear=st.floats(0, 1), noise=st.booleans())
def test_a_torn_shard_is_read_again_from_where_it_is_sound(
    tear: float, noise: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As after a power failure: any part of the last writes may be missing or wrong."""
    root, random = tmp_path_factory.mktemp("torn"), np.random.default_rng(0)
    frames = [random.integers(0, 256, (16, 16, 3)).astype(np.uint8) for _ in range(12)]

    def write(folder: Path, until: int) -> ShardWriter:
        writer = ShardWriter(folder, 0, SMALL)
        for number in range(until):
            if f"{number}" in writer.done:
                continue
            for frame in frames[3 * number : 3 * number + 3]:
                writer.write(SMALL.encode(frame))
            writer.end_video(
                name=f"{number}", source="", view="", text="", embodiment="", begin_s=0.0, source_hz=5.0
            )  # fmt: skip
            writer.end_recording(f"{number}")
        return writer

    for folder in (root / "torn", root / "whole"):
        folder.mkdir()
    write(root / "torn", 3).close()
    part, journal = root / "torn" / "shard-00000.frames.part", root / "torn" / "shard-00000.journal"
    size = part.stat().st_size
    at = int(tear * size)
    if noise:
        part.write_bytes(part.read_bytes()[:at] + bytes(size - at))
    else:
        part.write_bytes(part.read_bytes()[:at])
        journal.write_bytes(journal.read_bytes()[: int((0.5 + tear / 2) * journal.stat().st_size)])
    for folder in (root / "torn", root / "whole"):
        writer = write(folder, 4)
        writer.finish()
        writer.close()
    assert contents(root / "torn") == contents(root / "whole")


def test_a_shard_has_one_writer_and_others_pass_by(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    make_plan(out, SMALL, ["zoo/cut.mp4"])
    writer = ShardWriter(out, 0, SMALL)
    with pytest.raises(ShardBusyError):
        ShardWriter(out, 0, SMALL)
    done = pack(PackConfig((str(zoo),), out, SMALL, processes=1))
    assert done.busy == 1 and info(out).waiting == 1
    writer.close()
    assert pack(PackConfig((str(zoo),), out, SMALL, processes=1)).busy == 0 and not info(out).waiting


def test_a_video_that_kills_its_decoder_costs_that_video(zoo: Path, tmp_path: Path) -> None:
    from deadly import Deadly, shown  # pyright: ignore[reportMissingImports]

    names = ["a", "b", "c"]
    good = {name: shown(name, zoo / "good.mp4") for name in names}
    recordings = [good["a"], Deadly("b", "made up", "camera", "", "", int(signal.SIGSEGV)), good["c"]]
    config = PackConfig((), tmp_path, SMALL, processes=2)
    heard: list[tuple[str, str]] = []
    make_plan(tmp_path, SMALL, names)
    assert in_workers(config, [(0, recordings)], lambda *told: heard.append(told)) == 0
    assert [video.name for video in VideoShards(tmp_path).videos] == ["a", "c"]
    (problem,) = info(tmp_path).problems
    assert problem.name == "b" and problem.kind == "crashes the decoder" and "SIGSEGV" in problem.reason


def test_a_worker_that_was_killed_is_an_error_by_name(zoo: Path, tmp_path: Path) -> None:
    from deadly import Deadly  # pyright: ignore[reportMissingImports]

    config = PackConfig((), tmp_path, SMALL, processes=1)
    with pytest.raises(WorkerDiedError, match=r"SIGKILL.*read b"):
        in_workers(config, [(0, [Deadly("b", "", "", "", "", int(signal.SIGKILL))])], lambda *_: None)


def test_more_may_be_added_and_another_form_is_refused(zoo: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    steady(more / "x.mp4", 1.0)
    out = tmp_path / "out"
    before = packed(zoo, out)
    kept = contents(out)
    after = packed(more, out)
    assert [v.name for v in after.videos] == [*(v.name for v in before.videos), "more/x.mp4"]
    assert all(contents(out)[name] == data for name, data in kept.items() if name != "plan.json")
    with pytest.raises(DataError, match="size 16 there, 24 asked for"):
        packed(zoo, out, Form(size=24))
    with pytest.raises(SpecError, match="px"):
        Form(size=2)


def test_folders_of_shards_are_one_if_they_are_alike(zoo: Path, tmp_path: Path) -> None:
    one, two = packed(zoo, tmp_path / "a"), packed(zoo, tmp_path / "b", Form(size=16, codec="raw"))
    both = VideoShards(tmp_path / "a", tmp_path / "b")
    assert len(both) == len(one) + len(two) and len(both.videos) == 2 * len(one.videos)
    index = np.array([len(both) - 1, 0, len(one), 3, 3])
    want = [two.read(np.array([len(two) - 1])), one.read(np.array([0])), two.read(np.array([0]))]
    assert (both.read(index)[:3] == np.concatenate(want)).all() and (both.read(index)[3] == both.read(index)[4]).all()
    packed(zoo, tmp_path / "c", Form(size=24))
    with pytest.raises(DataError, match="24 px"):
        VideoShards(tmp_path / "a", tmp_path / "c")
    with pytest.raises(IndexError):
        one.read(np.array([len(one)]))


def test_damage_to_shards_is_found(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = packed(zoo, out)
    first = sorted(out.glob("*.frames"), key=lambda path: -path.stat().st_size)[0]
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 255
    first.write_bytes(raw)
    assert "is not what was packed" in " ".join(info(out, verify=True).damaged) and not info(out).damaged
    first.write_bytes(raw[:-1])
    found = info(out)
    assert len(found.damaged) == 1 and "bytes" in found.damaged[0] and found.videos == len(whole.videos) - 1
    index = first.with_suffix(".json")
    for text in ("", "{}", json.dumps(json.loads(index.read_text(encoding="utf-8")) | {"frames": 10**6}), "[1]"):
        index.write_text(text, encoding="utf-8")
        assert len(VideoShards(out).problems) == 1
    raw[:2] = b"xx"  # the beginning of the first picture
    other = packed(zoo, tmp_path / "other")
    frames = max((tmp_path / "other").glob("*.frames"), key=lambda path: path.stat().st_size)
    frames.write_bytes(b"xx" + frames.read_bytes()[2:])
    with pytest.raises(DataError, match="frame 0 of zoo/"):
        other.read(np.arange(len(other)))


def test_a_source_of_nothing_but_bad_videos_says_so(zoo: Path, tmp_path: Path) -> None:
    pack(PackConfig((str(zoo / "sound.mp4"),), tmp_path, SMALL, processes=1))
    with pytest.raises(DataError, match="no picture"):
        info(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        info(tmp_path / "nowhere")


def test_a_sheet_shows_them(zoo: Path, tmp_path: Path) -> None:
    shards = packed(zoo, tmp_path / "out")
    videos = choose(shards, 4)
    assert len(set(videos.tolist())) == 4 and sheet(shards, videos, 3).startswith(b"\x89PNG")
    assert len(choose(shards, 100)) == len(shards.videos)
