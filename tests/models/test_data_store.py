"""What was recorded is what is read, and the files are those of a LeRobot v3 data set."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter, layout
from vgps_models.data.episodes import Episode, example_episode
from vgps_models.data.stats import image_stats, pool, vector_stats
from vgps_models.data.video import VideoReader, VideoSettings
from vgps_models.errors import DataError, UnknownNameError

TASKS = {"spoon": ("put the spoon down", "spoon, please"), "carrot": ("move the carrot",)}


def make(number: int) -> Episode:
    task = list(TASKS)[number % 2]
    words = TASKS[task][number // 2 % len(TASKS[task])]
    return example_episode(number // 2, task_id=task, instruction=words, steps=3 + number, success=number % 3 == 0)


EPISODES = [make(number) for number in range(8)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    writer = EpisodeWriter(root)
    for episode in reversed(EPISODES):
        writer.write(episode)
    writer.finalise()
    return root


@pytest.fixture(scope="module")
def store(root: Path) -> EpisodeStore:
    return EpisodeStore(root)


def recorded(store: EpisodeStore) -> list[Episode]:
    by_key = {episode.key: episode for episode in EPISODES}
    return [by_key[record.key] for record in store.records]


def test_order_is_by_seed_then_task(store: EpisodeStore) -> None:
    keys = [(record.seed, record.task_id) for record in store.records]
    assert keys == sorted(keys)
    assert len(store) == len(EPISODES)
    assert store.problems == ()
    assert store.waiting == 0


def test_numbers_come_back_bit_for_bit(store: EpisodeStore) -> None:
    columns, episodes = store.columns(), recorded(store)
    for name, attribute in (
        ("state", "proprio"),
        ("joints", "joints"),
        ("actions", "actions"),
        ("commanded", "commanded"),
        ("environment_state", "environment_state"),
        ("flawed", "flawed"),
    ):
        expected = np.concatenate([getattr(episode, attribute) for episode in episodes])
        assert np.array_equal(getattr(columns, name), expected), name
    lengths = [len(episode) for episode in episodes]
    assert np.array_equal(columns.bounds, np.cumsum([0, *lengths]))
    assert np.array_equal(columns.frame, np.concatenate([np.arange(n) for n in lengths]))
    assert columns.success[columns.bounds[1:] - 1].tolist() == [episode.success for episode in episodes]
    assert np.array_equal(np.flatnonzero(columns.done), columns.bounds[1:] - 1)
    for m, episode in enumerate(episodes):
        number = columns.instruction[columns.bounds[m]]
        assert columns.instructions[number] == episode.instruction
        assert columns.instruction_tasks[number] == episode.task_id


def test_metadata_comes_back(store: EpisodeStore) -> None:
    table = store.episodes()
    for m, episode in enumerate(recorded(store)):
        for name in ("task_id", "seed", "success", "flaw", "quality", "layout_hash", "instruction", "events"):
            assert table[name][m] == getattr(episode, name)
        assert table["length"][m] == len(episode)


def test_images_come_back_close_and_in_place(store: EpisodeStore, tmp_path: Path) -> None:
    columns = store.columns()
    for camera in store.cameras:
        everything = store.all_images(camera)
        for m in (5, 0, 7):
            here = slice(columns.bounds[m], columns.bounds[m + 1])
            assert np.array_equal(store.images(m)[camera], everything[here])
            original = recorded(store)[m].images[camera].astype(float)
            assert np.sqrt(np.mean((everything[here] - original) ** 2)) < 3
        for _ in range(2):  # made, then found
            assert np.array_equal(store.all_images(camera, tmp_path), everything)
    assert len(list(tmp_path.iterdir())) == len(store.cameras)
    with pytest.raises(UnknownNameError, match="front, wrist"):
        store.all_images("rear")


def test_the_files_are_those_of_lerobot_v3(root: Path) -> None:
    info = json.loads((root / "meta/info.json").read_text(encoding="utf-8"))
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 5
    assert info["total_episodes"] == len(EPISODES)
    assert info["splits"] == {"train": f"0:{len(EPISODES)}"}
    stats = json.loads((root / "meta/stats.json").read_text(encoding="utf-8"))
    assert set(stats) == set(info["features"])
    data = pq.read_table(root / info["data_path"].format(chunk_index=0, file_index=0))
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    tasks = pq.read_table(root / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]
    sentences = dict(zip(tasks["task_index"].to_pylist(), tasks["__index_level_0__"].to_pylist(), strict=True))
    for name, feature in info["features"].items():
        if feature["dtype"] == "video":
            assert np.shape(stats[name]["mean"]) == (3, 1, 1)
        else:
            width = getattr(data.schema.field(name).type, "list_size", 1)
            assert feature["shape"] == [width] == list(np.shape(stats[name]["mean"]))
    assert data["index"].to_pylist() == list(range(info["total_frames"]))
    for number, row in enumerate(rows):
        frames = data.slice(row["dataset_from_index"], row["length"]).to_pydict()
        assert row["episode_index"] == number
        assert row["dataset_to_index"] - row["dataset_from_index"] == row["length"]
        assert set(frames["episode_index"]) == {number}
        assert frames["frame_index"] == list(range(row["length"]))
        assert np.allclose(frames["timestamp"], np.arange(row["length"]) / 5)
        assert {sentences[index] for index in frames["task_index"]} == set(row["tasks"])
        for camera in ("front", "wrist"):
            key = f"videos/observation.images.{camera}"
            assert np.isclose(row[f"{key}/to_timestamp"] - row[f"{key}/from_timestamp"], row["length"] / 5)
            assert row[f"{key}/from_timestamp"] == row["dataset_from_index"] / 5


def test_lerobot_reads_it(root: Path, store: EpisodeStore) -> None:
    """Runs where LeRobot is installed: it pins other versions, so an environment of its own."""
    module = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    data = module.LeRobotDataset("local/example", root=root)
    columns = store.columns()
    assert data.num_frames == len(columns)
    for index in range(0, len(columns), 5):
        assert np.array_equal(data[index]["observation.state"], columns.state[index])
        assert data[index]["task"] == columns.instructions[columns.instruction[index]]


def test_many_files_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: EpisodeStore) -> None:
    monkeypatch.setattr(layout, "DATA_FILE_MB", 0.003)
    monkeypatch.setattr(layout, "VIDEO_FILE_MB", 0.002)
    monkeypatch.setattr(layout, "CHUNK_FILES", 2)
    writer = EpisodeWriter(tmp_path)
    for episode in EPISODES:
        writer.write(episode)
    writer.finalise()
    assert len(list(tmp_path.glob("data/chunk-001/*.parquet"))) > 0
    assert len(list(tmp_path.glob("videos/*front/chunk-001/*.mp4"))) > 0
    split = EpisodeStore(tmp_path)
    assert split.data_hash() == store.data_hash()
    assert np.array_equal(split.all_images("front"), store.all_images("front"))


def test_other_video_settings_begin_another_file(tmp_path: Path) -> None:
    for number, settings in enumerate((VideoSettings(), VideoSettings(pixel_format="yuv420p", preset="veryfast"))):
        EpisodeWriter(tmp_path, video=settings).write(EPISODES[number])
    EpisodeWriter(tmp_path).finalise()
    files = sorted(tmp_path.glob("videos/*front/chunk-000/*.mp4"))
    formats = {VideoReader(file).stream.codec_context.pix_fmt for file in files}
    assert formats == {"yuv444p", "yuv420p"}
    assert len(EpisodeStore(tmp_path).all_images("front")) == len(EPISODES[0]) + len(EPISODES[1])


def test_a_folder_without_data_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="vgps collect"):
        EpisodeStore(tmp_path)
    EpisodeWriter(tmp_path).write(EPISODES[0])
    with pytest.raises(DataError, match=r"1 episodes wait.*finalise"):
        EpisodeStore(tmp_path)


def test_statistics_of_parts_pool_to_those_of_the_whole() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(100, 3))
    stats = vector_stats(values)
    assert np.allclose(stats["mean"], values.mean(0))
    assert np.allclose(stats["q90"], np.quantile(values, 0.9, axis=0))
    images = random.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    whole = image_stats(images)
    pooled = pool([image_stats(images[:5]), image_stats(images[5:])])
    for name in ("min", "max", "mean", "std"):
        assert np.allclose(pooled[name], whole[name])
    assert pooled["count"] == [20]
    sampled = images[:, ::4, ::4] / 255
    assert np.allclose(np.ravel(whole["std"]), sampled.std(axis=(0, 1, 2)))
