"""LeRobot's own loader, editing tools and training on our data, and everything of ours on what they leave.

LeRobot pins other versions, so it lives in an environment of its own, whose Python VGPS_LEROBOT_PYTHON names
(CONTRIBUTING.md, "LeRobot's own software"). Skipped where it is not set.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.check import check, info, repair
from vgps_models.data.episodes import ENVIRONMENT_STATE, example_episode
from vgps_models.data.owner import Owner, owner_of
from vgps_models.errors import DataError
from vgps_node.cli import main

PYTHON = os.environ.get("VGPS_LEROBOT_PYTHON", "")
TOOLS = Path(__file__).with_name("lerobot_tools.py")
TASKS = {
    "put_spoon_on_towel": ("put the spoon on the towel", "place the spoon on the towel"),
    "put_carrot_on_plate": ("put the carrot on the plate", "move the carrot onto the dish"),
}
SMALL = (
    "--policy.pretrained_backbone_weights=null", "--policy.dim_model=64", "--policy.n_heads=2",
    "--policy.dim_feedforward=64", "--policy.n_encoder_layers=1", "--policy.n_vae_encoder_layers=1",
    "--policy.chunk_size=4", "--policy.n_action_steps=4", "--batch_size=2", "--steps=3", "--num_workers=0",
    "--log_freq=1", "--save_freq=3", "--wandb.enable=false", "--policy.push_to_hub=false", "--policy.device=cpu",
)  # fmt: skip

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PYTHON, reason="VGPS_LEROBOT_PYTHON names no Python that has LeRobot; see CONTRIBUTING.md"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lerobot")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Path:
    writer = EpisodeWriter(folder / "ours")
    for number in range(6):
        task = list(TASKS)[number % 2]
        words, won = TASKS[task][number // 2 % 2], number < 4
        writer.write(example_episode(number, task_id=task, instruction=words, steps=12 + number, size=128, success=won))
    writer.finalise()
    return folder / "ours"


@pytest.fixture(scope="module")
def edited(ours: Path, folder: Path) -> dict[str, Path]:
    """Name of a tool -> what it left."""
    made = {name: folder / name for name in ("deleted", "merged", "appended")}
    run("delete", ours, made["deleted"], 1, 4)
    run("split", ours, folder / "parts", 2)
    run("merge", folder / "parts" / "one", folder / "parts" / "two", made["merged"])
    run("append", ours, made["appended"], 7)
    return made | {"split": folder / "parts" / "one"}


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "hf"), "OMP_NUM_THREADS": "1", "SVT_LOG": "1"}


def run(*arguments: object) -> dict[str, Any]:
    """One command of lerobot_tools.py."""
    home = Path(str(arguments[1])).parent
    command = [PYTHON, str(TOOLS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(home), timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def hashes(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_its_loader_reads_what_we_read(ours: Path) -> None:
    store, read = EpisodeStore(ours), run("load", ours)
    columns = store.columns()
    assert (read["frames"], read["episodes"], read["fps"]) == (len(columns), 6, 5)
    assert read["tasks"] == sorted({record.instruction for record in store.records})
    assert read["actions"] == hashlib.sha256(np.ascontiguousarray(columns.actions).tobytes()).hexdigest()
    assert read["batch"]["action"] == [4, 3, 7] and read["batch"][ENVIRONMENT_STATE] == [4, 6]
    for camera in store.cameras:
        ours_at = store.all_images(camera)[::5] / 255.0
        theirs = [entry[f"observation.images.{camera}"] for entry in read["pictures"]]
        assert np.allclose([mean for mean, *_ in theirs], ours_at.mean(axis=(1, 2, 3)), atol=2e-4)
        assert all(shape == [3, 128, 128] for _, *shape in theirs)


@pytest.mark.parametrize(
    ("tool", "kept"),
    [("deleted", [0, 2, 3, 5]), ("split", [0, 1]), ("merged", [0, 1, 2, 3, 4, 5]),
     ("appended", [0, 1, 2, 3, 4, 5, None])],
)  # fmt: skip
def test_what_its_tools_leave_is_read(ours: Path, edited: dict[str, Path], tool: str, kept: list[int | None]) -> None:
    root, before = edited[tool], EpisodeStore(ours)
    files = hashes(root)
    assert owner_of(root) is Owner.EDITED
    store = EpisodeStore(root)
    report, summary = check(root), info(root)
    assert report.ok and report.episodes == len(store) == summary.episodes == len(kept)
    assert store.spec == before.spec and store.cameras == before.cameras
    # The order within a data set is the tool's; what was recorded names the episode.
    known = {record.frames_hash: number for number, record in enumerate(before.records)}
    assert sorted(known.get(r.frames_hash, 99) for r in store.records) == sorted(99 if k is None else k for k in kept)
    for number, record in enumerate(store.records):
        if (old := known.get(record.frames_hash)) is None:
            assert record.success and record.length == 7  # the one that was recorded by LeRobot
            continue
        was = before.records[old]
        assert (record.instruction, record.task_id, record.success) == (was.instruction, was.task_id, was.success)
        images, originals = store.images(number), before.images(old)
        for camera in store.cameras:
            away = np.abs(images[camera].astype(int) - originals[camera]).mean(axis=(1, 2, 3))
            assert away.max() < 5, camera
            # Every frame is the one of its own step: nearer to it than to the one that follows.
            following = np.abs(images[camera][:-1].astype(int) - originals[camera][1:]).mean()
            assert away.mean() < following
    with pytest.raises(DataError, match="leaves it as it is"):
        repair(root)
    assert hashes(root) == files


def test_what_its_tools_leave_goes_through_our_commands(edited: dict[str, Path], folder: Path) -> None:
    for tool, root in edited.items():
        files = hashes(root)
        cache = ["--cache", str(folder / "cache")]
        for command in (
            ["data", "info", str(root)],
            ["data", "check", str(root)],
            ["data", "progress", str(root), "--frames", "4"],
            ["data", "filter", str(root), "--above", "0", "--out", str(folder / f"{tool}-good")],
            ["data", "filter", str(root), "--by", "all", "--out", str(folder / f"{tool}-all")],
            ["progress", "score", f"{root}:1", "--frames", "4"],
            ["video", "pack", str(root), "--out", str(folder / f"{tool}-shards"), "--processes", "1"],
            ["train", "policy", "--data", str(root), "--encoder", "encoder", "--steps", "2", "--batch", "8", *cache,
             "--out", str(folder / f"{tool}-policy.safetensors")],
        ):  # fmt: skip
            assert main(command) == 0, command
        assert hashes(root) == files, tool
        assert check(folder / f"{tool}-all").ok and owner_of(folder / f"{tool}-all") is Owner.OURS
        read = run("load", folder / f"{tool}-all")
        assert read["episodes"] == len(EpisodeStore(root))


def test_critics_and_estimators_learn_from_what_its_tools_leave(edited: dict[str, Path], folder: Path) -> None:
    root = edited["merged"]
    common = ["--data", str(root), "--steps", "2", "--cache", str(folder / "cache")]
    policy = folder / "policy.safetensors"
    for command in (
        ["train", "policy", *common, "--encoder", "encoder", "--out", str(policy)],
        ["train", "critic", *common, "--policy", str(policy), "--out", str(folder / "critic.safetensors")],
        ["train", "progress", *common, "--encoder", "encoder", "--out", str(folder / "progress.safetensors")],
    ):
        assert main(command) == 0, command


def test_its_policies_train_and_do_not_see_the_poses_of_the_simulator(ours: Path, folder: Path) -> None:
    out = folder / "act"
    command = [
        str(Path(PYTHON).with_name("lerobot-train")), "--dataset.repo_id=local/vgps", f"--dataset.root={ours}",
        "--dataset.video_backend=pyav", "--policy.type=act", f"--output_dir={out}", *SMALL,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment(folder), timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    config = json.loads(next(out.rglob("pretrained_model/config.json")).read_text())
    assert set(config["output_features"]) == {"action"}
    assert not [key for key in config["input_features"] if "environment_state" in key]
    assert {"observation.state", "observation.images.front", "observation.images.wrist"} <= set(
        config["input_features"]
    )


def test_its_reader_takes_our_file_of_progress(ours: Path, folder: Path) -> None:
    out = folder / "ours.progress-learned.parquet"
    assert main(["data", "progress", str(ours), "--frames", "4", "--out", str(out)]) == 0
    assert set(pq.read_schema(out).names) >= {"index", "episode_index", "frame_index", "progress_sparse"}
