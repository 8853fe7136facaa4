"""Data sets of ours that LeRobot's tools have written again are known as such, read, and never written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import foreign_sets as sets  # pyright: ignore[reportMissingImports]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.check import check, info, repair
from vgps_models.data.edited import task_of
from vgps_models.data.episodes import ENVIRONMENT_STATE, OLD_ENVIRONMENT_STATE, example_episode
from vgps_models.data.layout import INFO
from vgps_models.data.owner import Owner, owner_of
from vgps_models.data.subset import write_subset
from vgps_models.errors import DataError
from vgps_models.progress.footage import open_footage
from vgps_models.spaces import ActionSpec
from vgps_models.video.sources import open_sources

TASKS = {
    "put_spoon_on_towel": ("put the spoon on the towel", "place the spoon on the towel"),
    "put_carrot_on_plate": ("put the carrot on the plate", "move the carrot onto the dish"),
}
DATA = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ours") / "set"
    writer = EpisodeWriter(root)
    for number in range(6):
        task = list(TASKS)[number % 2]
        words = TASKS[task][number // 2 % 2]
        won, steps = number % 3 == 0, 6 + number
        writer.write(example_episode(number, task_id=task, instruction=words, steps=steps, success=won))
    writer.finalise()
    return root


@pytest.mark.parametrize("keep", [[0, 1, 2, 3, 4, 5], [1, 4], [5, 0]], ids=["merged", "split", "deleted"])
@pytest.mark.parametrize("old_key", [False, True])
def test_what_lerobot_keeps_is_read(ours: Path, tmp_path: Path, keep: list[int], old_key: bool) -> None:
    root = sets.edited(ours, tmp_path / "set", keep, old_key=old_key)
    assert owner_of(root) is Owner.EDITED
    before, after = EpisodeStore(ours), EpisodeStore(root)
    assert len(after) == len(keep) and not after.problems and after.cameras == before.cameras
    assert after.spec == ActionSpec() and "action spec is lost" in after.notes[0]
    columns, old = after.columns(), before.columns()
    rows = np.concatenate([np.flatnonzero(old.episode == episode) for episode in keep])
    for name in ("state", "joints", "actions", "commanded", "environment_state", "done", "success", "flawed", "frame"):
        assert np.array_equal(getattr(columns, name), getattr(old, name)[rows]), name
    for number, episode in enumerate(keep):
        one, two = after.records[number], before.records[episode]
        assert (one.instruction, one.task_id, one.success) == (two.instruction, two.task_id, two.success)
        assert (one.seed, one.flaw) == (number, "unnamed")  # of the flags of its rows
        mine, theirs = after.images(number), before.images(episode)
        for camera in after.cameras:
            assert mine[camera].shape == theirs[camera].shape
            assert np.abs(mine[camera].astype(int) - theirs[camera]).mean() < 6  # encoded again
    assert len(after.all_images("front")) == len(columns)
    assert np.array_equal(after.images(0, np.array([1, 3]), ["wrist"])["wrist"], after.images(0)["wrist"][[1, 3]])
    report, summary = check(root), info(root)
    assert report.ok and report.episodes == len(keep) and report.owner == Owner.EDITED.value
    assert sum(task.episodes for task in summary.tasks.values()) == len(keep) and set(summary.tasks) <= set(TASKS)
    scene = open_footage(root).scene(0, 4)
    assert scene.success == after.records[0].success and set(scene.clip.views) == {"front", "wrist"}
    packed = open_sources([str(root)]).recordings
    assert len(packed) == 2 * len(keep) and {r.embodiment for r in packed} == {"widowx_ai"}
    assert len(list(packed[0].play())) == after.lengths[0]


def test_an_appended_data_set_is_read_with_its_action_spec(ours: Path, tmp_path: Path) -> None:
    root = sets.append(ours, tmp_path / "set")
    assert owner_of(root) is Owner.EDITED and "action_spec" in json.loads((root / INFO).read_text())
    store = EpisodeStore(root)
    assert len(store) == 7 and not store.notes and not store.problems and check(root).ok
    assert store.records[6].instruction == store.records[0].instruction
    kept, were = store.records[3], EpisodeStore(ours).records[3]
    assert (kept.task_id, kept.flaw, kept.quality) == (were.task_id, were.flaw, were.quality) and were.flaw
    columns = store.columns()
    assert np.array_equal(columns.actions[columns.episode == 6], EpisodeStore(ours).columns().actions[:6])
    assert len(open_footage(root)) == 7 and len(open_sources([str(root)]).recordings) == 14


def test_the_data_hash_is_of_the_content(ours: Path, tmp_path: Path) -> None:
    one = sets.edited(ours, tmp_path / "one", [0, 1])
    shutil.copytree(one, tmp_path / "two")
    assert EpisodeStore(one).data_hash() == EpisodeStore(tmp_path / "two").data_hash()
    table = pq.read_table(tmp_path / "two" / DATA)
    flags = pa.array([True] * table.num_rows)
    pq.write_table(table.set_column(table.column_names.index("flawed"), "flawed", flags), tmp_path / "two" / DATA)
    other = sets.edited(ours, tmp_path / "three", [0, 2])
    assert len({EpisodeStore(root).data_hash() for root in (ours, one, tmp_path / "two", other)}) == 4


def test_it_is_copied_into_one_of_ours(ours: Path, tmp_path: Path) -> None:
    edited = EpisodeStore(sets.edited(ours, tmp_path / "set", [0, 3, 4]))
    write_subset(edited, np.array([True, False, True]), tmp_path / "out")
    made = EpisodeStore(tmp_path / "out")
    assert owner_of(tmp_path / "out") is Owner.OURS and check(tmp_path / "out").ok and len(made) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data", "meta", "videos"]
    assert np.array_equal(made.columns().actions, edited.columns().actions[edited.columns().episode != 1])
    assert [r.instruction for r in made.records] == [edited.records[0].instruction, edited.records[2].instruction]


def test_nothing_is_recorded_into_it_and_nothing_repaired(ours: Path, tmp_path: Path) -> None:
    for root in (sets.edited(ours, tmp_path / "edited"), sets.append(ours, tmp_path / "appended")):
        files = sorted(path for path in root.rglob("*"))
        with pytest.raises(DataError, match=r"another program.*--by all"):
            EpisodeWriter(root)
        with pytest.raises(DataError, match="another program"):
            repair(root)
        assert sorted(path for path in root.rglob("*")) == files


def test_actions_of_another_scale_are_not_believed(ours: Path, tmp_path: Path) -> None:
    root = sets.edited(ours, tmp_path / "set", [0, 1])
    table = pq.read_table(root / DATA)
    scaled = (np.array(table["action"].to_pylist()) * 1000).tolist()
    column = pa.array(scaled, pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), root / DATA)
    with pytest.raises(DataError, match="action_spec"):
        EpisodeStore(root)
    sets.write_info(root, action_spec=ActionSpec(max_translation=40.0, max_rotation=400.0).to_json())
    assert EpisodeStore(root).spec.max_translation == 40.0
    sets.write_info(root, action_spec={"arm": 3, "speed": 2})
    with pytest.raises(DataError, match="action_spec cannot be read"):
        EpisodeStore(root)


def test_a_rate_that_was_lost_is_an_error(ours: Path, tmp_path: Path) -> None:
    root = sets.edited(ours, tmp_path / "set", [0, 1])
    for fps in (0, None, 30):
        sets.write_info(root, fps=fps)
        with pytest.raises(DataError, match=r"info\.json"):
            EpisodeStore(root)
        assert not check(root).ok


def test_a_damaged_episode_is_named_and_the_rest_is_read(ours: Path, tmp_path: Path) -> None:
    root = sets.edited(ours, tmp_path / "set", [0, 1, 2])
    table = pq.read_table(root / DATA)
    state = table["observation.state"].to_pylist()
    state[7] = [float("nan")] * 10  # of the second episode
    column = pa.array(state, pa.list_(pa.float32()))
    at = table.column_names.index("observation.state")
    pq.write_table(table.set_column(at, "observation.state", column), root / DATA)
    store = EpisodeStore(root)
    assert len(store) == 2 and [problem.name for problem in store.problems] == ["episode 1"]
    assert store.images(1)["front"].shape[0] == store.lengths[1]
    report = check(root)
    assert not report.ok and report.episodes == 2


def test_the_poses_of_the_simulator_are_no_input_of_a_policy(ours: Path, tmp_path: Path) -> None:
    """LeRobot's policies take every feature whose key begins with "observation" for an input."""
    features = json.loads((ours / INFO).read_text())["features"]
    assert ENVIRONMENT_STATE in features and OLD_ENVIRONMENT_STATE not in features
    assert not ENVIRONMENT_STATE.startswith(("observation", "action"))


def test_a_data_set_of_ours_with_the_old_key_is_read_and_recorded_into(ours: Path, tmp_path: Path, monkeypatch) -> None:
    from vgps_models.data import episodes, records

    root = tmp_path / "old"
    with monkeypatch.context() as old:  # as it was written before
        for module in (episodes, records):
            old.setattr(module, "ENVIRONMENT_STATE", OLD_ENVIRONMENT_STATE)
        names = {OLD_ENVIRONMENT_STATE if k == ENVIRONMENT_STATE else k: v for k, v in episodes.VECTOR_NAMES.items()}
        for module in (records, episodes, __import__("vgps_models.data.layout", fromlist=["x"])):
            old.setattr(module, "VECTOR_NAMES", names)
        writer = EpisodeWriter(root)
        writer.write(example_episode(0, steps=5))
        writer.finalise()
        writer.write(example_episode(1, steps=5))
    assert OLD_ENVIRONMENT_STATE in pq.read_schema(root / DATA).names
    store = EpisodeStore(root)
    expected = example_episode(0, steps=5)
    assert check(root).ok and expected.environment_state is not None
    assert np.array_equal(store.columns().environment_state, expected.environment_state)
    hashed = store.data_hash()
    writer = EpisodeWriter(root)
    writer.write(example_episode(2, steps=5))
    assert writer.finalise().episodes == 3 and not writer.problems
    assert ENVIRONMENT_STATE in pq.read_schema(root / DATA).names and check(root).ok
    fresh = EpisodeWriter(tmp_path / "fresh")
    fresh.write(example_episode(0, steps=5))
    fresh.finalise()
    assert EpisodeStore(tmp_path / "fresh").data_hash() == hashed


@pytest.mark.parametrize(
    ("sentence", "task"),
    [
        ("put the spoon on the towel", "put_spoon_on_towel"),
        ("Place the spoon on the towel.", "put_spoon_on_towel"),
        ("pile the green block onto the yellow one", "stack_green_block_on_yellow_block"),
        ("move the aubergine into the basket", "put_eggplant_in_basket"),
        ("open the drawer!", "open_drawer"),
        ("開けて", "task"),
    ],
)
def test_sentences_of_one_task_have_one_id(sentence: str, task: str) -> None:
    assert task_of(sentence) == task


def test_whose_a_folder_is(ours: Path, tmp_path: Path) -> None:
    assert owner_of(ours) is Owner.OURS and owner_of(tmp_path) is Owner.NONE
    assert owner_of(tmp_path / "none") is Owner.NONE
    (tmp_path / "notes.md").write_text("x")
    assert owner_of(tmp_path) is Owner.NONE
    EpisodeWriter(tmp_path / "staged").write(example_episode(0))
    assert owner_of(tmp_path / "staged") is Owner.OURS
    for make in (sets.v3, sets.v2, sets.rlds):
        assert owner_of(make(tmp_path / make.__name__)) is Owner.OTHERS
    (tmp_path / "plain").mkdir()
    assert owner_of(sets.plain(tmp_path / "plain")) is Owner.OTHERS
    shutil.copytree(ours, tmp_path / "renamed")
    information = json.loads((ours / INFO).read_text())
    del information["action_spec"]
    (tmp_path / "renamed" / INFO).write_text(json.dumps(information))
    assert owner_of(tmp_path / "renamed") is Owner.EDITED  # another program has written info.json
    (tmp_path / "renamed" / INFO).write_text("{")
    assert owner_of(tmp_path / "renamed") is Owner.OURS  # damaged, and the tables are ours
