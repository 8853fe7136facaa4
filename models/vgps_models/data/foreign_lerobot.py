"""LeRobot v3 data sets that somebody else recorded, taken as they are: Parquet tables, many episodes a video file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vgps_models.data.contents import read_parquet
from vgps_models.data.layout import EPISODES_PATH, INFO
from vgps_models.errors import DataError


def read_info(root: Path) -> dict[str, Any]:
    """meta/info.json; with "action_spec" in it the data set is one of ours."""
    try:
        info = json.loads((root / INFO).read_text())
        if not isinstance(info, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise DataError(f"{root / INFO} cannot be read ({error})") from None
    return info


@dataclass(frozen=True)
class Place:
    """Where a camera's video of an episode is. begin: time in the file [s]. length: frames."""

    path: Path
    begin: float
    length: int


class ForeignDataSet:
    """cameras: by short name. fps: frames a second, constant. Every error is a DataError naming the data set."""

    def __init__(self, root: Path, info: dict[str, Any]) -> None:
        self.root = root
        try:
            if not str(info["codebase_version"]).startswith("v3"):
                raise DataError(f"{root} is of LeRobot {info['codebase_version']}; convert it to v3.0 with LeRobot")
            self._path = str(info["video_path"])
            keys = [key for key, feature in info["features"].items() if feature.get("dtype") == "video"]
            self.fps = float(info["fps"])
            self.robot = str(info.get("robot_type") or "")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{root / INFO} is not that of a LeRobot data set ({error!r})") from None
        if not keys:
            raise DataError(f"{root} has no videos")
        self._keys = {key.removeprefix("observation.images."): key for key in keys}
        tables = sorted(root.glob(EPISODES_PATH.split("/chunk-")[0] + "/*/*.parquet"))
        try:
            wanted = [read_parquet(path) for path in tables]
            self._rows = pa.concat_tables(wanted, promote_options="default").to_pylist() if wanted else []
        except (pa.ArrowException, DataError) as error:
            raise DataError(f"{root}: its episode table cannot be read ({error})") from None
        if not self._rows:
            raise DataError(f"{root} lists no episodes")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def name(self, index: int) -> str:
        return f"episode {self._rows[index].get('episode_index', index)}"

    def task(self, index: int) -> str:
        """What was to be done, in words; empty when the data set does not say."""
        told = self._rows[index].get("tasks") or [""]
        return str(told[0]) if isinstance(told, list) else str(told)

    def success(self, index: int) -> bool | None:
        """As `next.success` or `success` of the episode table says it."""
        told = self._rows[index].get("next.success", self._rows[index].get("success"))
        return None if told is None else bool(np.asarray(told).any())

    def place(self, index: int, camera: str) -> Place:
        row, key = self._rows[index], f"videos/{self._keys[camera]}"
        try:
            numbers = {"chunk_index": row[f"{key}/chunk_index"], "file_index": row[f"{key}/file_index"]}
            path = self.root / self._path.format(video_key=self._keys[camera], **numbers)
            place = Place(path, float(row[f"{key}/from_timestamp"]), int(row["length"]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"{self.name(index)} of {self.root} is not as a LeRobot data set says it ({error!r})"
            ) from None
        if self.root.resolve() not in path.resolve().parents:
            raise DataError(f"{self.name(index)}: {path} lies outside of the data set")
        return place
