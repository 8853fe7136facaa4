"""LeRobot data sets: our own, and those of anybody else in layout v3 (Parquet tables, many episodes a video file)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vgps_models.data import EpisodeStore
from vgps_models.data.contents import read_parquet
from vgps_models.data.foreign_video import ForeignVideo
from vgps_models.data.layout import EPISODES_PATH, INFO
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.clips import of_episode
from vgps_models.progress.estimate import Clip, spaced
from vgps_models.progress.footage.base import Footage, Scene


def open_data_set(root: Path, task: str = "") -> Footage:
    """Ours, verified episode by episode; or another's, taken as it is. task: instead of the recorded one."""
    try:
        info = json.loads((root / INFO).read_text())
        ours = "action_spec" in info
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{root / INFO} cannot be read ({error})") from None
    return OwnDataSet(root, task) if ours else OtherDataSet(root, info, task)


class OwnDataSet:
    def __init__(self, root: Path, task: str = "") -> None:
        self.store, self._task = EpisodeStore(root), task
        self.problems = [str(problem) for problem in self.store.problems]

    def __len__(self) -> int:
        return len(self.store)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        record = self.store.records[index]
        clip = of_episode(self.store, index, frames, cameras)
        steps = spaced(record.length, frames or record.length)
        return Scene(record.name, Clip(clip.views, self._task or clip.task), steps / record.fps, record.success)


class OtherDataSet:
    """Success is known where the data set says it, as `next.success` or `success` of an episode."""

    def __init__(self, root: Path, info: dict[str, Any], task: str = "") -> None:
        self._root, self._task = root, task
        self.problems: list[str] = []
        try:
            if not str(info["codebase_version"]).startswith("v3"):
                raise DataError(f"{root} is of LeRobot {info['codebase_version']}; convert it to v3.0 with LeRobot")
            self._path = str(info["video_path"])
            keys = [key for key, feature in info["features"].items() if feature.get("dtype") == "video"]
            self._fps = float(info["fps"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{root / INFO} is not that of a LeRobot data set ({error!r})") from None
        if not keys:
            raise DataError(f"{root} has no videos; progress is told from images")
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

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        row = self._rows[index]
        name = f"episode {row.get('episode_index', index)}"
        for camera in cameras:
            if camera not in self._keys:
                raise UnknownNameError("camera", camera, self._keys)
        try:
            length, told = int(row["length"]), row.get("tasks") or [""]
            steps = spaced(length, frames or length)
            images = {}
            for camera in cameras or self._keys:
                key = f"videos/{self._keys[camera]}"
                place = {"chunk_index": row[f"{key}/chunk_index"], "file_index": row[f"{key}/file_index"]}
                path = self._root / self._path.format(video_key=self._keys[camera], **place)
                if self._root.resolve() not in path.resolve().parents:
                    raise DataError(f"{name}: {path} lies outside of the data set")
                with closing(ForeignVideo(path)) as video:
                    # Frames stand a constant time apart; half a frame later than a border is safely past it.
                    first = int(np.searchsorted(video.times, row[f"{key}/from_timestamp"] - 0.5 / self._fps))
                    if first + length > len(video):
                        raise DataError(f"{name}: {path} ends before the episode does")
                    images[camera] = video.frames(first + steps)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{name} of {self._root} is not as a LeRobot data set says it ({error!r})") from None
        success = row.get("next.success", row.get("success"))
        won = None if success is None else bool(np.asarray(success).any())
        return Scene(name, Clip(images, self._task or str(told[0])), steps / self._fps, won)
