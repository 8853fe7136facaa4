"""LeRobot data sets as other programs write them, whole and broken. The gray level of a picture says which it is."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import films  # pyright: ignore[reportMissingImports]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Picture

os.environ.setdefault("SVT_LOG", "1")  # errors alone; the encoder of AV1 is talkative
FRONT = "observation.images.front"
CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}"
SIZE = (48, 64)
PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


FIRST, STEP = 10, 3.2  # gray levels; decoding and scaling may change one by 1


def level(frame: int) -> int:
    """Of frame 0 to 76; later ones are white."""
    return min(round(FIRST + STEP * frame), 255)


def numbers(images: np.ndarray) -> list[int]:
    """Which frames pictures show, by their gray levels."""
    return [round((float(np.median(image)) - FIRST) / STEP) for image in images]


def movie(path: Path, frames: int, hz: float, first: int = 0, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    at = [round(1000 * n / hz) for n in range(frames)]
    return films.film(path, at, [level(first + n) for n in range(frames)], size=SIZE, crf=0, **how)


def png(shade: int, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    buffer = io.BytesIO()
    Picture.fromarray(np.full((*size, 3), shade, np.uint8)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def write_info(root: Path, **changes: Any) -> None:
    path = root / "meta" / "info.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(info | changes))


def table(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def features(keys: Sequence[str], stored: str) -> dict[str, Any]:
    described = {"dtype": stored, "shape": [*SIZE, 3], "names": ["height", "width", "channels"]}
    numeric = {"dtype": "float32", "shape": [6], "names": None}
    return dict.fromkeys(keys, described) | {"action": numeric, "observation.state": numeric}


def rows(episode: int, length: int, hz: float, task: int | None = 0) -> dict[str, Any]:
    return {
        "action": [[0.1] * 6] * length,
        "observation.state": [[0.2] * 6] * length,
        "timestamp": pa.array(np.arange(length) / hz, pa.float32()),
        "frame_index": list(range(length)),
        "episode_index": [episode] * length,
        "task_index": pa.array([task] * length, pa.int64()),
        "next.success": [episode % 2 == 0 and n == length - 1 for n in range(length)],
    }


def v3(
    root: Path,
    *,
    hz: float = 10.0,
    video_hz: float = 30.0,
    lengths: Sequence[int] = (10, 10),
    tasks: Sequence[Any] = (["put it there"], ["put it there"]),
    keys: Sequence[str] = (FRONT,),
    stored: str = "video",
    data: bool = True,
) -> Path:
    """Layout v3: all episodes in one file of each kind. stored: "video", or "image" for PNG pictures in the rows."""
    ends = np.cumsum([0, *lengths]) / hz
    listed: dict[str, Any] = {
        "episode_index": list(range(len(lengths))),
        "tasks": pa.array(list(tasks), pa.list_(pa.string())),
        "length": list(lengths),
        "data/chunk_index": [0] * len(lengths),
        "data/file_index": [0] * len(lengths),
    }
    for key in keys if stored == "video" else ():
        listed[f"videos/{key}/chunk_index"] = listed[f"videos/{key}/file_index"] = [0] * len(lengths)
        listed[f"videos/{key}/from_timestamp"] = ends[:-1].tolist()
        listed[f"videos/{key}/to_timestamp"] = ends[1:].tolist()
        movie(root / "videos" / key / "chunk-000/file-000.mp4", round(float(ends[-1]) * video_hz), video_hz)
    table(root / "meta/episodes/chunk-000/file-000.parquet", listed)
    table(root / "meta/tasks.parquet", {"task_index": [0], "__index_level_0__": ["put it there"]})
    if data:
        parts = [rows(number, length, hz) for number, length in enumerate(lengths)]
        for number, part in enumerate(parts):
            for key in keys if stored == "image" else ():
                part[key] = pa.array([png(level(10 * number + n)) for n in range(lengths[number])], PICTURE)
        path = root / "data/chunk-000/file-000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.concat_tables([pa.table(part) for part in parts]), path)
    write_info(
        root, codebase_version="v3.0", robot_type="so101", fps=hz, total_episodes=len(lengths),
        total_frames=int(sum(lengths)), data_path=f"data/{CHUNK}.parquet", chunks_size=1000,
        video_path="videos/{video_key}/" + CHUNK + ".mp4", features=features(keys, stored),
    )  # fmt: skip
    return root


def v2(
    root: Path, version: str = "v2.1", *, hz: float = 10.0, video_hz: float = 30.0, lengths: Sequence[int] = (10, 12),
    tasks: Sequence[Any] = (["put it there"], ["take it away"]), stored: str = "video", frames: Sequence[int] = (),
) -> Path:  # fmt: skip
    """Layout v2.0 or v2.1: a file of each kind an episode. frames: of each video; as many as its rows need if empty."""
    lines = [{"episode_index": n, "tasks": tasks[n], "length": length} for n, length in enumerate(lengths)]
    for number, length in enumerate(lengths):
        part = rows(number, length, hz, number)
        if stored == "image":
            part[FRONT] = pa.array([png(level(10 * number + n)) for n in range(length)], PICTURE)
        else:
            count = frames[number] if frames else round(length * video_hz / hz)
            movie(root / f"videos/chunk-000/{FRONT}/episode_{number:06d}.mp4", count, video_hz)
        table(root / f"data/chunk-000/episode_{number:06d}.parquet", part)
    (root / "meta").mkdir(exist_ok=True)
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = [{"task_index": n, "task": "put it there" if n == 0 else "take it away"} for n in range(2)]
    (root / "meta/tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in words))
    write_info(
        root, codebase_version=version, robot_type="aloha", fps=hz, total_episodes=len(lengths),
        total_frames=int(sum(lengths)), chunks_size=1000, features=features((FRONT,), stored),
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )  # fmt: skip
    return root


def edited(ours: Path, root: Path, keep: Sequence[int] | None = None, *, old_key: bool = False) -> Path:
    """One of ours as LeRobot's tools leave it: tables without our columns and notes, videos encoded again."""
    from vgps_models.data import EpisodeStore

    store, info = EpisodeStore(ours), json.loads((ours / "meta/info.json").read_text())
    keep = list(range(len(store))) if keep is None else keep
    del info["action_spec"]
    parts: list[pa.Table] = []
    listed: list[dict[str, Any]] = []
    films_of: dict[str, list[np.ndarray]] = {camera: [] for camera in store.cameras}
    sentences: dict[str, int] = {}
    start = 0
    for number, episode in enumerate(keep):
        stored = store.stored(episode)
        length, instruction = stored.record.length, stored.record.instruction
        index = sentences.setdefault(instruction, len(sentences))
        part = stored.frames
        for name, values in {
            "timestamp": pa.array(np.arange(length) / info["fps"], pa.float32()),
            "frame_index": pa.array(np.arange(length)), "episode_index": pa.array(np.full(length, number)),
            "index": pa.array(start + np.arange(length)), "task_index": pa.array(np.full(length, index)),
        }.items():  # fmt: skip
            part = part.append_column(name, values)
        # LeRobot's merge stores vectors as lists of any length.
        for at, field in enumerate(part.schema):
            if pa.types.is_fixed_size_list(field.type):
                part = part.set_column(at, field.name, pa.array(part[field.name].to_pylist(), pa.list_(pa.float32())))
        if old_key:
            swapped = [name.replace("privileged.", "observation.") for name in part.column_names]
            part = part.rename_columns(swapped)
        parts.append(part)
        row: dict[str, Any] = {
            "episode_index": number, "tasks": [instruction], "length": length, "data/chunk_index": 0,
            "data/file_index": 0, "dataset_from_index": start, "dataset_to_index": start + length,
        }  # fmt: skip
        for camera, images in store.images(episode).items():
            films_of[camera].extend(images)
            key = f"videos/observation.images.{camera}"
            row |= {f"{key}/chunk_index": 0, f"{key}/file_index": 0}
            row |= {f"{key}/from_timestamp": start / info["fps"], f"{key}/to_timestamp": (start + length) / info["fps"]}
        listed.append(row)
        start += length
    (root / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.concat_tables(parts), root / "data/chunk-000/file-000.parquet")
    table(root / "meta/episodes/chunk-000/file-000.parquet", {name: [r[name] for r in listed] for name in listed[0]})
    table(root / "meta/tasks.parquet", {"task_index": list(sentences.values()), "__index_level_0__": list(sentences)})
    for camera, images in films_of.items():
        again(root / f"videos/observation.images.{camera}/chunk-000/file-000.mp4", images, info["fps"])
    if old_key:
        info["features"] = {k.replace("privileged.", "observation."): v for k, v in info["features"].items()}
    write_info(root, **info | {"total_episodes": len(keep), "total_frames": start})
    return root


def again(path: Path, images: Sequence[np.ndarray], hz: float) -> None:
    """AV1 with few key frames where it can be encoded, as LeRobot does, else H.264 with B-frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libsvtav1" if "libsvtav1" in films.av.codecs_available else "libx264"
    films.pictures(path, images, hz, codec=codec)


def append(ours: Path, root: Path) -> Path:
    """One of ours to which LeRobot has recorded an episode: new files beside the old ones."""
    shutil.copytree(ours, root)
    one = edited(ours, root.parent / f"{root.name}-one", keep=[0])
    info = json.loads((root / "meta/info.json").read_text())
    count, frames = info["total_episodes"], info["total_frames"]
    for path in sorted(one.rglob("*file-000.*")):
        part = path.relative_to(one).as_posix().replace("file-000", "file-001")
        if path.suffix == ".mp4":
            shutil.copy(path, root / part)
            continue
        made = pq.read_table(path)
        for name, add in (("episode_index", count), ("index", frames), ("dataset_from_index", frames)):
            if name in made.column_names:
                values = pa.array(np.asarray(made[name].to_numpy()) + add)
                made = made.set_column(made.column_names.index(name), name, values)
        for name in made.column_names:
            if name.endswith("/file_index"):
                made = made.set_column(made.column_names.index(name), name, pa.array([1] * made.num_rows))
        pq.write_table(made, root / part)
    length = pq.read_table(one / "meta/episodes/chunk-000/file-000.parquet")["length"][0].as_py()
    shutil.rmtree(one)
    write_info(root, total_episodes=count + 1, total_frames=frames + length)
    return root


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def rlds(root: Path) -> Path:
    """An RLDS data set of one episode, as TFDS stores it."""
    from vgps_models.video.rlds.example import build
    from vgps_models.video.rlds.tfrecord import frame

    pictures = [png(level(n))["bytes"] for n in range(4)]
    folder = root / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    steps = build({"steps/observation/image": pictures, "steps/language_instruction": ["put it there"] * 4})
    (folder / f"{root.name}-train.tfrecord-00000-of-00001").write_bytes(frame(steps))
    return root


def plain(root: Path) -> Path:
    """A folder of videos."""
    for name in ("a", "b"):
        movie(root / f"{name}.mp4", 12, 30)
    (root / "task.txt").write_text("put it there")
    return root


Maker = Callable[[Path], Path]
