"""Whatever happens to the files, `check` names it, the rest stays readable and `repair` keeps it."""

import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.check import check, info, repair
from vgps_models.data.episodes import example_episode
from vgps_models.errors import DataError

COUNT = 6
DATA = "data/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.wrist/chunk-000/file-000.mp4"
TABLE = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six merged episodes and two that wait."""
    root = tmp_path_factory.mktemp("good")
    writer = EpisodeWriter(root)
    for seed in range(COUNT):
        writer.write(example_episode(seed, steps=5))
    writer.finalise()
    for seed in (COUNT, COUNT + 1):
        writer.write(example_episode(seed, steps=5))
    return root


@pytest.fixture
def root(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "data")
    return tmp_path / "data"


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_sound_data_set_has_no_problems(good: Path) -> None:
    before = {path: path.read_bytes() for path in files(good)}
    report = check(good)
    assert report.ok
    assert (report.episodes, report.waiting) == (COUNT, 2)
    assert before == {path: path.read_bytes() for path in files(good)}  # and check changes nothing


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), how=st.sampled_from(["cut", "flip", "zero", "empty", "remove"]))
def test_damage_anywhere_is_reported_and_survived(
    good: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, how: str
) -> None:
    root = tmp_path_factory.mktemp("bad") / "data"
    shutil.copytree(good, root)
    dice = random.Random(seed)
    path = dice.choice(files(root))
    content = bytearray(path.read_bytes())
    at = dice.randrange(len(content))
    if how == "flip":
        content[at] ^= 1 << dice.randrange(8)
    elif how == "zero":
        content[at : at + 64] = bytes(len(content[at : at + 64]))
    else:
        del content[0 if how == "empty" else at :]
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(content)
    report = check(root)  # never raises
    originals = {example_episode(n).name: example_episode(n, steps=5) for n in range(COUNT + 2)}
    try:
        store = EpisodeStore(root)
    except DataError as error:
        assert str(root) in str(error)
        assert not report.ok
    else:
        assert len(store) == report.episodes
        if len(store) < COUNT:
            assert not report.ok
        for number, record in enumerate(store.records):  # whatever is offered is what was recorded
            original = originals[record.name]
            here = store.columns().episode == number
            assert np.array_equal(store.columns().actions[here], original.actions)
            assert abs(store.images(number)["wrist"].astype(int) - original.images["wrist"]).max() < 64
    if how in ("cut", "empty") and path.suffix in (".parquet", ".json"):
        assert not report.ok
    kept = report.episodes + report.waiting
    assert kept >= 2 or not report.ok
    merged = repair(root)
    assert merged.episodes == kept
    assert check(root).ok
    assert len(EpisodeStore(root)) == kept


def test_a_cut_video_loses_the_episodes_behind_the_cut(root: Path) -> None:
    path = root / VIDEO
    path.write_bytes(path.read_bytes()[: -len(path.read_bytes()) // 3])
    report = check(root)
    assert 0 < report.episodes < COUNT
    assert report.episodes + len(report.problems) == COUNT
    assert all("wrist" in problem.reason and "put_spoon" in problem.name for problem in report.problems)
    store = EpisodeStore(root)
    assert store.problems == report.problems
    assert len(store.all_images("front")) == 5 * report.episodes
    merged = repair(root)
    assert merged.episodes == report.episodes + 2
    assert (root / "damaged" / "files-0" / VIDEO).exists()  # what was there is kept


def test_numbers_that_changed_are_found(root: Path) -> None:
    table = pq.read_table(root / DATA)
    flags = table["flawed"].to_pylist()
    flags[7] = not flags[7]
    column = table.schema.get_field_index("flawed")
    pq.write_table(table.set_column(column, "flawed", [flags]), root / DATA)
    report = check(root)
    assert [problem.name for problem in report.problems] == ["put_spoon_on_towel-00000001"]
    assert "not those that were recorded" in report.problems[0].reason


def test_frames_missing_from_the_data_file_are_found(root: Path) -> None:
    pq.write_table(pq.read_table(root / DATA).slice(0, 5 * COUNT - 2), root / DATA)
    report = check(root)
    assert [problem.name for problem in report.problems] == ["put_spoon_on_towel-00000005"]
    assert "not in data" in report.problems[0].reason


def test_a_missing_row_of_the_episode_table_is_found(root: Path) -> None:
    pq.write_table(pq.read_table(root / TABLE).slice(0, COUNT - 1), root / TABLE)
    assert ["rows of 1 episodes" in problem.reason for problem in check(root).problems] == [True]


def test_a_changed_row_of_the_episode_table_is_found(root: Path) -> None:
    table = pq.read_table(root / TABLE)
    won = table["success"].to_pylist()
    won[2] = not won[2]
    pq.write_table(table.set_column(table.schema.get_field_index("success"), "success", [won]), root / TABLE)
    assert [problem.name for problem in check(root).problems] == ["episode 2"]


def test_without_the_episode_table_the_waiting_episodes_are_saved(root: Path) -> None:
    (root / TABLE).write_bytes(b"")
    with pytest.raises(DataError, match="restore meta/episodes"):
        EpisodeStore(root)
    report = check(root)
    assert (report.episodes, report.waiting, report.ok) == (0, 2, False)
    assert repair(root).episodes == 2
    assert (root / "damaged" / "files-0" / DATA).exists()
    assert check(root).ok


@pytest.mark.parametrize("name", ["meta/info.json", "meta/stats.json", "meta/tasks.parquet"])
@pytest.mark.parametrize("how", ["change", "remove"])
def test_files_that_can_be_made_anew_are(root: Path, name: str, how: str) -> None:
    path = root / name
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    assert [problem.name for problem in check(root).problems] == [name]
    assert len(EpisodeStore(root)) == COUNT
    repair(root)
    assert check(root).ok
    assert path.stat().st_size > 0


def test_nothing_to_save_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        repair(tmp_path / "nowhere")
    assert not check(tmp_path / "nowhere").ok
    assert not check(tmp_path).ok
    (tmp_path / TABLE).parent.mkdir(parents=True)
    pq.write_table(pa.table({"episode_index": [0]}), tmp_path / TABLE)
    assert "not recorded by this project" in str(check(tmp_path).problems[0])
    with pytest.raises(DataError, match="can be saved"):
        repair(tmp_path)


def test_info_counts(good: Path) -> None:
    summary = info(good)
    assert (summary.episodes, summary.frames, summary.waiting) == (COUNT, 5 * COUNT, 2)
    assert summary.tasks["put_spoon_on_towel"].successes == 3
    assert summary.success_rate == 0.5
    assert summary.flaws == {"none": 4, "missed_grasp": 2}
    assert summary.flawed_frames == COUNT
    assert summary.cameras == {"front": (32, 32), "wrist": (32, 32)}
    assert summary.data_hash == EpisodeStore(good).data_hash()
    assert summary.to_json()["tasks"]["put_spoon_on_towel"]["rate"] == 0.5
