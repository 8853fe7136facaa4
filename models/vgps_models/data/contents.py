"""Reading what a data-set folder holds, good and bad, without ever failing on a damaged part."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.data import layout
from vgps_models.data.episodes import IMAGE_PREFIX, Key
from vgps_models.data.records import Clip, ClipRecord, Problem, Record, Stored, Videos, content_columns
from vgps_models.data.staging import FOLDER, read_staged
from vgps_models.errors import DataError
from vgps_models.spaces import ActionSpec

TABLES = "meta/episodes"
# Columns of the episode table that are fields of a Record under the same name.
PLAIN = ("task_id", "seed", "success", "flaw", "quality", "layout_hash", "length", "images_hash", "frames_hash")


@dataclass
class Contents:
    """Readable episodes in their order, and what is wrong with the others."""

    episodes: list[Stored] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise DataError(f"{path.name} is missing") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path.name} is damaged ({error})") from error


def read_merged(root: Path, open_video: Videos, *, videos: bool = True) -> Contents:
    """The episodes of the data set's files; with `videos` their packets are verified too.

    Raises DataError only when no episode table is readable.
    """
    contents = Contents()
    rows: list[dict[str, Any]] = []
    spec: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for path in _tables(root):
        try:
            table = read_parquet(path)
            own = _own(table)
        except DataError as error:
            contents.problems.append(Problem(str(path.relative_to(root)), str(error)))
            continue
        rows += table.to_pylist()
        spec = own["action_spec"]
        headers |= own.get("videos", {})
        if missing := own["episodes"] - table.num_rows:
            contents.problems.append(Problem(str(path.relative_to(root)), f"lacks the rows of {missing} episodes"))
    if not rows:
        reasons = "".join(f"; {problem}" for problem in contents.problems)
        raise DataError(
            f"{root} has no readable episode table, so its frames cannot be told apart{reasons}; "
            f"restore {layout.EPISODES_PATH.format(**layout.numbered(0))} from a copy or collect again"
        )
    tables = _Cache(lambda path: read_parquet(root / path))
    for row in rows:
        name = f"episode {row.get('episode_index', '?')}"
        try:
            record = _record(row, spec)
            name = record.name
            stored = Stored(record, _frames(row, record, tables), _clips(root, row, record, headers))
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


def meta_problems(root: Path) -> list[Problem]:
    """Which of info, statistics and tasks are not as they were written; they can be made anew from the rest."""
    problems: list[Problem] = []
    for table in _tables(root):
        try:
            known = _own(read_parquet(table, []))["files"]
        except DataError:
            continue
        for path, expected in known.items():
            if not (root / path).exists():
                problems.append(Problem(path, "is missing; `vgps data repair` makes it anew"))
            elif layout.file_hash(root / path) != expected:
                problems.append(Problem(path, "was changed or damaged; `vgps data repair` makes it anew"))
    return problems


def glance(root: Path) -> tuple[set[Key], ActionSpec | None]:
    """(task id, seed) of the data set's episodes and their action spec, without verifying anything."""
    keys: set[Key] = set()
    spec: ActionSpec | None = None
    for path in _tables(root):
        table = read_parquet(path, ["task_id", "seed"])
        keys |= set(zip(table["task_id"].to_pylist(), table["seed"].to_pylist(), strict=True))
        spec = ActionSpec.from_json(_own(table)["action_spec"])
    return keys, spec


def _own(table: pa.Table) -> dict[str, Any]:
    """What this project keeps in an episode table's schema: action_spec, episodes, videos and files -> sha256."""
    try:
        return json.loads((table.schema.metadata or {})[layout.OWN.encode()])
    except (KeyError, ValueError) as error:
        raise DataError("it was not recorded by this project; only its own data sets can be read") from error


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


def _frames(row: dict[str, Any], record: Record, tables: _Cache) -> pa.Table:
    path = layout.DATA_PATH.format(**_numbers(row, "data"))
    table = tables(path)
    start = row["dataset_from_index"] - table.column("index")[0].as_py()
    frames = table.slice(max(start, 0), row["length"])
    if start < 0 or frames.num_rows != row["length"]:
        raise DataError(f"its frames are not in {path}")
    for name, expected in layout.index_columns(row, record.fps).items():
        if not np.array_equal(frames.column(name).to_numpy(), expected):
            raise DataError(f"'{name}' in {path} does not agree with the episode table")
    return content_columns(frames)


def _clips(root: Path, row: dict[str, Any], record: Record, headers: dict[str, str]) -> dict[str, Clip]:
    clips: dict[str, Clip] = {}
    for camera in record.clips:
        key = IMAGE_PREFIX + camera
        path = layout.VIDEO_PATH.format(video_key=key, **_numbers(row, f"videos/{key}"))
        first = round(row[f"videos/{key}/from_timestamp"] * record.fps)
        clips[camera] = Clip(root / path, first, record.length, headers.get(path, ""))
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
    record = Record(
        instruction=row["tasks"][0],
        events=dict(zip(row["events"], row["event_steps"], strict=True)),
        spec=spec,
        clips=clips,
        **{name: row[name] for name in PLAIN},
    )
    if record.digest() != row["record_hash"]:
        raise DataError(f"{record.name}: its row in the episode table is damaged")
    return record
