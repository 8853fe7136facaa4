"""Nothing recorded is lost: killed writers, killed merges, many writers, resumed runs."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.check import check
from vgps_models.data.episodes import example_episode
from vgps_models.data.merge import finish_swap
from vgps_models.data.staging import clear_half_written, staged_path
from vgps_models.errors import DataError, SpecError
from vgps_models.spaces import ActionSpec

WRITE = """
import sys
from vgps_models.data import EpisodeWriter
from vgps_models.data.episodes import example_episode
root, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
writer = EpisodeWriter(root)
for seed in range(first, first + count):
    if ("put_spoon_on_towel", seed) not in writer:
        writer.write(example_episode(seed, steps=4))
        print(seed, flush=True)
"""
MERGE = """
import sys
from vgps_models.data import EpisodeWriter
writer = EpisodeWriter(sys.argv[1])
print("go", flush=True)
writer.finalise()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, encoding="utf-8", env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
    )


def key(seed: int) -> tuple[str, int]:
    return "put_spoon_on_towel", seed


def test_killed_while_writing_then_resumed(tmp_path: Path) -> None:
    """However often the writer is killed, what it announced is there; the resumed run completes the set."""
    dice, announced = random.Random(0), set[int]()
    for _ in range(3):
        process = start(WRITE, tmp_path, 0, 10000)
        assert process.stdout
        for _ in range(dice.randrange(3, 9)):
            announced.add(int(process.stdout.readline()))
        time.sleep(dice.random() * 0.03)  # anywhere within the next episode
        process.send_signal(signal.SIGKILL)
        announced |= {int(line) for line in process.stdout.read().split()}
        process.wait()
        writer = EpisodeWriter(tmp_path)
        assert {seed for _, seed in writer.recorded} >= announced
        assert len(writer) <= len(announced) + 1
    process = start(WRITE, tmp_path, 0, max(announced) + 3)
    process.communicate()
    merged = EpisodeWriter(tmp_path).finalise()
    assert merged.episodes == max(announced) + 3
    assert merged.problems == ()
    assert check(tmp_path).ok


def test_killed_while_merging(tmp_path: Path) -> None:
    """A merge may die anywhere: before, between or after its renames, nothing is lost and the next one completes."""
    writer = EpisodeWriter(tmp_path)
    dice, count = random.Random(1), 0
    for _ in range(6):
        for _ in range(3):
            writer.write(example_episode(count, steps=3))
            count += 1
        process = start(MERGE, tmp_path)
        assert process.stdout
        process.stdout.readline()
        time.sleep(dice.random() * 0.12)
        process.send_signal(signal.SIGKILL)
        process.wait()
        writer = EpisodeWriter(tmp_path)
        assert writer.recorded == {key(seed) for seed in range(count)}
        assert writer.problems == ()
    assert writer.finalise().episodes == count
    assert check(tmp_path).ok


@pytest.mark.parametrize("stop", range(12))
def test_interrupted_before_every_rename_of_a_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    writer = EpisodeWriter(tmp_path)
    writer.write(example_episode(0, steps=2))
    writer.finalise()
    writer.write(example_episode(1, steps=2))
    real, calls = os.replace, [0]

    def dying(source: os.PathLike, target: os.PathLike) -> None:
        calls[0] += 1
        if calls[0] > stop:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        try:
            writer.finalise()
        except KeyboardInterrupt:
            pass
        else:
            assert stop >= 7  # the marker, and two renames for each of three folders
    finish_swap(tmp_path)
    assert EpisodeWriter(tmp_path).recorded == {key(0), key(1)}
    assert EpisodeWriter(tmp_path).finalise().episodes == 2
    assert check(tmp_path).ok


def test_two_processes_write_at_once_and_the_hash_is_that_of_one(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    processes = [start(WRITE, together, first, 8) for first in (0, 8)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    writer = EpisodeWriter(alone)
    for seed in random.Random(3).sample(range(16), 16):
        writer.write(example_episode(seed, steps=4))
        if seed % 5 == 0:
            writer.finalise()
    for root in (together, alone):
        EpisodeWriter(root).finalise()
    a, b = EpisodeStore(together), EpisodeStore(alone)
    assert a.data_hash() == b.data_hash()
    for file in ("data/chunk-000/file-000.parquet", "meta/tasks.parquet", "meta/stats.json"):
        assert (together / file).read_bytes() == (alone / file).read_bytes()
    assert np.array_equal(a.all_images("wrist"), b.all_images("wrist"))


@pytest.mark.parametrize(
    "change",
    [
        {"actions": example_episode(1, steps=4).actions * np.float32(1.0001)},
        {"instruction": "another sentence"},
        {"flaw": "another flaw"},
        {"success": False},
        {"images": {n: f ^ np.uint8(1) for n, f in example_episode(1, steps=4).images.items()}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_sees_every_change(tmp_path: Path, change: dict) -> None:
    episode = example_episode(1, steps=4)
    for name, recorded in (("a", episode), ("b", replace(episode, **{"commanded": episode.commanded, **change}))):
        writer = EpisodeWriter(tmp_path / name)
        writer.write(recorded)
        writer.finalise()
    assert EpisodeStore(tmp_path / "a").data_hash() != EpisodeStore(tmp_path / "b").data_hash()


def test_an_episode_is_recorded_once(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    writer.write(example_episode(5))
    for again in (writer, EpisodeWriter(tmp_path)):
        with pytest.raises(DataError, match="recorded already"):
            again.write(example_episode(5))
    writer.finalise()
    for again in (writer, EpisodeWriter(tmp_path)):
        assert key(5) in again
        with pytest.raises(DataError, match="recorded already"):
            again.write(example_episode(5))


def test_a_damaged_waiting_episode_is_named_set_aside_and_recorded_again(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    paths = [writer.write(example_episode(seed)) for seed in range(3)]
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 0xFF
    paths[1].write_bytes(content)
    resumed = EpisodeWriter(tmp_path)
    assert key(1) not in resumed
    assert [problem.name for problem in resumed.problems] == ["put_spoon_on_towel-00000001"]
    assert (tmp_path / "damaged" / paths[1].name).read_bytes() == content
    resumed.write(example_episode(1))
    assert resumed.finalise().episodes == 3


def test_a_writer_that_was_open_all_along_also_records_again(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    path = staged_path(tmp_path, example_episode(1).name)
    path.write_bytes(b"half")
    writer.write(example_episode(1))
    assert writer.finalise().problems == ()


def test_what_a_dead_writer_left_is_named_and_what_a_living_one_holds_is_kept(tmp_path: Path) -> None:
    import fcntl

    folder = tmp_path / "staging"
    folder.mkdir()
    dead, living = (folder / f"spoon-0000000{n}.zip.{n}.part" for n in (1, 2))
    dead.write_bytes(b"x")
    with open(living, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = EpisodeWriter(tmp_path)
        assert [problem.name for problem in writer.problems] == ["spoon-00000001"]
        assert living.exists()
    assert not dead.exists()


def test_a_file_that_its_writer_finishes_meanwhile_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EpisodeWriter(tmp_path)
    writer.write(example_episode(0))
    gone = tmp_path / "staging" / "spoon-00000001.zip.1.part"
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([gone]))
    assert clear_half_written(tmp_path) == []


def test_episodes_unlike_the_others_are_named_and_left_out(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    writer.write(example_episode(0))
    writer.write(example_episode(1, size=64))
    writer.write(replace(example_episode(2), environment_state=None))
    EpisodeWriter(tmp_path, spec=ActionSpec(max_rotation=0.5)).write(example_episode(3))
    merged = writer.finalise()
    assert merged.episodes == 1
    reasons = {problem.name[-1]: problem.reason for problem in merged.problems}
    assert "cameras" in reasons["1"]
    assert "vectors" in reasons["2"]
    assert "action spec" in reasons["3"]


def test_another_action_spec_is_refused_before_recording(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    writer.write(example_episode(0))
    writer.finalise()
    with pytest.raises(SpecError, match="max_translation"):
        EpisodeWriter(tmp_path, spec=ActionSpec(max_translation=0.05))
    with pytest.raises(DataError, match="whole number"):
        EpisodeWriter(tmp_path / "other", spec=ActionSpec(control_hz=7.5))


def test_nothing_to_merge_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no complete episode"):
        EpisodeWriter(tmp_path).finalise()
