"""Which episodes a LeRobot data set of another writer lists, and the rows of each: layouts v3 and v2.

| | v3 | v2.0, v2.1 |
|---|---|---|
| episodes | meta/episodes/chunk-*/file-*.parquet | meta/episodes.jsonl |
| tasks | meta/tasks.parquet | meta/tasks.jsonl |
| rows | many episodes a Parquet file | a Parquet file an episode |
| video | many episodes a file | a file an episode |
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.data.contents import read_parquet
from vgps_models.data.layout import EPISODES_PATH, INFO, TASKS
from vgps_models.data.lerobot_info import words
from vgps_models.errors import DataError

EPISODES_V2, TASKS_V2 = "meta/episodes.jsonl", "meta/tasks.jsonl"
LIGHT = ("timestamp", "episode_index", "frame_index", "task_index", "next.success", "next.done")
CHUNK_EPISODES = 1000  # of layout v2, where info.json does not say

Row = dict[str, Any]


class Tables:
    """rows: one an episode, as the data set lists them. tasks: task index -> words, without those that are missing."""

    def __init__(self, root: Path, info: dict[str, Any]) -> None:
        self.root = root
        version = str(info.get("codebase_version", ""))
        if not version.startswith(("v2.", "v3.")):
            raise DataError(
                f"{root} is of LeRobot {version or 'of no version'}; versions v2.0, v2.1 and v3.0 can be read: "
                "convert it with LeRobot's own scripts"
            )
        self.version, self.v2 = version, version.startswith("v2.")
        try:
            self._data_path = str(info["data_path"])
            self._video_path = str(info.get("video_path") or "")
            size: Any = info.get("chunks_size", CHUNK_EPISODES)
            if not _whole(size) or size < 1:
                raise ValueError(f"chunks_size is {size!r}")
            self._chunk_episodes = int(size)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{root / INFO} is not that of a LeRobot data set ({error!r})") from None
        if self.v2 and not (root / EPISODES_V2).is_file():
            raise DataError(f"{root} is of LeRobot {version} and lacks {EPISODES_V2}; convert it to v3.0 with LeRobot")
        self.rows = _jsonl(root / EPISODES_V2) if self.v2 else _table_rows(root)
        if not self.rows:
            raise DataError(f"{root} lists no episodes")
        self.tasks = self._tasks()
        self._open: tuple[Path, tuple[str, ...], pa.Table] | None = None

    def number(self, index: int) -> int:
        """`episode_index` of the data set, which is not the place in the list after episodes were deleted."""
        value = self.rows[index].get("episode_index", index)
        if not _whole(value):
            raise DataError(f"{self.root}: episode {index} has the episode_index {value!r}")
        return int(value)

    def length(self, index: int) -> int:
        """Rows of an episode, as the data set lists them."""
        value: Any = self.rows[index].get("length")
        if not _whole(value) or value < 1:
            raise DataError(f"episode {self.number(index)} of {self.root} has a length of {value!r}; expected rows > 0")
        return int(value)

    def video(self, index: int, key: str) -> tuple[Path, float, float | None]:
        """File, and the time in it at which the episode begins and ends [s]; None for the end of the file."""
        if self.v2:
            number = self.number(index)
            numbers = {"episode_chunk": number // self._chunk_episodes, "episode_index": number}
            return self._inside(index, self._video_path, {**numbers, "video_key": key}), 0.0, None
        row, where = self.rows[index], f"videos/{key}"
        numbers = self._numbers(index, where)
        try:
            begin = float(row[f"{where}/from_timestamp"])
            end = row.get(f"{where}/to_timestamp")
            end = None if end is None or end != end else float(end)
            if not 0 <= begin < float("inf") or (end is not None and not begin < end < float("inf")):
                raise ValueError(f"from {begin} s to {end} s")
        except (KeyError, TypeError, ValueError) as error:
            raise self._odd(index, error) from None
        return self._inside(index, self._video_path, {**numbers, "video_key": key}), begin, end

    def data(self, index: int) -> Path:
        """The Parquet file that holds an episode's rows."""
        if self.v2:
            number = self.number(index)
            numbers = {"episode_chunk": number // self._chunk_episodes, "episode_index": number}
        else:
            numbers = self._numbers(index, "data")
        return self._inside(index, self._data_path, numbers)

    def read(self, index: int, columns: Sequence[str] = LIGHT) -> pa.Table:
        """An episode's rows in order; of these columns the ones that are there. DataError names the episode."""
        path, wanted, name = self.data(index), tuple(columns), f"episode {self.number(index)} of {self.root}"
        if self._open is None or self._open[:2] != (path, wanted):
            try:
                there = set(pq.read_schema(path).names)
            except FileNotFoundError:
                raise DataError(f"{name}: {path} is missing") from None
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"{name}: {path} is damaged ({error})") from None
            chosen = [column for column in (*wanted, "episode_index") if column in there]
            self._open = path, wanted, read_parquet(path, list(dict.fromkeys(chosen)))
        table = self._open[2]
        if "episode_index" in table.column_names:
            table = table.filter(pa.array(table["episode_index"].to_numpy() == self.number(index)))
        elif not self.v2:
            raise DataError(f"{name}: {path} has no column 'episode_index'")
        if table.num_rows != self.length(index):
            raise DataError(f"{name}: {path} holds {table.num_rows} rows of it, not {self.length(index)}")
        try:
            return table.sort_by("frame_index") if "frame_index" in table.column_names else table
        except pa.ArrowException as error:
            raise DataError(f"{name}: its column 'frame_index' holds no numbers ({error})") from None

    def _tasks(self) -> dict[int, str]:
        """Words of every task index; a table that is missing or damaged names none."""
        try:
            if self.v2:
                entries = [(row.get("task_index"), row.get("task")) for row in _jsonl(self.root / TASKS_V2)]
            else:
                table = read_parquet(self.root / TASKS)
                name = next(column for column in table.column_names if column != "task_index")
                entries = list(zip(table["task_index"].to_pylist(), table[name].to_pylist(), strict=True))
        except (DataError, KeyError, StopIteration, pa.ArrowException):
            return {}
        return {int(number): text for number, task in entries if isinstance(number, int) and (text := words(task))}

    def _numbers(self, index: int, prefix: str) -> dict[str, int]:
        row = self.rows[index]
        try:
            return {name: int(row[f"{prefix}/{name}"]) for name in ("chunk_index", "file_index")}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._odd(index, error) from None

    def _inside(self, index: int, pattern: str, numbers: dict[str, Any]) -> Path:
        try:
            path = self.root / pattern.format(**numbers)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise self._odd(index, error) from None
        # By name alone: files that are links to elsewhere are how the hub's cache stores a data set.
        if os.path.relpath(path, self.root).split(os.sep)[0] == os.pardir:
            raise DataError(f"episode {self.number(index)}: {path} lies outside of the data set")
        return path

    def _odd(self, index: int, error: Exception) -> DataError:
        number = self.rows[index].get("episode_index", index)
        reason = f"its row in the table of episodes lacks {error}" if isinstance(error, KeyError) else repr(error)
        return DataError(f"episode {number} of {self.root} is not as a LeRobot data set says it ({reason})")


def _whole(value: Any) -> bool:
    """Whether a value of a table is a whole number, however it is stored."""
    return not isinstance(value, bool) and isinstance(value, int | float) and float(value).is_integer()


def _table_rows(root: Path) -> list[Row]:
    """The rows of all episode tables, without statistics, which make a row a hundred times as large."""
    tables: list[pa.Table] = []
    for path in sorted(root.glob(EPISODES_PATH.split("/chunk-")[0] + "/*/*.parquet")):
        try:
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            tables.append(pq.read_table(path, columns=names))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}, a table of episodes, is damaged ({error}); get it anew") from None
    try:
        return pa.concat_tables(tables, promote_options="permissive").to_pylist() if tables else []
    except pa.ArrowException as error:
        raise DataError(f"{root}: its tables of episodes do not fit together ({error})") from None


def _jsonl(path: Path) -> list[Row]:
    """One object a line; DataError names the line that is none."""
    rows: list[Row] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} cannot be read ({error})") from None
        rows.append(row)
    return rows
