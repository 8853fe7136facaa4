"""Recording episodes so that a process killed at any moment loses at most the one being written."""

from __future__ import annotations

from pathlib import Path

from vgps_models.data.contents import keys_of, read_merged, read_waiting
from vgps_models.data.episodes import FPS, Episode, Key, episode_name
from vgps_models.data.merge import Merged, finish_swap, is_merged, merge
from vgps_models.data.records import Problem, open_videos
from vgps_models.data.staging import FOLDER, clear_half_written, pack, set_aside, staged_path, write_durably
from vgps_models.data.video import VideoSettings
from vgps_models.errors import DataError
from vgps_models.spaces import ActionSpec


class EpisodeWriter:
    """Writes episodes into a data set; any number of writers, in any processes, may share a root.

    writer = EpisodeWriter("data/mixed")
    if (task_id, seed) not in writer:      # resumes where a killed run stopped
        writer.write(episode)              # durable when it returns
    writer.finalise()                      # -> LeRobot v3 files; may be repeated after more episodes

    problems: damaged or half-written episodes found on opening. They are not
    counted as recorded, so a resumed run records them again.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        spec: ActionSpec = ActionSpec(),
        fps: int = FPS,
        video: VideoSettings = VideoSettings(),
    ) -> None:
        self.root, self._spec, self._fps, self._video = Path(root), spec, fps, video
        (self.root / FOLDER).mkdir(parents=True, exist_ok=True)
        finish_swap(self.root)
        staged = read_waiting(self.root)
        for problem in staged.problems:
            if (path := staged_path(self.root, problem.name)).exists():
                set_aside(self.root, path)
        problems = clear_half_written(self.root) + staged.problems
        recorded = keys_of(staged)
        if is_merged(self.root):
            with open_videos() as videos:
                merged = read_merged(self.root, videos, videos=False)
            recorded |= keys_of(merged)
            problems += merged.problems
        self._recorded = recorded
        self.problems: tuple[Problem, ...] = tuple(problems)

    @property
    def recorded(self) -> frozenset[Key]:
        """(task id, seed) of all episodes known here: found on opening or written by this writer."""
        return frozenset(self._recorded)

    def __contains__(self, key: Key) -> bool:
        return key in self._recorded or staged_path(self.root, episode_name(key)).exists()

    def __len__(self) -> int:
        return len(self._recorded)

    def write(self, episode: Episode) -> Path:
        """Encode and store an episode. When this returns, the episode survives a crash."""
        path = staged_path(self.root, episode.name)
        if episode.key in self:
            raise DataError(f"{episode.name} is recorded already in {self.root}; choose another seed or another root")
        write_durably(path, pack(episode, self._fps, self._video))
        self._recorded.add(episode.key)
        return path

    def finalise(self) -> Merged:
        """Merge everything that is staged, by whichever writer, into the data set's files."""
        return merge(self.root, self._spec)
