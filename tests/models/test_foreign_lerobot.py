"""Data sets of other writers: what is missing stays missing, what is wrong is named, and every layout is read."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from pathlib import Path

import foreign_sets as sets  # pyright: ignore[reportMissingImports]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vgps_models.data.foreign_check import look_into, look_through
from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.lerobot_info import camera_map, find_camera, words
from vgps_models.errors import DataError, SpecError, UnknownNameError, VgpsError
from vgps_models.progress.footage import open_footage, scene_of
from vgps_models.video.sources import SourceOptions, open_sources

TABLE = "meta/episodes/chunk-000/file-000.parquet"
NOTHING = (None, "", "  \n", "None", "none", "nan", "NaN", "null", "<NA>", math.nan, [], [None], [""], {}, 3, b"", True)


def with_tasks(root: Path, *tasks: object, text: bool = False) -> Path:
    """A data set of layout v3 whose table of episodes holds these tasks; its tasks.parquet names none."""
    sets.v3(root, hz=30, lengths=(4,) * len(tasks), tasks=[["x"]] * len(tasks))
    table = pq.read_table(root / TABLE)
    column = pa.array(list(tasks), pa.string() if text else pa.list_(pa.string()))
    pq.write_table(table.set_column(table.column_names.index("tasks"), "tasks", column), root / TABLE)
    sets.table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": pa.array([None], pa.string())})
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return {"v3": sets.v3(folder / "v3", lengths=(4, 4)), "v2": sets.v2(folder / "v2", lengths=(4, 4))}


@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_what_is_no_task_is_none(value: object) -> None:
    assert words(value) == ""


@given(text=st.text(min_size=1, max_size=40))
def test_a_task_is_its_words(text: str) -> None:
    said = words(text)
    assert said == text.strip() or (not said and text.strip().lower() in ("", "none", "nan", "null", "<na>", "nat"))
    assert words([None, text]) == words((text,)) == words(np.array([text], object)) == words(text.encode()) == said


@pytest.mark.parametrize("missing", [None, [], [None], [""], ["None"], ["nan"], [" "]], ids=repr)
def test_an_episode_without_task_asks_for_one(tmp_path: Path, missing: object) -> None:
    root = with_tasks(tmp_path / "set", missing, ["put it there"])
    footage = open_footage(root)
    with pytest.raises(DataError, match=r"episode 0 .*has no task.*--task"):
        footage.scene(0)
    assert footage.scene(1).clip.task == "put it there"
    assert open_footage(root, "go").scene(0).clip.task == "go"
    assert [r.text for r in open_sources([str(root)]).recordings] == ["", "put it there"]
    assert [r.text for r in open_sources([str(root)], SourceOptions(text="go")).recordings] == ["go", "put it there"]
    assert look_into(root).tasks == {"(no task)": (1, 1, 1), "put it there": (1, 1, 0)}
    assert "1 episodes have no task" in " ".join(look_through(root).notes)


def test_a_task_that_the_table_of_episodes_lacks_is_found_by_its_number(tmp_path: Path) -> None:
    root = with_tasks(tmp_path / "set", None, None)
    for index, found in ((["push"], "push"), (["nan"], ""), ([None], "")):
        sets.table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": pa.array(index, pa.string())})
        assert ForeignDataSet(root).task(0) == found
    (root / "meta/tasks.parquet").unlink()
    assert ForeignDataSet(root).task(0) == ""
    assert ForeignDataSet(with_tasks(tmp_path / "text", "lift it", None, text=True)).task(0) == "lift it"


@pytest.mark.parametrize("tasks", [[], [None], None, ["None"], "", math.nan], ids=repr)
def test_layout_v2_may_lack_tasks_too(tmp_path: Path, tasks: object) -> None:
    root = sets.v2(tmp_path / "set", tasks=(tasks, ["take it away"]))
    (root / "meta/tasks.jsonl").write_text(
        '{"task_index": 0, "task": null}\n{"task_index": 1, "task": "x"}\n', encoding="utf-8"
    )
    data = ForeignDataSet(root)
    assert (data.task(0), data.task(1)) == ("", "take it away")


@pytest.mark.parametrize(
    ("fps", "shown"),
    [(0, "0"), (-5, "-5"), (None, "null"), ("10", '"10"'), (math.nan, "NaN"), (math.inf, "Infinity"),
     (1e9, "1000000000"), (1e-9, "1e-09"), (True, "true"), ([10], "[10]"), ({}, "{}")],
)  # fmt: skip
@pytest.mark.parametrize("layout", [sets.v3, sets.v2], ids=["v3", "v2"])
def test_a_wrong_rate_names_file_and_value(tmp_path: Path, layout: sets.Maker, fps: object, shown: str) -> None:
    root = layout(tmp_path / "set")
    sets.write_info(root, fps=fps)
    for read in (open_footage, lambda path: open_sources([str(path)]), look_into):
        with pytest.raises(DataError) as caught:
            read(root)
        assert "info.json" in str(caught.value) and f"fps is {shown}" in str(caught.value)
    (problem,) = look_through(root).problems
    assert f"fps is {shown}" in problem.reason


@pytest.mark.parametrize("fps", [5, 30, 1, 11])
@pytest.mark.parametrize("data", [True, False], ids=["by rows", "by the table"])
def test_a_rate_that_is_not_that_of_the_rows_is_an_error(tmp_path: Path, fps: float, data: bool) -> None:
    root = sets.v3(tmp_path / "set", hz=10, lengths=(40, 30), video_hz=30, data=data)
    sets.write_info(root, fps=fps)
    with pytest.raises(DataError, match=rf"info\.json: fps is {fps}, but .* says 10 rows a second"):
        open_footage(root)
    sets.write_info(root, fps=10.001)
    assert len(open_footage(root)) == 2


def test_without_fps_the_file_is_named(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set")
    info = json.loads((root / "meta/info.json").read_text(encoding="utf-8"))
    del info["fps"]
    (root / "meta/info.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(DataError, match="fps is missing"):
        ForeignDataSet(root)


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
@pytest.mark.parametrize("stored", ["video", "image"])
def test_layout_v2_is_read(tmp_path: Path, version: str, stored: str) -> None:
    root = sets.v2(tmp_path / "set", version, stored=stored)
    footage, step = open_footage(root), 3 if stored == "video" else 1
    first = 0 if stored == "video" else 10
    assert len(footage) == 2
    scene = footage.scene(1)
    assert sets.numbers(scene.clip.views["front"]) == list(range(first, first + 12 * step, step))
    assert scene.clip.task == "take it away" and scene.success is False and footage.scene(0).success is True
    assert np.allclose(scene.seconds, np.arange(12) / 10)
    found = look_into(root)
    assert (found.episodes, found.frames, found.fps, found.version, found.robot) == (2, 22, 10, version, "aloha")
    assert found.cameras == {"front": (sets.FRONT, stored, 48, 64)}
    assert look_through(root).sound == 2


def test_pictures_in_tables_are_scored_and_packed(tmp_path: Path) -> None:
    root = sets.v3(tmp_path / "set", stored="image", lengths=(10, 8))
    scene = open_footage(root).scene(1, 4)
    assert sets.numbers(scene.clip.views["front"]) == [10, 12, 15, 17]
    assert np.allclose(scene.seconds, [0, 0.2, 0.5, 0.7])
    source = open_sources([str(root)])
    moments = list(source.recordings[1].play())
    assert [round(m.seconds, 3) for m in moments] == [n / 10 for n in range(8)] and not source.problems
    assert sets.numbers(np.stack([m.picture() for m in moments])) == list(range(10, 18))


@pytest.mark.parametrize("bad", [None, {"bytes": None, "path": None}, {"bytes": b"no picture", "path": None}])
def test_a_picture_that_is_none_is_named(tmp_path: Path, bad: object) -> None:
    root = sets.v3(tmp_path / "set", stored="image", lengths=(3, 3), keys=("observation.images.top",))
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("observation.images.top")
    column = [*table.column(at).to_pylist()[:5], bad]
    pq.write_table(table.set_column(at, "observation.images.top", pa.array(column, table.schema.field(at).type)), path)
    with pytest.raises(DataError, match=r"episode 1 .*row 2"):
        open_footage(root).scene(1)
    assert len(open_footage(root).scene(0).clip) == 3
    assert [problem.name for problem in look_through(root).problems] == ["episode 1"]


def test_a_picture_beside_the_table_is_found(tmp_path: Path) -> None:
    root = sets.v2(tmp_path / "set", stored="image", lengths=(3, 3))
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    at = table.column_names.index(sets.FRONT)
    for n, picture in enumerate(table.column(at).to_pylist()):
        (root / f"images-{n}.png").write_bytes(picture["bytes"])
    beside = pa.array([{"bytes": None, "path": f"images-{n}.png"} for n in range(3)], table.schema.field(at).type)
    pq.write_table(table.set_column(at, sets.FRONT, beside), path)
    assert sets.numbers(open_footage(root).scene(0).clip.views["front"]) == [0, 1, 2]


def test_cameras_are_chosen_and_named_anew(tmp_path: Path) -> None:
    keys = ("observation.images.cam_high", "observation.images.cam_left_wrist", "observation.image")
    root = sets.v3(tmp_path / "set", lengths=(4, 4), keys=keys)
    footage = open_footage(root)
    assert set(footage.scene(0).clip.views) == {"cam_high", "cam_left_wrist", "observation.image"}
    mapped = scene_of(footage, 1, 0, ["front=observation.images.cam_high", "wrist=cam_left_wrist"]).clip
    assert list(mapped.views) == ["front", "wrist"] and sets.numbers(mapped.views["front"]) == [12, 15, 18, 21]
    assert list(scene_of(footage, 0, 0, ["observation.images.cam_high"]).clip.views) == ["cam_high"]
    assert list(scene_of(footage, 0, 0, ["a=cam_high", "b=cam_high"]).clip.views) == ["a", "b"]
    with pytest.raises(UnknownNameError, match="cam_left_wrist"):
        scene_of(footage, 0, 0, ["front=cam_low"])
    packed = open_sources([str(root)], SourceOptions(views=("front=observation.images.cam_high",))).recordings
    assert [(r.view, r.name) for r in packed] == [("front", "set/episode 0/front"), ("front", "set/episode 1/front")]
    assert len(list(packed[1].play())) == 12
    for texts in (["=x"], ["front="], [""], ["a=x", "a=y"]):
        with pytest.raises(SpecError):
            camera_map(texts)
    assert find_camera("observation.images.front", ["front"]) == "front"


def test_video_files_take_other_names_too(tmp_path: Path) -> None:
    (tmp_path / "attempt").mkdir()
    for name in ("left", "right"):
        sets.movie(tmp_path / "attempt" / f"{name}.mp4", 6, 30)
    scene = scene_of(open_footage(tmp_path, "x"), 0, 3, ["front=right"])
    assert list(scene.clip.views) == ["front"] and sets.numbers(scene.clip.views["front"]) == [0, 2, 5]


def test_depth_is_left_out_and_said(tmp_path: Path) -> None:
    keys = (sets.FRONT, "observation.images.depth")
    root = sets.v3(tmp_path / "set", lengths=(4, 4), keys=keys)
    features = json.loads((root / "meta/info.json").read_text(encoding="utf-8"))["features"]
    features[keys[1]] = {**features[keys[1]], "info": {"video.is_depth_map": True}}
    sets.write_info(root, features=features)
    footage = open_footage(root)
    assert set(footage.scene(0).clip.views) == {"front"} and "depth" in " ".join(footage.problems)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"length": [4, 0]}, "length of 0"),
        ({"length": [4, -3]}, "length of -3"),
        ({"length": [4, None]}, "length of None"),
        ({"length": [4.0, 2.5]}, "length of 2.5"),
        ({f"videos/{sets.FRONT}/from_timestamp": [0.0, math.nan]}, "not as a LeRobot data set"),
        ({f"videos/{sets.FRONT}/from_timestamp": [0.0, None]}, "not as a LeRobot data set"),
        ({f"videos/{sets.FRONT}/chunk_index": [0, None]}, "not as a LeRobot data set"),
        ({f"videos/{sets.FRONT}/file_index": [0, 7]}, "file-007.mp4"),
    ],
    ids=repr,
)
def test_an_odd_row_of_the_table_is_named_and_the_others_are_read(tmp_path: Path, change: dict, reason: str) -> None:
    root = sets.v3(tmp_path / "set", lengths=(4, 4))
    table = pq.read_table(root / TABLE)
    for name, values in change.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, root / TABLE)
    found = look_through(root)
    assert [problem.name for problem in found.problems if problem.name.startswith("episode")] == ["episode 1"]
    assert any(reason in problem.reason for problem in found.problems)
    assert len(open_sources([str(root)]).recordings) >= 1
    with pytest.raises(DataError):
        open_footage(root).scene(1)


@pytest.mark.parametrize("file", ["data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"])
def test_tables_that_were_cut_off_are_named(tmp_path: Path, file: str) -> None:
    root = sets.v3(tmp_path / "set", lengths=(4, 4))
    sets.cut(root / file)
    found = look_through(root)
    assert found.sound == 0 and "damaged" in str(found.problems[0]) + str(found.problems[-1])
    if file.startswith("data"):  # pictures can be shown without the rows
        assert sets.numbers(open_footage(root).scene(0).clip.views["front"]) == [0, 3, 6, 9]


@given(content=st.binary(max_size=200))
def test_any_line_of_layout_v2_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("v2")
    (root / "meta").mkdir()
    (root / "meta/episodes.jsonl").write_bytes(content)
    sets.write_info(
        root, codebase_version="v2.1", fps=10, data_path="x{episode_index}", video_path="y{episode_index}",
        features=sets.features((sets.FRONT,), "video"),
    )  # fmt: skip
    assert look_through(root).sound == 0 and look_through(root).problems


def test_links_to_elsewhere_are_followed_and_paths_that_leave_are_not(tmp_path: Path) -> None:
    """The hub's cache holds files as links to a store of blobs."""
    root = sets.v3(tmp_path / "set", lengths=(4, 4))
    blob, path = tmp_path / "blobs" / "b1", root / f"videos/{sets.FRONT}/chunk-000/file-000.mp4"
    blob.parent.mkdir()
    path.rename(blob)
    path.symlink_to(blob)
    assert sets.numbers(open_footage(root).scene(0).clip.views["front"]) == [0, 3, 6, 9]
    for pattern in ("../{video_key}.mp4", "/etc/{video_key}.mp4", "videos/../../{video_key}"):
        sets.write_info(root, video_path=pattern)
        with pytest.raises(DataError, match="outside"):
            open_footage(root).scene(0)


ODD = (None, 0, -1, 3.5, "x", [], [1], {}, {"a": 1}, True, math.nan, math.inf, "{0}", "{video_key", ["x", None], 10**12)
SHAPES = ([48, 64, 1], [3, 48, 64], "image", [None, 1, 2])
INFO_KEYS = ("codebase_version", "features", "data_path", "video_path", "chunks_size", "robot_type", "total_frames")
FEATURE_KEYS = ("dtype", "shape", "names", "info")
ROW_COLUMNS = ("timestamp", "frame_index", "episode_index", "task_index", "next.success")
LISTED = ("episode_index", "tasks", "length", "data/chunk_index", f"videos/{sets.FRONT}/from_timestamp",
          f"videos/{sets.FRONT}/to_timestamp")  # fmt: skip
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_named(root: Path) -> None:
    """Every way to read it gives something or raises an error of ours; looking through it raises none."""
    look_through(root)
    for read in (look_into, lambda path: open_footage(path, "go").scene(1), lambda path: open_sources([str(path)])):
        with suppress(VgpsError):
            read(root)


@few
@given(layout=st.sampled_from(["v3", "v2"]), key=st.sampled_from(INFO_KEYS), value=st.sampled_from(ODD))
def test_an_odd_info_is_read_or_named(whole, tmp_path_factory, layout: str, key: str, value: object) -> None:
    root = tmp_path_factory.mktemp("odd") / "set"
    shutil.copytree(whole[layout], root)
    sets.write_info(root, **{key: value})
    read_or_named(root)


@few
@given(
    key=st.sampled_from(FEATURE_KEYS),
    value=st.sampled_from([*ODD, *SHAPES]),
    where=st.sampled_from([sets.FRONT, "action"]),
)
def test_an_odd_feature_is_read_or_named(whole, tmp_path_factory, key: str, value: object, where: str) -> None:
    root = tmp_path_factory.mktemp("odd") / "set"
    shutil.copytree(whole["v3"], root)
    described = json.loads((root / "meta/info.json").read_text(encoding="utf-8"))["features"]
    for changed in ({**described[where], key: value}, value):
        sets.write_info(root, features={**described, where: changed})
        read_or_named(root)


@few
@given(
    column=st.sampled_from([("rows", name) for name in ROW_COLUMNS] + [("table", name) for name in LISTED]),
    value=st.sampled_from([None, "x", -1, math.nan, math.inf, [1.0], {"a": 1}, True, b"x", 10**12]),
    drop=st.booleans(),
)
def test_an_odd_column_is_read_or_named(whole, tmp_path_factory, column, value: object, drop: bool) -> None:
    root, (where, name) = tmp_path_factory.mktemp("odd") / "set", column
    shutil.copytree(whole["v3"], root)
    path = root / ("data/chunk-000/file-000.parquet" if where == "rows" else TABLE)
    table = pq.read_table(path)
    odd = table.set_column(table.column_names.index(name), name, pa.array([value] * table.num_rows))
    pq.write_table(table.drop_columns([name]) if drop else odd, path)
    read_or_named(root)
