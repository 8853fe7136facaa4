"""A folder of videos: what the index says is there, nothing is lost to a kill, and there are no actions."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data.foreign_video import ForeignVideo
from vgps_models.errors import DataError, UnknownNameError
from vgps_sim.people import videos
from vgps_sim.people.videos import INDEX, VideosConfig, film, read_index
from vgps_sim.tasks import TASKS
from vgps_sim.workers import WorkerCrash

SMALL = {"size": 32, "views": 2, "processes": 1, "embodiments": ("hand", "tongs"), "tasks": ("put_carrot_on_plate",)}


def contents(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "people"
    heard = []
    done = film(VideosConfig(out=folder, episodes=3, **SMALL), lambda key, success: heard.append(success))
    assert (done.performances, done.found, done.successes) == (3, 0, sum(heard))
    return folder


def test_the_index_is_what_the_files_hold(filmed: Path) -> None:
    entries = read_index(filmed)
    assert len(entries) == 6 and len({e.key for e in entries}) == 3
    assert {e.file for e in entries} == {str(p.relative_to(filmed)) for p in filmed.rglob("*.mp4")}
    for entry in entries:
        assert entry.file.startswith(f"{entry.embodiment}/") and entry.task_id in TASKS
        assert entry.task in (TASKS[entry.task_id].instruction, *TASKS[entry.task_id].paraphrases)
        with closing(ForeignVideo(filmed / entry.file)) as video:
            assert len(video) == entry.frames and 20 <= entry.frames <= 60
            np.testing.assert_allclose(np.diff(video.times), 1 / entry.fps, atol=1e-6)
            assert video.frames(np.array([0])).shape == (1, 32, 32, 3)


def test_there_are_no_actions_anywhere(filmed: Path) -> None:
    assert {p.suffix for p in filmed.rglob("*") if p.is_file()} == {".mp4", ".json", ".jsonl"}
    for row in map(json.loads, (filmed / INDEX).read_text(encoding="utf-8").splitlines()):
        words = {"file", "task", "task_id", "embodiment", "view", "seed", "success", "fault", "fps", "frames"}
        assert set(row) == words


def test_goes_on_where_it_stopped_and_makes_again_what_is_gone(filmed: Path) -> None:
    before = contents(filmed)
    assert film(VideosConfig(out=filmed, episodes=3, **SMALL)).performances == 0
    assert contents(filmed) == before
    lost = filmed / read_index(filmed)[0].file
    lost.unlink()
    with (filmed / INDEX).open("a", encoding="utf-8") as index:
        index.write('{"file": "hand/half a li')  # a writer died here
    (filmed / "hand" / ".left.mp4.123").write_bytes(b"half a video")
    assert film(VideosConfig(out=filmed, episodes=3, **SMALL)).performances == 1
    (filmed / "hand" / ".left.mp4.123").unlink()
    assert contents(filmed) == before


def test_a_killed_run_leaves_whole_videos_and_is_finished_by_the_next(filmed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "people"
    code = f"""
from pathlib import Path
from vgps_sim.people.videos import VideosConfig, film
if __name__ == "__main__":
    film(VideosConfig(out=Path({str(folder)!r}), episodes=3, **{SMALL!r}))
"""
    script = tmp_path / "run.py"
    script.write_text(code, encoding="utf-8")
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    while run.poll() is None and len(list(folder.rglob("*.mp4"))) < 3:
        time.sleep(0.02)
    run.kill()
    assert run.stdout and run.stdout.read() == b""  # ends when the last worker, which has inherited it, has left
    run.wait()
    for path in folder.rglob("*.mp4"):
        with closing(ForeignVideo(path)) as video:
            video.frames(np.arange(len(video)))
    film(VideosConfig(out=folder, episodes=3, **SMALL))
    for path in folder.rglob(".*.mp4.*"):
        path.unlink()
    assert contents(folder) == contents(filmed)


def test_a_dead_worker_is_told_of_and_costs_only_what_it_had_in_hand(filmed: Path, tmp_path: Path) -> None:
    def kill(key, success) -> None:
        for worker in multiprocessing.active_children():
            os.kill(worker.pid or 0, signal.SIGKILL)

    with pytest.raises(WorkerCrash, match="again"):
        film(VideosConfig(out=tmp_path, episodes=3, **SMALL), kill)
    done = film(VideosConfig(out=tmp_path, episodes=3, **SMALL))
    assert done.found >= 1 and done.found + done.performances == 3
    for path in tmp_path.rglob(".*.mp4.*"):
        path.unlink()
    assert contents(tmp_path) == contents(filmed)


def test_other_settings_need_another_folder(filmed: Path) -> None:
    with pytest.raises(DataError, match=r"other settings \(size\)"):
        film(VideosConfig(out=filmed, episodes=3, **{**SMALL, "size": 48}))
    (filmed.parent / "bad").mkdir()
    (filmed.parent / "bad" / "settings.json").write_text("{not json", encoding="utf-8")
    with pytest.raises(DataError, match="another folder"):
        film(VideosConfig(out=filmed.parent / "bad", episodes=1, **SMALL))


def test_successes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = VideosConfig(out=tmp_path, episodes=1, success_only=True, failures=1.0, **SMALL)
    assert config.shared()["failures"] == 0.0
    real, asked = videos.perform, []

    def unlucky(*arguments, attempt, failures, **looks):
        asked.append(attempt)
        return real(*arguments, attempt=attempt, failures=1.0 if attempt == 0 else failures, **looks)

    monkeypatch.setattr(videos, "perform", unlucky)
    assert videos._film((config, config.keys()[0]))[0].success and asked == [0, 1]


def test_more_episodes_are_the_same_and_others() -> None:
    few, many = VideosConfig(episodes=30).keys(), VideosConfig(episodes=100).keys()
    assert many[:30] == few and len(set(many)) == 100
    counts = [sum(key[:2] == pair for key in many) for pair in {key[:2] for key in many}]
    assert len(counts) == 12 and max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        ({"embodiments": ("octopus",)}, UnknownNameError, "trident"),
        ({"tasks": ("make_coffee",)}, UnknownNameError, "put_spoon_on_towel"),
        ({"size": 65}, DataError, "66"),
        ({"views": 0}, DataError, "1 to 16"),
        ({"failures": 1.5}, DataError, "0 to 1"),
        ({"embodiments": ()}, DataError, "at least one"),
    ],
)
def test_bad_settings_say_what_would_be_right(bad, error, says) -> None:
    with pytest.raises(error, match=says):
        VideosConfig(**bad)
