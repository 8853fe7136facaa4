"""Frames are chosen by presentation time: rates that differ, stream copies, shared files, gaps, and files that end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import foreign_sets as sets  # pyright: ignore[reportMissingImports]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from films import film, trimmed  # pyright: ignore[reportMissingImports]
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.data.foreign_check import look_through
from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.foreign_video import ForeignVideo, nearest_at, play, shown_at, usual_gap
from vgps_models.errors import DataError
from vgps_models.progress.footage import open_footage
from vgps_models.video.fitting import Fitter
from vgps_models.video.moments import Resampler
from vgps_models.video.sources import open_sources

FRONT, WRIST = sets.FRONT, "observation.images.wrist"


def scored(root: Path, index: int, frames: int = 0, camera: str = "front") -> list[int]:
    """The frames that an estimator is shown."""
    return sets.numbers(open_footage(root, "x").scene(index, frames).clip.views[camera])


def packed(source: Path, index: int, hz: float) -> list[int]:
    """The frames that a shard keeps."""
    recording, fit = open_sources([str(source)]).recordings[index], Fitter(32)
    return sets.numbers(np.stack([fit(moment.picture()) for moment in Resampler(hz)(recording.play())]))


def edit_table(root: Path, name: str, values: list) -> None:
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(values)), path)


@given(
    gaps=st.lists(st.floats(0.004, 2.0), min_size=1, max_size=30),
    wanted=st.lists(st.floats(-1.0, 70.0), min_size=1, max_size=10),
)
def test_a_moment_gets_the_last_frame_that_begins_by_then_or_a_little_later(gaps, wanted) -> None:
    times, moments = np.cumsum([0.0, *gaps]), np.array(wanted)
    for slack in (0.002, max(0.002, 0.499 * usual_gap(times))):
        for moment, index in zip(moments, shown_at(times, moments, slack), strict=True):
            before = [i for i, begin in enumerate(times) if begin <= moment + slack]
            assert index == (before[-1] if before else 0)
    assert (nearest_at(times, moments) == shown_at(times, moments, max(0.002, 0.499 * usual_gap(times)))).all()


@given(frames=st.integers(2, 60), hz=st.floats(1, 120), moment=st.floats(0, 10))
def test_a_steady_video_gives_its_nearest_frame(frames: int, hz: float, moment: float) -> None:
    times = np.arange(frames) / hz
    (index,) = nearest_at(times, np.array([moment]))
    assert abs(times[index] - moment) <= np.abs(times - moment).min() + 0.003 / hz + 0.002


@pytest.mark.parametrize("data", [True, False], ids=["with rows", "without rows"])
def test_rows_at_10_hz_of_a_video_at_30_hz_show_every_third_frame(tmp_path: Path, data: bool) -> None:
    root = sets.v3(tmp_path / "set", hz=10, video_hz=30, data=data)
    assert scored(root, 0, 10) == scored(root, 0) == list(range(0, 30, 3))
    assert scored(root, 1, 10) == list(range(30, 60, 3))  # begins within the shared file
    assert scored(root, 1, 4) == [30, 39, 48, 57]
    assert packed(root, 0, 10) == list(range(0, 30, 3)) and packed(root, 1, 10) == list(range(30, 60, 3))


@pytest.mark.parametrize(("hz", "video_hz"), [(30.0, 30.0), (10.0, 25.0), (15.0, 30.0), (30.0, 29.97), (10.0, 50.0)])
def test_every_row_shows_the_frame_nearest_to_its_time(tmp_path: Path, hz: float, video_hz: float) -> None:
    root = sets.v2(tmp_path / "set", hz=hz, video_hz=video_hz, lengths=(12, 15))
    times = np.arange(76) / video_hz
    for episode, length in enumerate((12, 15)):
        wanted = np.arange(length) / hz
        nearest = [int(np.abs(times - (t - 1e-4)).argmin()) for t in wanted]
        assert scored(root, episode) == nearest


def test_cameras_of_different_rates_each_show_their_own_episode(tmp_path: Path) -> None:
    root = sets.v3(tmp_path / "set", hz=30, video_hz=30, lengths=(9, 9), keys=(FRONT, WRIST))
    # Ten frames a second, and the second episode begins at .3 s: none of its frames may be shown in the first.
    slow = root / f"videos/{WRIST}/chunk-000/file-000.mp4"
    slow.unlink()
    film(slow, [0, 100, 200, 300, 400, 500], [sets.level(n) for n in (0, 1, 2, 15, 16, 17)], size=sets.SIZE, crf=0)
    assert scored(root, 0, camera="wrist") == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert scored(root, 1, camera="wrist") == [15, 15, 16, 16, 16, 17, 17, 17, 17]
    assert scored(root, 0) == list(range(9)) and scored(root, 1) == list(range(9, 18))


def test_a_stream_copy_begins_where_it_was_cut(tmp_path: Path) -> None:
    """The copy holds frames from the key frame before the cut on, which an edit list hides."""
    source = sets.movie(tmp_path / "source.mp4", 75, 30)  # a key frame in two seconds, B-frames
    copy = trimmed(source, tmp_path / "copy.mp4", 0.5, 1.5)
    video = ForeignVideo(copy)
    assert len(video) == 30 and video.times[0] == 0 and np.allclose(np.diff(video.times), 1 / 30, atol=1e-3)
    assert sets.numbers(video.frames(np.array([0, 5, 29]))) == [15, 20, 44]
    video.close()
    played = [(seconds, frame) for seconds, frame in play(copy)]
    assert len(played) == 30 and played[0][0] == 0
    assert sets.numbers(open_footage(copy, "x").scene(0, 4).clip.views["camera"])[0] == 15
    assert packed(copy, 0, 10) == list(range(15, 45, 3))


@pytest.mark.parametrize("how", ["edit list", "kept clock", "no edit list", "mkv"])
def test_episodes_of_a_trimmed_file_are_found(tmp_path: Path, how: str) -> None:
    root = sets.v3(tmp_path / "set", hz=10, video_hz=30, lengths=(10, 10))
    path = root / f"videos/{FRONT}/chunk-000/file-000.mp4"
    source = sets.movie(tmp_path / "source.mp4", 75, 30)
    path.unlink()
    first = {"edit list": 15, "kept clock": 0, "no edit list": 0, "mkv": 0}[how]
    if how == "edit list":
        trimmed(source, path, 0.5, 2.5)
    elif how == "kept clock":  # the file begins at 5 s and the table counts from its first frame
        trimmed(source, path, 0.0, 2.0, zero=-5.0)
    elif how == "no edit list":  # the first frame is late by the depth of the B-frames
        trimmed(source, path, 0.0, 2.0, use_editlist="0")
    else:
        path = path.with_suffix(".mkv")
        trimmed(source, path, 0.0, 2.0, zero=-5.0)
        sets.write_info(root, video_path="videos/{video_key}/" + sets.CHUNK + ".mkv")
    assert scored(root, 0) == list(range(first, first + 30, 3))
    assert scored(root, 1) == list(range(first + 30, first + 60, 3))
    assert packed(root, 0, 10) == list(range(first, first + 30, 3))
    assert packed(root, 1, 10) == list(range(first + 30, first + 60, 3))


def test_a_table_on_the_clock_of_a_file_that_begins_late_is_believed(tmp_path: Path) -> None:
    root = sets.v3(tmp_path / "set", hz=10, video_hz=30, lengths=(10, 10), data=False)
    path = root / f"videos/{FRONT}/chunk-000/file-000.mp4"
    path.unlink()
    trimmed(sets.movie(tmp_path / "source.mp4", 60, 30), path, 0.0, 2.0, zero=-5.0)
    edit_table(root, f"videos/{FRONT}/from_timestamp", [5.0, 6.0])
    edit_table(root, f"videos/{FRONT}/to_timestamp", [6.0, 7.0])
    assert scored(root, 0) == list(range(0, 30, 3)) and scored(root, 1) == list(range(30, 60, 3))
    assert packed(root, 1, 10) == list(range(30, 60, 3))


def test_times_in_the_table_that_were_rounded_do_not_show_the_neighbor(tmp_path: Path) -> None:
    root = sets.v3(tmp_path / "set", hz=30, video_hz=30, lengths=(10, 10, 10), tasks=[["a"], ["b"], ["c"]])
    edit_table(root, f"videos/{FRONT}/from_timestamp", [0.0, 0.334, 0.667])
    edit_table(root, f"videos/{FRONT}/to_timestamp", [0.334, 0.667, 1.0])
    assert [scored(root, n) for n in range(3)] == [list(range(10 * n, 10 * n + 10)) for n in range(3)]
    assert [packed(root, n, 30) for n in range(3)] == [list(range(10 * n, 10 * n + 10)) for n in range(3)]


def test_a_frame_that_is_held_for_long_is_shown_until_the_next(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set", hz=10, lengths=(20, 10))
    path = root / f"videos/chunk-000/{FRONT}/episode_000000.mp4"
    path.unlink()
    film(
        path, [0, 100, 200, 300, 1500, 1600, 1700, 1800, 1900], [sets.level(n) for n in range(9)], size=sets.SIZE, crf=0
    )
    assert scored(root, 0) == [0, 1, 2, *[3] * 12, 4, 5, 6, 7, 8]


def test_moments_of_a_variable_rate_are_spread_over_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [0, 10, 20, 30, 40, 50, 1000, 2000, 3000], [sets.level(n) for n in range(9)], crf=0)
    scene = open_footage(path, "x").scene(0, 4)
    assert np.allclose(scene.seconds, [0, 1, 2, 3], atol=2e-3)
    assert sets.numbers(scene.clip.views["camera"]) == [0, 6, 7, 8]


def test_a_video_that_is_a_little_short_is_used_and_said(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set", hz=10, lengths=(10, 10), frames=(27, 30))  # row 9 needs frame 27
    footage = open_footage(root)
    assert sets.numbers(footage.scene(0).clip.views["front"]) == [*range(0, 27, 3), 26]
    assert any("episode 0" in note and "0.033 s" in note for note in footage.problems)
    assert scored(root, 1) == list(range(0, 30, 3))


@pytest.mark.parametrize(("frames", "at"), [(20, "0.700"), (26, "0.900"), (1, "0.100")])
def test_a_video_that_ends_too_early_says_episode_and_time(tmp_path: Path, frames: int, at: str) -> None:
    root = sets.v2(tmp_path / "set", hz=10, lengths=(10, 10), frames=(30, frames))
    with pytest.raises(DataError, match=rf"episode 1 .*no frame at {at} s"):
        open_footage(root).scene(1)
    assert scored(root, 0) == list(range(0, 30, 3))
    found = look_through(root)
    assert found.sound == 1 and [problem.name for problem in found.problems] == ["episode 1"]


def test_a_video_that_goes_on_after_the_rows_is_said(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set", hz=10, lengths=(10, 10), frames=(50, 30))
    found = look_through(root)
    assert found.sound == 2 and not found.problems and "go on for up to 0.73 s" in " ".join(found.notes)
    assert scored(root, 0) == list(range(0, 30, 3))


def test_the_own_times_of_rows_count(tmp_path: Path) -> None:
    """Rows that were recorded a little early or late show what the camera saw then."""
    root = sets.v2(tmp_path / "set", hz=10, lengths=(10, 10))
    path = root / "data/chunk-000/episode_000000.parquet"
    table, late = pq.read_table(path), np.arange(10) / 10 + np.where(np.arange(10) % 3 == 1, 0.034, 0.0)
    at = table.column_names.index("timestamp")
    pq.write_table(table.set_column(at, "timestamp", pa.array(late, pa.float32())), path)
    assert scored(root, 0) == [0, 4, 6, 9, 13, 15, 18, 22, 24, 27]


def test_files_stay_open_and_are_few(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set", lengths=(4,) * 8, tasks=[["a"]] * 8)
    data = ForeignDataSet(root)
    for _ in range(2):
        for episode in range(8):
            assert sets.numbers(data.images(episode)["front"]) == [0, 3, 6, 9]
    assert len(data._open) <= 4


def test_borders_that_drift_from_the_file_do_not_show_the_neighbor(tmp_path: Path) -> None:
    """The table counts at 30 Hz; the frames of the file come a little faster, 9 ms by the last episode."""
    root = sets.v3(tmp_path / "set", hz=30, video_hz=30, lengths=(10, 10, 10), tasks=[["a"], ["b"], ["c"]])
    path = root / f"videos/{FRONT}/chunk-000/file-000.mp4"
    path.unlink()
    film(path, [round(1000 * n / 30.4) for n in range(30)], [sets.level(n) for n in range(30)], size=sets.SIZE, crf=0)
    assert [scored(root, n) for n in range(3)] == [list(range(10 * n, 10 * n + 10)) for n in range(3)]
    for episode in range(3):
        played = [round(frame.time * 30.4) for _, frame in play_episode(root, episode)]
        assert played == list(range(10 * episode, 10 * episode + 10))


def play_episode(root: Path, index: int) -> list:
    recording: Any = open_sources([str(root)]).recordings[index]
    return list(play(recording.path, recording.begin, recording.end, recording.earliest))
