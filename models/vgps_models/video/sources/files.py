"""Video files and folders of numbered frames, at any depth.

| what lies there | what it is |
|---|---|
| `a.mp4` (.mkv, .mov, .webm, .avi) | one recording, its view called `camera` |
| `attempt/front.mp4`, `attempt/wrist.mp4`, `attempt/task.txt` | one event seen by two cameras of these names |
| `clip/000001.jpg`, `clip/000002.jpg`, ... (.png) | numbered frames: one recording, its rate in `clip/fps.txt` |

The text is in `a.txt` beside `a.mp4`, or in `task.txt` of the folder or of the one above it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps

from vgps_models.data.foreign_video import MOST_PIXELS, VIDEO_SUFFIXES, play
from vgps_models.data.lerobot_info import words as task_words
from vgps_models.errors import DataError
from vgps_models.spaces import Image
from vgps_models.video.moments import Moment
from vgps_models.video.sources.base import MOST_WORDS, Recording, Source, SourceOptions

CAMERA, TASK, RATE = "camera", "task.txt", "fps.txt"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class FileRecording(Recording):
    """A stretch of a video file. begin, end: times in the file [s]. earliest: see `zero_of`."""

    path: Path
    begin: float = 0.0
    end: float = inf
    earliest: float | None = None

    def play(self) -> Iterator[Moment]:
        last, step = 0.0, 0.0
        for seconds, frame in play(self.path, self.begin, self.end, self.earliest):
            last, step = seconds, max(step, seconds - last)
            yield Moment(seconds, lambda frame=frame: frame)
        if self.end < inf and last + 2 * step + 0.05 < self.end - self.begin:
            raise DataError(f"{self.path} ends {self.end - self.begin - last:.1f} s before the recording does")


@dataclass(frozen=True)
class FramesRecording(Recording):
    """Pictures of one folder. A number that is missing is a frame that was lost: the one before is shown for longer."""

    folder: Path
    frames: tuple[tuple[int, str], ...]  # (number, file name), rising
    hz: float

    def play(self) -> Iterator[Moment]:
        for number, name in self.frames:
            yield Moment((number - self.frames[0][0]) / self.hz, partial(load, self.folder / name))


def load(path: Path) -> Image:
    """A picture file as a viewer would show it. Shape (h, w, 3) uint8 RGB."""
    try:
        with Picture.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(f"{path}: a picture of {picture.width}x{picture.height} is too large")
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error})") from None


def found(path: Path) -> bool:
    return True


def read(path: Path, options: SourceOptions) -> Source:
    out = Source()
    if path.is_file():
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise DataError(f"{path} is no video: it does not end in {', '.join(VIDEO_SUFFIXES)}")
        _add_videos(out, path.parent, [path.name], path.parent, options, source=path.parent.name)
        return out
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        here = Path(folder)
        if videos := sorted(name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES):
            _add_videos(out, here, videos, path, options)
        if images := [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]:
            _add_frames(out, here, images, path, options)
    return out


def label(root: Path, folder: Path, source: str = "") -> str:
    """How recordings of a folder are named: by where they lie below the source, never by where the source lies."""
    return "/".join([source or root.resolve().name, *folder.relative_to(root).parts])


def words(texts: list[Path], options: SourceOptions) -> str:
    """The first of these text files that exists, or what was given."""
    said = next((task_words(text.read_text("utf-8", "replace")) for text in texts if text.is_file()), "")
    return (said or options.text)[:MOST_WORDS]


def _add_videos(
    out: Source, folder: Path, names: list[str], root: Path, options: SourceOptions, source: str = ""
) -> None:
    cameras = (folder / TASK).is_file()
    above = [folder / TASK, folder.parent / TASK] if folder != root else [folder / TASK]
    source = source or root.resolve().name
    for name in names:
        recording = FileRecording(
            name=f"{label(root, folder, source)}/{name}",
            source=source,
            view=Path(name).stem if cameras else CAMERA,
            text=words([(folder / name).with_suffix(".txt"), *above], options),
            embodiment=options.embodiment,
            path=folder / name,
        )
        out.recordings.append(recording)


def _add_frames(out: Source, folder: Path, names: list[str], root: Path, options: SourceOptions) -> None:
    series: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := NUMBERED.fullmatch(Path(name).stem):
            series.setdefault(match[1], []).append((int(match[2]), name))
    hz = options.frame_hz
    if (folder / RATE).is_file():
        try:
            hz = float((folder / RATE).read_text())
            if not 0 < hz < inf:
                raise ValueError(f"{hz} is no rate")
        except ValueError as error:
            out.problems.append(f"{folder / RATE} does not hold a rate [Hz] ({error})")
            return
    where = label(root, folder)
    for prefix, frames in sorted(series.items()):
        frames.sort()
        if len({number for number, _ in frames}) < len(frames):
            out.problems.append(f"{folder} has several pictures of one number ({prefix}...); one series a folder")
            continue
        several = len(series) > 1
        recording = FramesRecording(
            name=f"{where}/{prefix}" if several else where,
            source=root.resolve().name,
            view=prefix.strip("_-. ") if several and prefix else CAMERA,
            text=words([folder / TASK, folder.parent / TASK] if folder != root else [folder / TASK], options),
            embodiment=options.embodiment,
            folder=folder,
            frames=tuple(frames),
            hz=hz,
        )
        out.recordings.append(recording)
