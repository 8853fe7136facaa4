"""The loader: the same batches whoever makes them, from any step on, and nothing that dies or breaks is silent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from vgps_models.errors import DataError, SpecError
from vgps_models.video import Form, Loader, Sampling, Transitions, VideoShards
from vgps_models.video.bench import VideoBench, bench_video, compare, made_up
from vgps_models.video.loading_processes import LoaderDiedError

SETTINGS = Sampling(batch=8, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("made") / "up", "jpeg", VideoBench(size=16, videos=6))


def batches(shards: VideoShards, count: int, **how) -> list[Transitions]:
    with Loader(shards, SETTINGS, **how) as loader:
        return list(islice(loader, count))


def same(one: list[Transitions], two: list[Transitions]) -> bool:
    fields = ("video", "time", "frames", "row")
    return len(one) == len(two) and all(
        a.step == b.step and all(np.array_equal(getattr(a, f), getattr(b, f)) for f in fields)
        for a, b in zip(one, two, strict=True)
    )


def test_any_number_of_workers_makes_the_same_batches_from_any_step_on(root: Path) -> None:
    shards = VideoShards(root)
    whole = batches(shards, 12, workers=0)
    assert [batch.step for batch in whole] == list(range(12)) and not same(whole[:1], whole[1:2])
    assert same(batches(shards, 12, workers=1), whole)
    assert same(batches(shards, 7, workers=3, ahead=1, start=5), whole[5:])
    assert same(batches(shards, 12, workers=1, budget_mb=100), whole)
    assert same(batches(shards, 7, workers=0, start=5, budget_mb=100), whole[5:])
    with Loader(shards, SETTINGS, workers=2) as loader:
        for _ in range(4):
            loader.next()
        kept = loader.step
    assert kept == 4 and same(batches(shards, 3, workers=0, start=kept), whole[4:7])


def test_batches_hold_the_frames_they_name(root: Path) -> None:
    shards = VideoShards(root)
    (batch,) = batches(shards, 1, workers=1)
    index = shards.bounds[batch.video] + batch.time
    for number, role in enumerate(("s", "following", "outcome", "intent")):
        assert (batch.images(role) == shards.read(index[number])).all()
    assert len(np.unique(index)) == len(batch.frames) < 32 and batch.at_intent.any()
    video, time = shards.locate(index)
    assert (video == batch.video).all() and (time == batch.time).all()


def test_batches_taken_stay_as_they_are(root: Path) -> None:
    shards = VideoShards(root)
    with Loader(shards, SETTINGS, workers=1, ahead=1) as loader:
        first = loader.next()
        kept = first.frames.copy()
        for _ in range(3):
            loader.next()
        assert (first.frames == kept).all()


def test_only_chosen_videos_are_loaded(root: Path) -> None:
    for workers in (0, 1):
        got = batches(VideoShards(root), 4, workers=workers, videos=np.array([1, 4]))
        assert {int(v) for batch in got for v in batch.video.ravel()} == {1, 4}


def test_a_dead_worker_is_an_error_by_name(root: Path) -> None:
    with Loader(VideoShards(root), SETTINGS, workers=2) as loader:
        loader.next()
        (victim,) = [child for child in multiprocessing.active_children() if child.name == "video loader 1"]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(LoaderDiedError, match=rf"worker 1 .*process {victim.pid}.*SIGKILL.*step"):
            for _ in range(6):
                loader.next()
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("video loader")]


def test_a_damaged_frame_is_an_error_by_name_in_every_way_of_loading(tmp_path: Path) -> None:
    root = made_up(tmp_path / "up", "jpeg", VideoBench(size=16, videos=1))
    shards = VideoShards(root)
    (frames,) = [path for path in root.glob("*.frames") if path.stat().st_size]
    frames.write_bytes(bytes(frames.stat().st_size))
    for workers, budget in ((0, 0.0), (1, 0.0), (1, 100.0)):
        with (
            Loader(shards, SETTINGS, workers=workers, budget_mb=budget) as loader,
            pytest.raises(DataError, match="of 0 cannot be decoded"),
        ):
            loader.next()


def test_workers_end_with_whoever_started_them(root: Path) -> None:
    code = f"""
import multiprocessing, os, signal
from vgps_models.video import Loader, Sampling, VideoShards
if __name__ == "__main__":
    loader = Loader(VideoShards({str(root)!r}), Sampling(batch=8), workers=1)
    loader.next()
    print(multiprocessing.active_children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    script = root.parent / "killed.py"
    script.write_text(code, encoding="utf-8")
    # The worker holds the other end of this pipe: it is at its end when the worker is gone.
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not Path(f"/proc/{int(done.stdout)}").exists() or "Z" in Path(f"/proc/{int(done.stdout)}/stat").read_text(
        encoding="utf-8"
    )


def test_nothing_is_loaded_from_nonsense(root: Path) -> None:
    with pytest.raises(SpecError, match="workers -1"):
        Loader(VideoShards(root), SETTINGS, workers=-1)
    with pytest.raises(DataError, match="vgps video pack"):
        VideoShards(root.parent)


def test_the_bench_measures_any_consumer(root: Path) -> None:
    seen: list[int] = []
    config = VideoBench(data=root, batch=4, steps=4, workers=(0,), budget_mb=10.0)

    def consume(batch: Transitions) -> None:
        np.fft.fft2(batch.frames.astype(np.complex64).repeat(8, axis=1))
        seen.append(len(batch.frames))

    numbers = bench_video(config, consume)
    ways = numbers["data"]["ways"]
    assert set(ways) == {"0 processes", "memory"} and seen
    for way in ways.values():
        assert way["frames_per_s"] > 0 and way["fed_to_alone"] > 0 and way["loader_to_consumer"] > 0
    with Loader(VideoShards(root), SETTINGS, workers=0) as loader:
        shapes = set()
        compare(loader, lambda batch: shapes.add(batch.frames.shape[1:]), 3)
    assert shapes == {(16, 16, 3)}
    assert VideoShards(root).form == Form(size=16)
