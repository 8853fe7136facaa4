"""Recordings of every kind: the right frames at the right times, and every odd file named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import films
import numpy as np
import pytest

from vgps_models.data import EpisodeStore
from vgps_models.data.foreign_video import ForeignVideo, sample
from vgps_models.data.layout import INFO
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress import Estimate
from vgps_models.progress.footage import open_footage
from vgps_models.progress.page import Entry, page

SHADES = (20, 60, 100, 140, 180, 220)


def film(path: Path, at_ms: tuple[int, ...], shades: tuple[int, ...] = SHADES) -> Path:
    return films.film(path, at_ms, shades)


def shade(image: np.ndarray) -> float:
    return float(np.median(image))


def test_variable_rates_are_read_by_time(tmp_path):
    path = film(tmp_path / "a.mp4", (0, 40, 400, 440, 2000, 9000))
    video = ForeignVideo(path)
    assert len(video) == 6 and np.allclose(video.times, [0, 0.04, 0.4, 0.44, 2, 9], atol=2e-3)
    for index in ([0, 5], [1, 2, 3], [4], [0, 1, 2, 3, 4, 5]):
        got = video.frames(np.array(index))
        assert np.abs([shade(image) - SHADES[i] for image, i in zip(got, index, strict=True)]).max() < 6
    video.close()


def test_a_rotated_phone_is_shown_upright_and_large_frames_are_scaled(tmp_path):
    path = film(tmp_path / "a.mp4", (0, 33, 66, 100, 133, 166))
    turned = films.turned(film(tmp_path / "turned.mp4", (0, 33, 66, 100, 133, 166)))
    upright = sample(turned, np.array([2]))[0]
    assert upright.shape == (64, 48, 3)
    assert upright[:12, -10:].mean() > 200 > upright[:12, :10].mean()  # the white corner went to the upper right
    assert sample(path, np.array([0]), side=32).shape == (1, 24, 32, 3)


def test_every_bad_file_is_named_and_the_good_ones_are_used(tmp_path):
    film(tmp_path / "good.mp4", (0, 33, 66, 100, 133, 166))
    whole = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    films.sound(tmp_path / "sound.mp4")
    (tmp_path / "notes.md").write_text("not a video", encoding="utf-8")
    footage = open_footage(tmp_path, "open the drawer")
    assert len(footage) == 1 and footage.scene(0).name == "good"
    named = " ".join(footage.problems)
    assert len(footage.problems) == 4 and all(f"{n}.mp4" in named for n in ("empty", "noise", "cut", "sound"))
    assert "sound tracks alone" in named


def test_a_file_that_ends_too_early_says_at_which_frame(tmp_path):
    path = film(tmp_path / "a.mp4", (0, 33, 66, 100, 133, 166))
    video = ForeignVideo(path)
    with pytest.raises(DataError, match=r"a\.mp4"):
        video._stamps = np.append(video._stamps, video._stamps[-1] + 10_000)
        video.frames(np.array([0, 6]))
    video.close()


def test_a_folder_may_hold_several_cameras_an_attempt_and_tasks_in_words(tmp_path):
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    film(attempt / "front.mp4", (0, 100, 200, 300, 400, 500))
    film(attempt / "wrist.mp4", (0, 200, 400, 600), shades=SHADES[:4])
    film(tmp_path / "silent.mp4", (0, 100), shades=SHADES[:2])
    (attempt / "task.txt").write_text("put the spoon on the towel\n", encoding="utf-8")
    footage = open_footage(tmp_path)
    scene = footage.scene(0, 3)
    assert len(footage) == 1 and "silent has no task" in footage.problems[0]
    assert scene.clip.task == "put the spoon on the towel" and scene.success is None
    assert np.allclose(scene.seconds, [0, 0.2, 0.5], atol=2e-3)  # the shorter camera decides
    assert [round(shade(i) / 40 - 0.5) for i in scene.clip.views["front"]] == [0, 2, 5]
    assert [round(shade(i) / 40 - 0.5) for i in scene.clip.views["wrist"]] == [0, 1, 2]
    every = [round(shade(i) / 40 - 0.5) for i in footage.scene(0).clip.views["wrist"]]
    assert every == [0, 0, 1, 1, 2, 2]  # the slower camera shows what it saw nearest to each moment, again and again
    assert set(footage.scene(0, 3, ["wrist"]).clip.views) == {"wrist"}
    with pytest.raises(UnknownNameError, match="wrist"):
        footage.scene(0, 3, ["side"])
    assert open_footage(attempt / "front.mp4", "x").scene(0).clip.task == "x"


def test_what_is_not_there_or_holds_nothing_is_told(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_footage(tmp_path / "none")
    with pytest.raises(DataError, match=r"\.mp4"):
        open_footage(tmp_path)


@pytest.fixture
def foreign(episodes, tmp_path) -> Path:
    """The same data set as somebody else would have written it: without anything of ours."""
    root = tmp_path / "foreign"
    for part in ("data", "videos", "meta"):
        shutil.copytree(episodes / part, root / part)
    info = json.loads((root / INFO).read_text(encoding="utf-8"))
    del info["action_spec"]
    (root / INFO).write_text(json.dumps(info), encoding="utf-8")
    return root


def test_other_lerobot_data_sets_show_the_same_frames(episodes, foreign):
    ours, theirs = open_footage(episodes), open_footage(foreign)
    assert len(ours) == len(theirs) == len(EpisodeStore(episodes))
    for index in (0, 4, 9):
        one, two = ours.scene(index, 5), theirs.scene(index, 5)
        assert one.clip.task == two.clip.task and np.allclose(one.seconds, two.seconds) and one.success == two.success
        assert all((one.clip.views[c] == two.clip.views[c]).all() for c in one.clip.views)
    assert open_footage(foreign, "juggle").scene(0, 3, ["wrist"]).clip.task == "juggle"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codebase_version": "v2.1"}, "convert it"),
        ({"features": {}}, "no videos"),
        ({"video_path": "../../{video_key}.mp4"}, "outside"),
        ({"fps": None}, "not that of a LeRobot"),
    ],
)
def test_odd_data_sets_are_refused_with_the_reason(foreign, change, reason):
    info = json.loads((foreign / INFO).read_text(encoding="utf-8"))
    (foreign / INFO).write_text(json.dumps(info | change), encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        open_footage(foreign).scene(0, 3)


def test_the_page_shows_first_what_contradicts_the_record(episodes):
    footage, entries = open_footage(episodes), []
    for index in range(len(footage)):
        scene = footage.scene(index, 6)
        best = 0.1 if index == 3 else 0.9 if scene.success else 0.3
        values = np.full(6, np.nan) if index == 5 else np.linspace(0, best, 6)
        failures = ("the model <refused>",) if index == 5 else ()
        entries.append(Entry.of(scene, Estimate(values, np.full(6, 0.05), "test", failures=failures)))
    text = page("A <title>", "test", entries, threshold=0.7, problems=["odd & old"])
    assert "A &lt;title&gt;" in text and "odd &amp; old" in text and "the model &lt;refused&gt;" in text
    assert text.count("<svg") == len(entries) * 2 and "data:image/jpeg" in text and "http" not in text
    first = text.index("Look at these first")
    shown = sorted((text.index(e.name, first), i) for i, e in enumerate(entries))
    wrong = 3 if entries[3].success else None
    assert shown[0][1] == 5 and wrong in (None, shown[1][1])
