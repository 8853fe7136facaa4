"""Reading what a data-set folder holds, good and bad, without ever failing on a damaged part."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.data import layout
from vgps_models.data.episodes import FLAGS, IMAGE_PREFIX, VECTOR_NAMES, Key
from vgps_models.data.records import Clip, ClipRecord, Problem, Record, Stored, Videos
from vgps_models.data.staging import FOLDER, read_staged
from vgps_models.errors import DataError

TABLES = "meta/episodes"
# Columns of the episode table that are fields of a Record under the same name.
PLAIN = ("task_id", "seed", "success", "flaw", "quality", "layout_hash", "length", "images_hash", "frames_hash")


@dataclass
class Contents:
    """Readable episodes in their order, and what is wrong with the others."""

    episodes: list[Stored] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error})") from error


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise DataError(f"{path.name} is missing") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path.name} is damaged ({error})") from error


def read_merged(root: Path, open_video: Videos, *, videos: bool = True) -> Contents:
    """The episodes of the data set's files; with `videos` their packets are verified too.

    Raises DataError only when info or the whole episode table are unusable.
    """
    info = read_json(root / layout.INFO)
    if info.get("codebase_version") != layout.VERSION or "action_spec" not in info:
        raise DataError(
            f"{root / layout.INFO} is of version {info.get('codebase_version')}"
            f"{'' if 'action_spec' in info else ' without an action_spec'}; "
            f"expected a {layout.VERSION} data set recorded by this project"
        )
    contents = Contents()
    rows: list[dict[str, Any]] = []
    for path in _tables(root):
        try:
            rows += read_parquet(path).to_pylist()
        except DataError as error:
            contents.problems.append(Problem(str(path.relative_to(root)), str(error)))
    if not rows:
        raise DataError(
            f"{root} has no readable episode table in {TABLES}, so its frames cannot be told apart; "
            "restore that file from a copy or collect again"
        )
    missing = int(info.get("total_episodes", len(rows))) - len(rows)
    if missing > 0:
        contents.problems.append(Problem(TABLES, f"{missing} episodes of meta/info.json are not in the episode table"))
    tables = _Cache(lambda path: read_parquet(root / path))
    for row in rows:
        name = f"episode {row.get('episode_index', '?')}"
        try:
            record = _record(row, info["action_spec"])
            name = record.name
            stored = Stored(record, _frames(row, info, tables), _clips(root, row, info, record))
            stored.verify(open_video, videos=videos)
        except (DataError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
            reason = f"its row lacks {error}" if isinstance(error, KeyError) else str(error)
            contents.problems.append(Problem(name, reason))
        else:
            contents.episodes.append(stored)
    return contents


def read_waiting(root: Path, *, verify: bool = True) -> Contents:
    """The staged episodes that are not merged yet, in order."""
    contents = Contents()
    for path in sorted((root / FOLDER).glob("*.zip")):
        try:
            contents.episodes.append(read_staged(path, verify=verify))
        except DataError as error:
            contents.problems.append(Problem(path.stem, str(error)))
    contents.episodes.sort(key=lambda stored: stored.record.order)
    return contents


def merged_keys(root: Path) -> set[Key]:
    """(task id, seed) of the data set's episodes as its table names them, without verifying any."""
    keys: set[Key] = set()
    for path in _tables(root):
        table = read_parquet(path, ["task_id", "seed"])
        keys |= set(zip(table["task_id"].to_pylist(), table["seed"].to_pylist(), strict=True))
    return keys


def _tables(root: Path) -> list[Path]:
    return sorted((root / TABLES).glob("*/*.parquet"))


def keys_of(contents: Contents) -> set[Key]:
    return {stored.record.key for stored in contents.episodes}


class _Cache:
    """Remembers results and DataErrors of reading a file, so that a damaged one is tried once."""

    def __init__(self, read: Callable[[str], pa.Table]) -> None:
        self._read = read
        self._known: dict[str, pa.Table | DataError] = {}

    def __call__(self, path: str) -> pa.Table:
        if path not in self._known:
            try:
                self._known[path] = self._read(path)
            except DataError as error:
                self._known[path] = error
        known = self._known[path]
        if isinstance(known, DataError):
            raise DataError(str(known))
        return known


def _numbers(row: dict[str, Any], prefix: str) -> dict[str, int]:
    return {name: row[f"{prefix}/{name}"] for name in ("chunk_index", "file_index")}


def _frames(row: dict[str, Any], info: dict[str, Any], tables: _Cache) -> pa.Table:
    path = info["data_path"].format(**_numbers(row, "data"))
    table = tables(path)
    start = row["dataset_from_index"] - table.column("index")[0].as_py()
    frames = table.slice(max(start, 0), row["length"])
    if start < 0 or frames.num_rows != row["length"]:
        raise DataError(f"its frames are not in {path}")
    indices = frames.column("episode_index").unique().to_pylist()
    if indices != [row["episode_index"]]:
        raise DataError(f"{path} holds frames of episode {indices} in its place")
    return frames.select([key for key in (*VECTOR_NAMES, *FLAGS) if key in frames.column_names])


def _clips(root: Path, row: dict[str, Any], info: dict[str, Any], record: Record) -> dict[str, Clip]:
    clips: dict[str, Clip] = {}
    for camera in record.clips:
        key = IMAGE_PREFIX + camera
        path = root / info["video_path"].format(video_key=key, **_numbers(row, f"videos/{key}"))
        first = round(row[f"videos/{key}/from_timestamp"] * record.fps)
        clips[camera] = Clip(path, first, record.length)
    return clips


def _record(row: dict[str, Any], spec: dict[str, Any]) -> Record:
    prefix, suffix = f"videos/{IMAGE_PREFIX}", "/sha256"
    cameras = [name[len(prefix) : -len(suffix)] for name in row if name.startswith(prefix) and name.endswith(suffix)]
    clips: dict[str, ClipRecord] = {}
    for camera in cameras:
        statistics = f"stats/{IMAGE_PREFIX}{camera}/"
        stats = {name[len(statistics) :]: value for name, value in row.items() if name.startswith(statistics)}
        height, width = row[f"{prefix}{camera}/height"], row[f"{prefix}{camera}/width"]
        clips[camera] = ClipRecord(height, width, row[f"{prefix}{camera}{suffix}"], stats)
    return Record(
        instruction=row["tasks"][0],
        events=dict(zip(row["events"], row["event_steps"], strict=True)),
        spec=spec,
        clips=clips,
        **{name: row[name] for name in PLAIN},
    )
