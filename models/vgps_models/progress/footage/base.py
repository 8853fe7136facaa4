"""One interface over every kind of recording whose progress can be estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgps_models.bags.paths import is_bag
from vgps_models.data.layout import INFO
from vgps_models.data.lerobot_info import camera_map, find_camera
from vgps_models.errors import DataError
from vgps_models.progress.estimate import Clip


@dataclass(frozen=True, eq=False)
class Scene:
    """One attempt. seconds: when each moment of the clip was, from the beginning on, (T,). success: None if unknown."""

    name: str
    clip: Clip
    seconds: NDArray[np.float64]
    success: bool | None = None


class Footage(Protocol):
    """A number of attempts. problems: what of it cannot be used, and why."""

    @property
    def problems(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        """`frames` moments evenly spread over an attempt, first and last among them; 0 for all.

        cameras: all of them when none is named. `scene_of` also takes them under other names.
        """
        ...


def scene_of(footage: Footage, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
    """`footage.scene` with cameras as NAME or NAME=CAMERA, see `camera_map`: the clip has them under these names."""
    chosen = camera_map(cameras)
    scene = footage.scene(index, frames, tuple(dict.fromkeys(chosen.values())))
    if not chosen:
        return scene
    views = {name: scene.clip.views[find_camera(camera, scene.clip.views)] for name, camera in chosen.items()}
    return replace(scene, clip=Clip(views, scene.clip.task))


def open_footage(path: Path, task: str = "") -> Footage:
    """What lies at `path`: a LeRobot data set, bags of ROS, a video file, or a folder of them.

    task: what was to be done; as each recording says when it is empty. Raises DataError that says what can be read.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if (path / INFO).exists():
        from vgps_models.progress.footage.lerobot import DataSet

        return DataSet(path, task)
    if is_bag(path):
        from vgps_models.progress.footage.bags import Bags

        return Bags(path, task)
    from vgps_models.progress.footage.files import VideoFiles

    return VideoFiles(path, task)
