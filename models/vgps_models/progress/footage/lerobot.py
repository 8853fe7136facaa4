"""LeRobot data sets: our own, and those of other writers (v3 and v2, video or pictures in tables)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vgps_models.data import EpisodeStore
from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.layout import INFO
from vgps_models.data.lerobot_info import read_info
from vgps_models.data.owner import Owner, owner_of
from vgps_models.progress.clips import Episodes, of_episode
from vgps_models.progress.estimate import spaced
from vgps_models.progress.footage.base import Scene


def open_episodes(root: Path) -> Episodes:
    """A data set whose episodes have values of their own in files beside it: an `EpisodeStore`, if it can be one."""
    foreign = owner_of(root) is Owner.OTHERS and (root / INFO).exists()
    return ForeignDataSet(root) if foreign else EpisodeStore(root)


class DataSet:
    """A data set as recordings that can be judged. task: instead of the recorded one."""

    def __init__(self, root: Path, task: str = "") -> None:
        info = read_info(root)
        ours = "action_spec" in info and owner_of(root) is Owner.OURS  # those of others may lack a task
        self.episodes: Episodes = EpisodeStore(root) if ours else ForeignDataSet(root, info)
        self._task = task

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def problems(self) -> list[str]:
        """What cannot be used, or was used although it does not quite fit."""
        episodes = self.episodes
        notes = list(episodes.notes) if isinstance(episodes, ForeignDataSet | EpisodeStore) else []
        return [*map(str, getattr(episodes, "problems", ())), *notes]

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        episodes = self.episodes
        clip = of_episode(episodes, index, frames, cameras, task=self._task)
        length = int(episodes.lengths[index])
        seconds = episodes.seconds(index)[spaced(length, frames or length)]
        return Scene(episodes.name(index), clip, seconds - seconds[0], episodes.success(index))
