"""No command moves, renames or rewrites a data set of another writer, sound or not, and each says what can be done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.episodes import example_episode
from vgps_node.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

import foreign_sets as sets  # pyright: ignore[reportMissingImports]

TWO = (sets.FRONT, "observation.images.wrist")


def ours(root: Path, count: int = 4) -> Path:
    writer = EpisodeWriter(root)
    for number in range(count):
        writer.write(example_episode(number, steps=5, size=128, success=number % 2 == 0))
    writer.finalise()
    return root


def truncated(root: Path) -> Path:
    sets.v3(root, lengths=(4, 4))
    sets.cut(root / "data/chunk-000/file-000.parquet")
    return root


def without_table(root: Path) -> Path:
    sets.v3(root, lengths=(4, 4))
    sets.cut(root / "meta/episodes/chunk-000/file-000.parquet")
    return root


def without_video(root: Path) -> Path:
    sets.v3(root, lengths=(4, 4))
    shutil.rmtree(root / "videos" / sets.FRONT)
    return root


def without_tasks(root: Path) -> Path:
    sets.v3(root, lengths=(4, 4), tasks=([None], []), keys=TWO)
    sets.table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": pa.array([None], pa.string())})
    return root


def without_info(root: Path) -> Path:
    sets.v3(root, lengths=(4, 4))
    (root / "meta/info.json").write_text("{")
    return root


def unmarked(root: Path) -> Path:
    """One of ours whose info.json another program has written."""
    ours(root)
    information = json.loads((root / "meta/info.json").read_text())
    del information["action_spec"]
    (root / "meta/info.json").write_text(json.dumps(information))
    return root


def lookalike(root: Path) -> Path:
    """Names that our own merges use, in the folder of another program."""
    sets.v2(root, lengths=(4, 4))
    for name in ("staging/part-1.zip", ".next/READY", ".old/x", "damaged/files-0/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


def plain(root: Path) -> Path:
    root.mkdir()
    return sets.plain(root)


KINDS = {
    "v3": lambda root: sets.v3(root, lengths=(4, 4), keys=TWO),
    "v3 pictures": lambda root: sets.v3(root, lengths=(4, 4), keys=TWO, stored="image"),
    "v2.1": lambda root: sets.v2(root, "v2.1", lengths=(4, 4)),
    "v2.0": lambda root: sets.v2(root, "v2.0", lengths=(4, 4)),
    "merged by LeRobot": lambda root: sets.edited(ours(root.with_name("own")), root),
    "split by LeRobot": lambda root: sets.edited(ours(root.with_name("own")), root, [0, 1]),
    "deleted from by LeRobot": lambda root: sets.edited(ours(root.with_name("own")), root, [0, 3], old_key=True),
    "appended to by LeRobot": lambda root: sets.append(ours(root.with_name("own")), root),
    "info.json of another": unmarked,
    "rates differ": lambda root: sets.v3(root, hz=10, video_hz=30, lengths=(4, 4), data=False),
    "null tasks": without_tasks,
    "truncated rows": truncated,
    "truncated table": without_table,
    "missing video": without_video,
    "broken info.json": without_info,
    "names like ours": lookalike,
    "RLDS": sets.rlds,
    "videos": plain,
}


def state(root: Path) -> dict[str, tuple[str, int, int]]:
    """Every file and folder: sha256, time of change and mode."""
    found: dict[str, tuple[str, int, int]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        about = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = digest, about.st_mtime_ns, about.st_mode
    return found


@pytest.fixture(scope="module", params=KINDS)
def foreign(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("kind") / "set"
    KINDS[request.param](root)
    yield root
    shutil.rmtree(root.parent, ignore_errors=True)


COMMANDS = (
    ["data", "info"], ["data", "check"], ["data", "repair"], ["data", "progress", "--frames", "3"],
    ["data", "progress", "--frames", "3", "--task", "go", "--cameras", "front=front", "wrist=front"],
)  # fmt: skip


def test_no_data_command_changes_a_foreign_data_set(foreign: Path, capsys, tmp_path: Path) -> None:
    before = state(foreign)
    for command in COMMANDS:
        code = main([*command[:2], str(foreign), *command[2:]])
        said = capsys.readouterr()
        assert code in (0, 1) and "Traceback" not in said.err + said.out, (command, said)
        assert state(foreign) == before, command
        if command[1] == "repair":
            assert code == 1 and "leaves it as it is" in said.err.replace("\n", " ")
    for by, out in (("outcome", tmp_path / "made"), ("all", foreign / "made")):
        code = main(["data", "filter", str(foreign), "--by", by, "--out", str(out)])
        assert code == 1 or (code == 0 and by == "outcome")
    assert state(foreign) == before


@pytest.mark.parametrize("how", ["read-only", "a link"])
def test_nor_one_that_is_read_only_or_a_link(foreign: Path, tmp_path: Path, capsys, how: str) -> None:
    paths, root = [foreign, *foreign.rglob("*")], foreign
    modes = {path: path.stat().st_mode for path in paths}
    if how == "a link":
        root = tmp_path / "link"
        root.symlink_to(foreign, target_is_directory=True)
    else:
        for path in paths:
            path.chmod(modes[path] & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = state(foreign)
    for what in ("info", "check", "repair"):
        assert main(["data", what, str(root)]) in (0, 1)
        assert "Traceback" not in capsys.readouterr().err
    assert main(["data", "filter", str(root), "--by", "all", "--out", str(root / "made")]) == 1
    assert state(foreign) == before
    for path in paths:
        path.chmod(modes[path])


def test_collecting_into_a_foreign_data_set_is_one_clear_error(foreign: Path, capsys) -> None:
    before = state(foreign)
    assert main(["collect", "--out", str(foreign), "--episodes", "1", "--processes", "1"]) == 1
    said = capsys.readouterr().err.strip()
    assert "leaves it as it is" in said.replace("\n", " ") and said.count("error:") == 1
    assert state(foreign) == before


@pytest.mark.parametrize("kind", ["v2.1", "merged by LeRobot", "null tasks", "RLDS"])
def test_other_commands_leave_it_alone_too(kind: str, tmp_path: Path, capsys) -> None:
    foreign = KINDS[kind](tmp_path / "set")
    before = state(foreign)
    for command in (
        ["progress", "score", f"{foreign}:0", "--frames", "3", "--task", "go"],
        ["progress", "report", str(foreign), "--frames", "3", "--out", str(tmp_path / "page.html")],
        ["progress", "check", str(foreign), "--frames", "3"],
        ["video", "pack", str(foreign), "--out", str(tmp_path / "shards"), "--processes", "1", "--step-hz", "5"],
        ["train", "policy", "--data", str(foreign), "--out", str(tmp_path / "p.safetensors"), "--steps", "1",
         "--encoder", "encoder", "--cache", str(tmp_path / "cache")],
    ):  # fmt: skip
        code = main(command)
        said = capsys.readouterr()
        assert code in (0, 1) and "Traceback" not in said.err, (command, said.err)
        assert state(foreign) == before, command
    if kind != "RLDS":  # whose folder nothing marks as a data set
        for command in (
            ["data", "progress", str(foreign), "--out", str(foreign / "progress.parquet")],
            ["video", "pack", str(foreign), "--out", str(foreign / "shards")],
            ["data", "check", str(foreign), "--json", str(foreign / "check.json")],
        ):
            assert main(command) == 1 and "outside" in capsys.readouterr().err
            assert state(foreign) == before, command


def test_a_foreign_data_set_is_described(tmp_path: Path, capsys) -> None:
    root = sets.v3(tmp_path / "set", lengths=(4, 4), keys=TWO, tasks=(["put it there"], [None]))
    sets.table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": ["nan"]})
    assert main(["data", "info", str(root), "--json", str(tmp_path / "info.json")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    parts = ("2 episodes", "8 frames at 10 Hz", "so101", "put it there", "1 of 1", "(no", "64x48", "6 numbers")
    assert [part for part in parts if part not in said] == []
    written = json.loads((tmp_path / "info.json").read_text())
    assert written["fps"] == 10 and written["tasks"]["put it there"] == [1, 1, 1]
    assert main(["data", "check", str(root)]) == 0
    assert "2 sound episodes" in " ".join(capsys.readouterr().out.split())
    sets.write_info(root, total_frames=9)
    assert main(["data", "check", str(root)]) == 1
    assert "total_frames is 9" in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_learned_from_is_refused_in_one_sentence(tmp_path: Path, capsys) -> None:
    root = sets.v3(tmp_path / "set", lengths=(4, 4), keys=TWO)
    for command in (
        ["data", "filter", str(root), "--out", str(tmp_path / "out"), "--by", "outcome"],
        ["train", "policy", "--data", str(root), "--out", str(tmp_path / "p.safetensors"), "--encoder", "encoder"],
        ["train", "progress", "--data", str(root), "--out", str(tmp_path / "p.safetensors"), "--encoder", "encoder"],
    ):
        assert main(command) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "actions of shape [6]" in said and "vgps progress score" in said and len(said) < 600, said
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize("stored", ["video", "image"])
def test_progress_of_a_foreign_data_set_is_written_beside_it(tmp_path: Path, stored: str, capsys, monkeypatch) -> None:
    keys = ("observation.images.cam_high", "observation.images.cam_wrist")
    root = sets.v3(tmp_path / "set", lengths=(4, 6), keys=keys, stored=stored)
    before = state(root)
    cameras = ["--cameras", "front=observation.images.cam_high", "wrist=observation.images.cam_wrist"]
    assert main(["progress", "score", f"{root}:1", *cameras]) == 0
    assert main(["progress", "score", f"{root}:1"]) == 1
    assert "--cameras" in capsys.readouterr().err
    monkeypatch.chdir(root)
    assert main(["data", "progress", ".", *cameras]) == 0
    table = pq.read_table(tmp_path / "set.progress-learned.parquet")
    assert table["episode_index"].to_pylist() == [0] * 4 + [1] * 6
    assert table["frame_index"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert np.isfinite(table["progress_sparse"].to_numpy()).all() and state(root) == before
    assert main(["data", "progress", str(root), *cameras, "--out", str(root / "x.parquet")]) == 1
    assert "outside" in capsys.readouterr().err and state(root) == before


def test_an_episode_without_pictures_has_no_progress_and_the_others_have(tmp_path: Path, capsys) -> None:
    root = sets.v2(tmp_path / "set", lengths=(4, 4, 4), tasks=[["go"]] * 3, frames=(12, 3, 12))
    assert main(["data", "progress", str(root), "--cameras", "front=front", "wrist=front"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "episode 1" in said and "no frame at 0.200 s" in said
    values = pq.read_table(tmp_path / "set.progress-learned.parquet")["progress_sparse"].to_numpy()
    assert np.isnan(values[4:8]).all() and np.isfinite(values[[0, 1, 2, 3, 8, 9, 10, 11]]).all()


def test_an_estimator_is_examined_on_a_foreign_data_set(tmp_path: Path, capsys) -> None:
    root = sets.v3(tmp_path / "set", lengths=(4,) * 4, tasks=[["go"], ["go"], ["stay"], ["stay"]], keys=TWO)
    assert main(["progress", "check", str(root), "--controls", "1", "--json", str(tmp_path / "c.json")]) in (0, 1)
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["episodes"] == 4 and set(found["tasks"]) == {"go", "stay"} and found["successes"] == 2
    none = sets.v3(tmp_path / "none", lengths=(4, 4), keys=TWO, data=False)
    assert main(["progress", "check", str(none)]) == 1
    assert "no outcome" in capsys.readouterr().err


def test_no_paid_model_is_asked_about_a_missing_task(tmp_path: Path, capsys) -> None:
    pytest.importorskip("openai")
    from vlm_server import Server  # pyright: ignore[reportMissingImports]

    root = sets.v3(tmp_path / "set", lengths=(4, 4), tasks=(["nan"], ["go"]))
    sets.table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": ["None"]})
    with Server({}) as server:
        chat = ["--gvl.chat.model", "m", "--gvl.chat.base-url", server.url, "--gvl.chat.cache", str(tmp_path / "chat")]
        for command in (["progress", "score", f"{root}:0"], ["data", "progress", str(root)]):
            assert main([*command, "--backend", "gvl", *chat]) == 1
            assert "has no task" in capsys.readouterr().err
        assert server.requests == 0


def test_one_of_ours_that_lerobot_edited_goes_through_every_command(tmp_path: Path, capsys) -> None:
    root = sets.edited(ours(tmp_path / "own"), tmp_path / "set", [0, 1, 3])
    before = state(root)
    assert main(["data", "info", str(root)]) == 0 and "action spec is lost" in " ".join(capsys.readouterr().out.split())
    assert main(["data", "check", str(root)]) == 0
    assert main(["data", "progress", str(root)]) == 0
    assert main(["data", "filter", str(root), "--above", "0", "--out", str(tmp_path / "good")]) == 0
    assert main(["data", "filter", str(root), "--by", "outcome", "--out", str(tmp_path / "won")]) == 0
    assert len(EpisodeStore(tmp_path / "good")) == 3 and len(EpisodeStore(tmp_path / "won")) == 1
    assert main(["video", "pack", str(root), "--cameras", "front", "--out", str(tmp_path / "shards")]) == 0
    assert state(root) == before
    assert os.listdir(tmp_path / "won") and main(["data", "repair", str(tmp_path / "won")]) == 0
