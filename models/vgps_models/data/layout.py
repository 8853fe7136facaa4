"""The files of a LeRobot v3.0 data set: where they are, and writing them from stored episodes.

meta/info.json  meta/stats.json  meta/tasks.parquet
meta/episodes/chunk-000/file-000.parquet   one row an episode
data/chunk-000/file-000.parquet            one row a frame
videos/<key>/chunk-000/file-000.mp4        many episodes a file
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vgps_models.data.episodes import FLAGS, IMAGE_PREFIX, VECTOR_NAMES
from vgps_models.data.records import Record, Stored, Videos, flag, vector, widths
from vgps_models.data.stats import Stats, pool, vector_stats
from vgps_models.data.video import VideoCopier, VideoReader

VERSION = "v3.0"
PARTS = ("data", "videos", "meta")  # folders of the data set
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{FILE}.parquet"
DATA_PATH = f"data/{FILE}.parquet"
VIDEO_PATH = "videos/{video_key}/" + FILE + ".mp4"
CHUNK_FILES = 1000  # files a chunk folder
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
MB = 2**20
OWN = "vgps"  # key of what this project adds to the episode table's schema

INDEX_TYPES = {
    "timestamp": pa.float32(),
    "frame_index": pa.int64(),
    "episode_index": pa.int64(),
    "index": pa.int64(),
    "task_index": pa.int64(),
}
FIXED_COLUMNS = {
    "tasks": pa.list_(pa.string()),
    "events": pa.list_(pa.string()),
    "event_steps": pa.list_(pa.int64()),
}


def numbered(index: int) -> dict[str, int]:
    """Chunk and file number of the index-th file of a kind."""
    return {"chunk_index": index // CHUNK_FILES, "file_index": index % CHUNK_FILES}


class LayoutWriter:
    """Writes a whole data set into an empty folder, one episode after the other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rows: list[dict[str, Any]] = []
        self._records: list[Record] = []
        self._tables: list[pa.Table] = []  # of the data file being filled
        self._table_bytes = 0
        self._columns: dict[str, list[Any]] = {}  # of all frames, for the statistics
        self._tasks: dict[str, int] = {}
        self._videos: dict[str, VideoCopier] = {}
        self._counts = {"data": 0}  # files begun, by kind
        self._frames = 0
        self._widths: dict[str, int] = {}

    def add(self, stored: Stored, open_video: Videos) -> None:
        """Append an episode. Its packets are copied as they are; they must have been verified."""
        record, index = stored.record, len(self._rows)
        self._widths = self._widths or widths(stored.frames)
        task = self._tasks.setdefault(record.instruction, len(self._tasks))
        row = _metadata_row(record, index, self._frames, task)
        table = stored.frames.select([*self._widths, *FLAGS])
        for name, values in index_columns(row, record.fps).items():
            table = table.append_column(name, pa.array(values, INDEX_TYPES[name]))
        if self._table_bytes > DATA_FILE_MB * MB:
            self._flush_data()
        self._tables.append(table)
        self._table_bytes += table.nbytes
        row |= _prefixed("data", numbered(self._counts["data"]))
        for camera, clip in stored.clips.items():
            key = IMAGE_PREFIX + camera
            source = open_video(clip.file, f"{record.name} {camera}")
            copier = self._copier(key, source)
            row |= _prefixed(f"videos/{key}", numbered(self._counts[key] - 1))
            row[f"videos/{key}/from_timestamp"] = copier.frames / record.fps
            row[f"videos/{key}/to_timestamp"] = (copier.frames + record.length) / record.fps
            described = record.clips[camera]
            row |= {f"videos/{key}/{n}": getattr(described, n) for n in ("height", "width", "sha256")}
            copier.append(list(source.packets(clip.first, clip.count)))
        for key, values in {**{k: vector(table, k) for k in self._widths}, **_scalars(table)}.items():
            self._columns.setdefault(key, []).append(values)
            row |= {f"stats/{key}/{name}": value for name, value in vector_stats(values).items()}
        for camera, clip_record in record.clips.items():
            row |= {f"stats/{IMAGE_PREFIX}{camera}/{name}": value for name, value in clip_record.stats.items()}
        self._frames += record.length
        self._rows.append(row | _prefixed("meta/episodes", numbered(0)))
        self._records.append(record)

    def close(self) -> None:
        """Write what is still open, and the meta files."""
        self._flush_data()
        for copier in self._videos.values():
            copier.close()
        _write_tasks(self._tasks, self._file(TASKS))
        stats: dict[str, Stats] = {key: vector_stats(np.concatenate(v)) for key, v in self._columns.items()}
        for camera in self._records[0].clips:
            stats[IMAGE_PREFIX + camera] = pool([record.clips[camera].stats for record in self._records])
        self._file(STATS).write_text(json.dumps(stats, indent=1), encoding="utf-8")
        self._file(INFO).write_text(json.dumps(self._info(), indent=1), encoding="utf-8")
        columns = {name: [row[name] for row in self._rows] for name in self._rows[0]}
        table = pa.table({n: pa.array(v, FIXED_COLUMNS.get(n)) for n, v in columns.items()})
        made_by = {
            "action_spec": self._records[0].spec,
            "episodes": len(self._rows),
            "videos": self._headers(),
            "files": {path: file_hash(self._root / path) for path in (INFO, STATS, TASKS)},
        }
        table = table.replace_schema_metadata({OWN: json.dumps(made_by)})
        pq.write_table(table, self._file(EPISODES_PATH.format(**numbered(0))))

    def _copier(self, key: str, source: VideoReader) -> VideoCopier:
        """The file to append to: a new one when it is full or was encoded with other settings."""
        copier = self._videos.get(key)
        if copier and (copier.size > VIDEO_FILE_MB * MB or copier.extradata != source.extradata):
            copier.close()
            copier = None
        if copier is None:
            count = self._counts.get(key, 0)
            path = self._file(VIDEO_PATH.format(video_key=key, **numbered(count)))
            copier = self._videos[key] = VideoCopier(path, source)
            self._counts[key] = count + 1
        return copier

    def _headers(self) -> dict[str, str]:
        """Video file -> hash of its header; the packets' hashes are in the rows."""
        headers: dict[str, str] = {}
        for path in sorted((self._root / "videos").rglob("*.mp4")):
            with closing(VideoReader(path)) as video:
                headers[path.relative_to(self._root).as_posix()] = video.header()
        return headers

    def _flush_data(self) -> None:
        if self._tables:
            path = self._file(DATA_PATH.format(**numbered(self._counts["data"])))
            pq.write_table(pa.concat_tables(self._tables), path)
            self._counts["data"] += 1
            self._tables, self._table_bytes = [], 0

    def _file(self, path: str) -> Path:
        full = self._root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        return full

    def _info(self) -> dict[str, Any]:
        first = self._records[0]
        features: dict[str, Any] = {}
        for camera, clip in first.clips.items():
            features[IMAGE_PREFIX + camera] = {
                "dtype": "video",
                "shape": [clip.height, clip.width, 3],
                "names": ["height", "width", "channels"],
                "info": _video_info(self._root / VIDEO_PATH.format(video_key=IMAGE_PREFIX + camera, **numbered(0))),
            }
        for key, width in self._widths.items():
            names = VECTOR_NAMES[key]
            features[key] = {"dtype": "float32", "shape": [width], "names": list(names) if names else None}
        for key in FLAGS:
            features[key] = {"dtype": "bool", "shape": [1], "names": None}
        for key, kind in INDEX_TYPES.items():
            features[key] = {"dtype": "float32" if kind == pa.float32() else "int64", "shape": [1], "names": None}
        return {
            "codebase_version": VERSION,
            "robot_type": first.spec["arm"],
            "total_episodes": len(self._rows),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": first.fps,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH,
            "features": features,
            "action_spec": first.spec,
        }


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def index_columns(row: dict[str, Any], fps: int) -> dict[str, NDArray[Any]]:
    """The columns that place an episode's frames in the data set. Each of shape (T,)."""
    steps = np.arange(row["length"])
    return {
        "timestamp": (steps / fps).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(len(steps), row["episode_index"]),
        "index": steps + row["dataset_from_index"],
        "task_index": np.full(len(steps), row["task_index"]),
    }


def _metadata_row(record: Record, index: int, first_frame: int, task: int) -> dict[str, Any]:
    return {
        "episode_index": index,
        "tasks": [record.instruction],
        "length": record.length,
        "dataset_from_index": first_frame,
        "dataset_to_index": first_frame + record.length,
        "task_id": record.task_id,
        "seed": record.seed,
        "success": record.success,
        "flaw": record.flaw,
        "events": list(record.events),
        "event_steps": list(record.events.values()),
        "quality": record.quality,
        "layout_hash": record.layout_hash,
        "images_hash": record.images_hash,
        "frames_hash": record.frames_hash,
        "task_index": task,
        "record_hash": record.digest(),
    }


def _prefixed(prefix: str, values: dict[str, int]) -> dict[str, int]:
    return {f"{prefix}/{name}": value for name, value in values.items()}


def _scalars(table: pa.Table) -> dict[str, Any]:
    return {key: flag(table, key) for key in (*FLAGS, *INDEX_TYPES)}


def _video_info(path: Path) -> dict[str, Any]:
    with closing(VideoReader(path)) as video:
        stream = video.stream
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec_context.name,
            "video.pix_fmt": stream.codec_context.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": video.fps,
            "video.channels": 3,
            "has_audio": False,
        }


def _write_tasks(tasks: dict[str, int], path: Path) -> None:
    """Sentence -> task index, as the indexed pandas frame LeRobot expects, without needing pandas."""
    index = "__index_level_0__"
    described = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": dtype, "metadata": None}
            for name, field, kind, dtype in (
                ("task_index", "task_index", "int64", "int64"),
                (None, index, "unicode", "object"),
            )
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(tasks.values(), pa.int64()), index: pa.array(tasks, pa.string())})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(described)}), path)
