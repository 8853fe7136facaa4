"""Every kind of source gives its recordings, with their names, words, views and times, and names what is not there."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from films import film, steady, turned  # pyright: ignore[reportMissingImports]
from PIL import Image as Picture

from vgps_models.data import EpisodeStore
from vgps_models.data.foreign_video import play
from vgps_models.data.layout import INFO
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.video.fitting import Fitter
from vgps_models.video.rlds.example import build
from vgps_models.video.rlds.tfrecord import frame
from vgps_models.video.sources import Recording, SourceOptions, open_sources


def names(*sources: Path | str, **options) -> list[str]:
    return [r.name for r in open_sources([str(s) for s in sources], SourceOptions(**options)).recordings]


def shades(recording: Recording) -> list[tuple[float, int]]:
    fit = Fitter(32)
    return [(round(m.seconds, 3), int(np.median(fit(m.picture())))) for m in recording.play()]


def jpeg(shade: int, size: tuple[int, int] = (24, 32), kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(np.full((*size, 3), shade, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def test_files_at_any_depth_cameras_of_an_attempt_and_words_beside(tmp_path: Path) -> None:
    root = tmp_path / "films"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "attempt").mkdir()
    film(root / "a.mp4", (0, 100))
    film(root / "deep" / "er" / "b.mkv", (0, 100))
    for camera in ("front", "wrist"):
        film(root / "attempt" / f"{camera}.mp4", (0, 100))
    (root / "attempt" / "task.txt").write_text("open the drawer\n")
    (root / "a.txt").write_text("close the drawer")
    (root / "notes.md").write_text("nothing to see")
    found = open_sources([str(root)], SourceOptions(text="something", embodiment="human")).recordings
    assert [(r.name, r.view, r.text) for r in found] == [
        ("films/a.mp4", "camera", "close the drawer"),
        ("films/attempt/front.mp4", "front", "open the drawer"),
        ("films/attempt/wrist.mp4", "wrist", "open the drawer"),
        ("films/deep/er/b.mkv", "camera", "something"),
    ]
    assert {r.embodiment for r in found} == {"human"} and {r.source for r in found} == {"films"}
    assert names(root, views=("wrist",)) == ["films/attempt/wrist.mp4"]
    assert names(root / "a.mp4") == ["films/a.mp4"]
    with pytest.raises(UnknownNameError, match="wrist"):
        names(root, views=("side",))
    with pytest.raises(DataError, match="the name of another"):
        names(root, root)


def test_numbered_frames_keep_their_gaps_and_their_rate(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, shade in ((8, 40), (9, 80), (11, 120), (100, 200)):
        (folder / f"frame_{number:05d}.jpg").write_bytes(jpeg(shade))
    (recording,) = open_sources([str(folder)], SourceOptions(frame_hz=10)).recordings
    assert recording.name == "clip" and shades(recording) == [(0.0, 40), (0.1, 80), (0.3, 120), (9.2, 200)]
    (folder / "fps.txt").write_text("2\n")
    assert shades(open_sources([str(folder)]).recordings[0])[:2] == [(0.0, 40), (0.5, 80)]
    (folder / "fps.txt").write_text("fast")
    with pytest.raises(DataError, match=r"fps\.txt"):
        open_sources([str(folder)])
    (folder / "fps.txt").unlink()
    for number in (1, 2):
        (folder / f"right-{number}.png").write_bytes(jpeg(10, kind="PNG"))
    both = open_sources([str(folder)]).recordings
    assert [(r.name, r.view) for r in both] == [("clip/frame_", "frame"), ("clip/right-", "right")]
    (folder / "frame_00010.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="frame_00010"):
        shades(both[0].__class__(**{**vars(both[0]), "frames": ((9, "frame_00009.jpg"), (10, "frame_00010.jpg"))}))


def test_pictures_are_turned_as_they_say(tmp_path: Path) -> None:
    exif = Picture.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # left becomes up
    for number in (1, 2):
        Picture.fromarray(pixels).save(tmp_path / f"{number}.jpg", exif=exif)
    image = next(open_sources([str(tmp_path)]).recordings[0].play()).picture()
    assert image.shape == (40, 20, 3) and image[2].mean() > 200 > 50 > image[-3].mean()


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")])
def test_streams_give_the_frames_of_a_stretch(tmp_path: Path, name: str, codec: str) -> None:
    path = steady(tmp_path / name, 2.0, 30, codec=codec)
    whole = [seconds for seconds, _ in play(path)]
    assert len(whole) == 60 and np.allclose(whole, np.arange(60) / 30, atol=2e-3)
    part = [seconds for seconds, _ in play(path, 0.5, 1.5)]
    assert len(part) == pytest.approx(30, abs=1) and part[0] < 0.035 and np.allclose(np.diff(part), 1 / 30, atol=2e-3)


def test_a_turned_phone_is_shown_upright(tmp_path: Path) -> None:
    path = turned(film(tmp_path / "a.mp4", (0, 33, 66)))
    image = Fitter(48, "letterbox")(next(open_sources([str(path)]).recordings[0].play()).picture())
    assert image[4, 36].min() > 200 > image[4, 12].max()  # the white corner went to the upper right


def test_ours_and_foreign_lerobot_data_sets_give_the_same(episodes: Path, tmp_path: Path) -> None:
    root = tmp_path / episodes.name
    for part in ("data", "videos", "meta"):
        shutil.copytree(episodes / part, root / part)
    info = json.loads((root / INFO).read_text())
    del info["action_spec"]
    (root / INFO).write_text(json.dumps(info))
    ours, theirs = open_sources([str(episodes)]).recordings, open_sources([str(root)]).recordings
    store = EpisodeStore(episodes)
    assert len(ours) == len(theirs) == 2 * len(store)
    for number in (0, 7, len(ours) - 1):
        one, two = list(ours[number].play()), list(theirs[number].play())
        want = store.images(number // 2)[ours[number].view]
        assert len(one) == len(two) == len(want)
        assert ours[number].text == theirs[number].text == store.records[number // 2].instruction
        for a, b, image in zip(one, two, want, strict=True):
            assert a.seconds == pytest.approx(b.seconds, abs=1e-3)
            assert (a.picture().reformat(format="rgb24").to_ndarray() == image).all()
            assert (b.picture().reformat(format="rgb24").to_ndarray() == image).all()


def test_ego4d_as_its_downloader_leaves_it(tmp_path: Path) -> None:
    version = tmp_path / "v2"
    for folder in ("full_scale", "clips"):
        (version / folder).mkdir(parents=True)
    videos = [
        {"video_uid": "a1", "duration_sec": 0.2, "scenarios": ["Cooking", "Eating"], "clips": [{"clip_uid": "c1"}]},
        {"video_uid": "b2", "duration_sec": 0.2, "scenarios": []},
        {"video_uid": "c3", "duration_sec": 0.2, "is_stereo": True},
    ]
    (version / "ego4d.json").write_text(json.dumps({"date": "x", "version": "v2", "videos": videos}))
    film(version / "full_scale" / "a1.mp4", (0, 100, 200))
    film(version / "full_scale" / "c3.mp4", (0, 100, 200))
    film(version / "full_scale" / "zz.mp4", (0, 100, 200))
    film(version / "clips" / "c1.mp4", (0, 100))
    for where in (tmp_path, version, version / "full_scale"):
        source = open_sources([f"ego4d:{where}"])
        assert [(r.name, r.text, r.embodiment) for r in source.recordings] == [
            ("ego4d/full_scale/a1", "Cooking, Eating", "human")
        ]
        told = " ".join(source.problems)
        assert "1 of 3 videos" in told and "stereo" in told and "1 videos" in told
    (clip,) = open_sources([str(version / "clips")]).recordings
    assert clip.name == "ego4d/clips/c1" and clip.text == "Cooking, Eating"
    (version / "ego4d.json").write_text('{"videos": 3}')
    with pytest.raises(DataError, match="laid out"):
        open_sources([str(version)])


def test_something_something_as_downloaded_or_renamed(tmp_path: Path) -> None:
    for labels, split, videos in (
        ("labels", "train.json", "20bn-something-something-v2"),
        ("annotations", "something-something-v2-train.json", "."),
    ):
        root = tmp_path / labels
        (root / labels).mkdir(parents=True)
        (root / videos).mkdir(exist_ok=True)
        entries = [
            {"id": "74225", "label": "spinning cube that quickly stops spinning", "template": "Spinning [something]"},
            {"id": "116154", "label": "showing a photo", "template": "Showing [something]"},
            {"id": "../x", "label": "odd"},
        ]
        (root / labels / split).write_text(json.dumps(entries))
        (root / labels / split.replace("train", "test")).write_text('[{"id": "9"}]')
        (root / labels / "labels.json").write_text('{"Spinning something": "0"}')
        film(root / videos / "74225.webm", (0, 80, 160), codec="libvpx-vp9")
        film(root / videos / "9.webm", (0, 80, 160), codec="libvpx-vp9")
        source = open_sources([str(root)])
        assert [(r.name, r.text) for r in source.recordings] == [
            ("ssv2/74225", "spinning cube that quickly stops spinning"),
            ("ssv2/9", ""),
        ]
        assert source.problems == [f"1 of 3 labelled videos are not in {root / videos}"]
        assert len(list(source.recordings[0].play())) == 3
    with pytest.raises(DataError, match="label files"):
        open_sources([f"ssv2:{tmp_path / 'labels' / 'labels'}"])


def episode(steps: int, seed: int) -> bytes:
    depth = io.BytesIO()
    Picture.fromarray(np.zeros((4, 4), np.uint16)).save(depth, "PNG")
    return build(
        {
            "steps/observation/image_0": [jpeg(10 * s + seed) for s in range(steps)],
            "steps/observation/wrist": [jpeg(10 * s + seed + 100, kind="PNG") for s in range(steps)],
            "steps/observation/depth": [depth.getvalue()] * steps,
            "steps/language_instruction": ["pick up the can"] * steps,
            "steps/reward": [0.0] * steps,
            "steps/is_first": [1] + [0] * (steps - 1),
        }
    )


def test_rlds_episodes_are_read_view_by_view(tmp_path: Path) -> None:
    root = tmp_path / "bridge" / "1.0.0"
    root.mkdir(parents=True)
    (root / "dataset_info.json").write_text("{}")
    shards = [root / f"bridge-train.tfrecord-0000{i}-of-00002" for i in range(2)]
    shards[0].write_bytes(frame(episode(3, 1)) + frame(episode(4, 2)))
    shards[1].write_bytes(frame(episode(2, 3)))
    found = open_sources([str(tmp_path / "bridge")]).recordings
    assert [r.view for r in found] == ["image_0", "wrist"] * 3 and {r.embodiment for r in found} == {"bridge"}
    assert shades(found[2]) == [(0.0, 2), (0.2, 12), (0.4, 22), (0.6, 32)]
    assert shades(found[1])[1] == (0.2, 111) and next(found[0].play()).text == "pick up the can"
    assert names(root, views=("wrist",), step_hz=10)[0] == "bridge/bridge-train.tfrecord-00000-of-00002/0/wrist"

    cut = shards[0].read_bytes()
    shards[0].write_bytes(cut[:-10])
    source = open_sources([f"rlds:{root}"])
    assert len(source.recordings) == 4 and "ends within" in source.problems[0]
    flipped = bytearray(cut)
    flipped[-30] ^= 4
    shards[0].write_bytes(flipped)
    bad = open_sources([str(root)]).recordings[2]
    with pytest.raises(DataError, match="checksum"):
        list(bad.play())

    other = tmp_path / "mine-train.tfrecord"
    other.write_bytes(frame(episode(2, 0)))
    with pytest.raises(DataError, match="--step-hz"):
        open_sources([str(other)])
    assert len(open_sources([str(other)], SourceOptions(step_hz=2)).recordings) == 2


def test_what_is_not_there_is_told_with_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    for source, told in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "no video"),
        (tmp_path / "notes.md", "no video"),
        (f"ego4d:{tmp_path}", "ego4d.json"),
        (f"rlds:{tmp_path}", "tfrecord"),
    ):
        with pytest.raises(DataError, match=told):
            open_sources([str(source)])
    with pytest.raises(UnknownNameError, match="ego4d"):
        open_sources([f"ego5d:{tmp_path}"])


def test_bags_play_in_time(tmp_path: Path) -> None:
    pytest.importorskip("mcap_ros2")
    from test_bags import COMPRESSED, PERIOD, RAW, WORDS, Bag, jpeg, raw  # pyright: ignore[reportMissingImports]

    made = Bag(tmp_path / "run.mcap")
    for number in (1, 2):
        for step in range(5):
            made.moment(number, step, (number * 10 + step) * PERIOD)
    made.close()
    phone = Bag(tmp_path / "phone.mcap")
    for step in range(4):
        phone.say("/phone", COMPRESSED, jpeg(40 * step), step * PERIOD)
    phone.close()
    gray = Bag(tmp_path / "gray.mcap")
    for step in range(4):
        gray.say("/grey", RAW, raw(40 * step, "mono8"), step * PERIOD + 3)
    gray.close()
    found = open_sources([str(tmp_path)]).recordings
    bag = tmp_path.name
    assert [r.name for r in found if r.text] == [f"{bag}/run/{e}/{c}" for e in (1, 2) for c in ("front", "wrist")]
    by_name = {r.name: r for r in found}
    assert by_name[f"{bag}/run/2/front"].text == WORDS
    seconds = [m.seconds for m in by_name[f"{bag}/run/2/front"].play()]
    assert np.allclose(seconds, 0.2 * np.arange(5))
    last = list(by_name[f"{bag}/gray/-1//grey"].play())[-1]
    assert last.picture()[0, 0].tolist() == [120, 120, 120] and last.seconds == pytest.approx(0.6)
