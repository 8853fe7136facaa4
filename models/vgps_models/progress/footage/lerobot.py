"""LeRobot data sets: our own, and those of anybody else in layout v3 (Parquet tables, many episodes a video file)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from vgps_models.data import EpisodeStore
from vgps_models.data.foreign_lerobot import ForeignDataSet, read_info
from vgps_models.data.foreign_video import ForeignVideo
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.clips import of_episode
from vgps_models.progress.estimate import Clip, spaced
from vgps_models.progress.footage.base import Footage, Scene


def open_data_set(root: Path, task: str = "") -> Footage:
    """Ours, verified episode by episode; or another's, taken as it is. task: instead of the recorded one."""
    info = read_info(root)
    return OwnDataSet(root, task) if "action_spec" in info else OtherDataSet(ForeignDataSet(root, info), task)


class OwnDataSet:
    def __init__(self, root: Path, task: str = "") -> None:
        self.store, self._task = EpisodeStore(root), task
        self.problems = [str(problem) for problem in self.store.problems]

    def __len__(self) -> int:
        return len(self.store)

    def cameras(self, index: int) -> Sequence[str]:
        return list(self.store.cameras)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        record = self.store.records[index]
        clip = of_episode(self.store, index, frames, cameras)
        steps = spaced(record.length, frames or record.length)
        return Scene(record.name, Clip(clip.views, self._task or clip.task), steps / record.fps, record.success)


class OtherDataSet:
    """Success is known where the data set says it."""

    def __init__(self, data: ForeignDataSet, task: str = "") -> None:
        self._data, self._task = data, task
        self.problems: list[str] = []

    def __len__(self) -> int:
        return len(self._data)

    def cameras(self, index: int) -> Sequence[str]:
        return list(self._data.cameras)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        data, name = self._data, self._data.name(index)
        for camera in cameras:
            if camera not in data.cameras:
                raise UnknownNameError("camera", camera, data.cameras)
        places = {camera: data.place(index, camera) for camera in cameras or data.cameras}
        length = next(iter(places.values())).length
        steps, images = spaced(length, frames or length), {}
        for camera, place in places.items():
            with closing(ForeignVideo(place.path)) as video:
                # Frames stand a constant time apart; half a frame later than a border is safely past it.
                first = int(np.searchsorted(video.times, place.begin - 0.5 / data.fps))
                if first + length > len(video):
                    raise DataError(f"{name}: {place.path} ends before the episode does")
                images[camera] = video.frames(first + steps)
        return Scene(name, Clip(images, self._task or data.task(index)), steps / data.fps, data.success(index))
