"""Video files with a task in words.

| what lies there | what it is |
|---|---|
| `a.mp4` | one attempt seen by one camera, called as `CAMERA` |
| `folder/a.mp4`, `folder/b.mp4` | an attempt each |
| `folder/attempt/front.mp4`, `folder/attempt/wrist.mp4` | one attempt seen by two cameras of these names |

The task is in `a.txt` beside `a.mp4`, in `attempt/task.txt`, in `folder/task.txt`, or is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.data.foreign_video import VIDEO_SUFFIXES, ForeignVideo, nearest_at
from vgps_models.data.lerobot_info import find_camera, words
from vgps_models.errors import DataError
from vgps_models.progress.estimate import Clip, spaced
from vgps_models.progress.footage.base import Scene

CAMERA = "camera"
TASK = "task.txt"
MOST_WORDS = 2000  # characters of a task


class VideoFiles:
    """Attempts in the order of their names. Files that are no videos, and videos without a task, are in `problems`."""

    def __init__(self, path: Path, task: str = "") -> None:
        self.problems: list[str] = []
        self._attempts: list[tuple[str, dict[str, Path], str]] = []
        if path.is_file():
            self._add(path.stem, {CAMERA: path}, [path.with_suffix(".txt"), path.parent / TASK], task)
        else:
            for entry in sorted(path.iterdir()):
                if entry.is_dir() and (views := {v.stem: v for v in sorted(entry.iterdir()) if _is_video(v)}):
                    self._add(entry.name, views, [entry / TASK, path / TASK], task)
                elif _is_video(entry):
                    self._add(entry.stem, {CAMERA: entry}, [entry.with_suffix(".txt"), path / TASK], task)
        if not self._attempts:
            reason = "; ".join(self.problems[:3]) or f"no file ends in {', '.join(VIDEO_SUFFIXES)}"
            raise DataError(f"{path} holds nothing that can be judged: {reason}")

    def __len__(self) -> int:
        return len(self._attempts)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        name, views, task = self._attempts[index]
        cameras = [find_camera(camera, views) for camera in cameras]
        with ExitStack() as stack:
            opened = {
                camera: stack.enter_context(closing(ForeignVideo(path)))
                for camera, path in views.items()
                if not cameras or camera in cameras
            }
            # Cameras may differ in their rates: the shortest decides the moments, the others show their nearest frame.
            first = min(opened.values(), key=lambda video: video.times[-1])
            at = _evenly(first.times, frames)
            images = {camera: video.frames(nearest_at(video.times, at)) for camera, video in opened.items()}
        return Scene(name, Clip(images, task), at)

    def _add(self, name: str, views: dict[str, Path], texts: Sequence[Path], task: str) -> None:
        said = task.strip() or next((words(t.read_text("utf-8", "replace")) for t in texts if t.is_file()), "")
        if not said:
            self.problems.append(f"{name} has no task: give --task, or write it into {texts[0]}")
            return
        for path in views.values():
            try:
                ForeignVideo(path).close()
            except DataError as error:
                self.problems.append(str(error))
                return
        self._attempts.append((name, views, said[:MOST_WORDS]))


def _evenly(times: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Times of `count` frames that are evenly spread over time, first and last among them; of all for 0."""
    index = spaced(len(times), len(times))  # refuses videos that are too short
    if count:
        index = np.unique(nearest_at(times, np.linspace(0.0, times[-1], len(spaced(len(times), count)))))
    return times[index]


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES
