"""One interface over every kind of recording whose progress can be estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgps_models.bags.paths import is_bag
from vgps_models.cameras import choose_cameras
from vgps_models.data.layout import INFO
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

    def cameras(self, index: int) -> Sequence[str]:
        """Names of the cameras that saw an attempt."""
        ...

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        """`frames` moments evenly spread over an attempt, first and last among them; 0 for all.

        cameras: all of them when none is named.
        """
        ...


def scene_of(footage: Footage, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
    """The same as `Footage.scene`, with cameras named as people name them, see `choose_cameras`."""
    names = choose_cameras(cameras, footage.cameras(index))
    scene = footage.scene(index, frames, list(dict.fromkeys(names.values())))
    if not names:
        return scene
    return replace(scene, clip=Clip({name: scene.clip.views[there] for name, there in names.items()}, scene.clip.task))


def open_footage(path: Path, task: str = "") -> Footage:
    """What lies at `path`: a LeRobot data set, bags of ROS, a video file, or a folder of them.

    task: what was to be done, for recordings that do not say. Raises DataError that says what would be understood.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if (path / INFO).exists():
        from vgps_models.progress.footage.lerobot import open_data_set

        return open_data_set(path, task)
    if is_bag(path):
        from vgps_models.progress.footage.bags import Bags

        return Bags(path, task)
    from vgps_models.progress.footage.files import VideoFiles

    return VideoFiles(path, task)
