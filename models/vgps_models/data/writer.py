"""Recording episodes so that a process killed at any moment loses at most the one being written."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from vgps_models.data.contents import Contents, glance, keys_of, read_merged, read_waiting
from vgps_models.data.episodes import Episode, Key, episode_name
from vgps_models.data.merge import Merged, finish_swap, is_merged, merge
from vgps_models.data.owner import require_ours
from vgps_models.data.records import Problem, open_videos
from vgps_models.data.staging import (
    FOLDER,
    clear_half_written,
    pack,
    read_staged,
    set_aside,
    staged_path,
    write_durably,
)
from vgps_models.data.video import VideoSettings
from vgps_models.errors import DataError
from vgps_models.files import require_outside
from vgps_models.spaces import ActionSpec

DEFAULT_SPEC, DEFAULT_VIDEO = ActionSpec(), VideoSettings()


class AlreadyRecordedError(DataError):
    """An episode of this task and seed is in the data set already."""


class EpisodeWriter:
    """Writes episodes into a data set; any number of writers, in any processes, may share a root.

    writer = EpisodeWriter("data/mixed")
    if (task_id, seed) not in writer:      # resumes where a killed run stopped
        writer.write(episode)              # durable when it returns
    writer.finalise()                      # -> LeRobot v3 files; may be repeated after more episodes

    A killed writer's half-written episode is removed on opening. Finding what is
    recorded verifies every episode bit for bit, so it is done when first asked
    for; a writer that only writes opens at once, however large the data set.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        spec: ActionSpec = DEFAULT_SPEC,
        video: VideoSettings = DEFAULT_VIDEO,
    ) -> None:
        self.root, self._spec, self._video = Path(root), spec, video
        if spec.control_hz != round(spec.control_hz):
            raise DataError(f"a data set needs a whole number of frames a second; control_hz is {spec.control_hz}")
        require_ours(self.root, "recording")
        require_outside(self.root)
        (self.root / FOLDER).mkdir(parents=True, exist_ok=True)
        finish_swap(self.root)
        self._half_written = clear_half_written(self.root)
        self._merged_keys, recorded = glance(self.root)
        if recorded:
            recorded.require_equal(spec, mine=f"data set {self.root}", theirs="the episodes to be recorded")
        self._written: set[Key] = set()

    @cached_property
    def _merged(self) -> Contents:
        if not is_merged(self.root):
            return Contents()
        with open_videos() as videos:
            return read_merged(self.root, videos)

    @cached_property
    def _staged(self) -> Contents:
        staged = read_waiting(self.root)
        for problem in staged.problems:
            set_aside(self.root, problem.name)
        return staged

    @property
    def recorded(self) -> frozenset[Key]:
        """(task id, seed) of all sound episodes found here or written by this writer."""
        return frozenset(keys_of(self._staged) | keys_of(self._merged) | self._written)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Half-written and damaged episodes that were found. They count as missing, so a resumed run records them."""
        return (*self._half_written, *self._staged.problems, *self._merged.problems)

    def __contains__(self, key: Key) -> bool:
        return key in self._written or key in self._sound_keys

    @cached_property
    def _sound_keys(self) -> set[Key]:
        return keys_of(self._staged) | keys_of(self._merged)

    def __len__(self) -> int:
        return len(self.recorded)

    def write(self, episode: Episode) -> Path:
        """Encode and store an episode. When this returns, the episode survives a crash."""
        if self._is_taken(episode.key, staged_path(self.root, episode.name)):
            raise AlreadyRecordedError(
                f"{episode.name} is recorded already in {self.root}; choose another seed or another root"
            )
        path = staged_path(self.root, episode.name)
        write_durably(path, pack(episode, self._spec, self._video))
        self._written.add(episode.key)
        return path

    def _is_taken(self, key: Key, path: Path) -> bool:
        if path.exists():
            try:
                read_staged(path)
            except DataError:
                set_aside(self.root, episode_name(key))
            else:
                return True
        # The table names damaged episodes too, and those may be recorded again.
        return key in self._merged_keys and key in keys_of(self._merged)

    def finalise(self) -> Merged:
        """Merge everything that is staged, by whichever writer, into the data set's files."""
        merged = merge(self.root)
        for name in ("_merged", "_staged", "_sound_keys"):
            self.__dict__.pop(name, None)
        self._merged_keys, _ = glance(self.root)
        return merged
