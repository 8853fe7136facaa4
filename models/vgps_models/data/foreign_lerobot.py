"""LeRobot data sets of other writers, read as they are, never written to: v3 and v2, video or pictures in tables."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image as Picture

from vgps_models.data.foreign_tables import Tables
from vgps_models.data.foreign_video import MOST_PIXELS, SLACK_S, ForeignVideo, nearest_at, usual_gap
from vgps_models.data.layout import INFO
from vgps_models.data.lerobot_info import Camera, cameras_of, find_camera, rate_of, read_info, words
from vgps_models.errors import DataError
from vgps_models.spaces import Image

__all__ = ["ForeignDataSet", "Place", "read_info"]

RATE_TOLERANCE = 0.02  # by how much fps and the rows' own times may differ
MOST_OPEN = 4  # video files that stay open
Seconds = NDArray[np.float64]


class RateError(DataError):
    """fps of info.json is not the rate of the rows."""


@dataclass(frozen=True)
class Place:
    """Where a camera's video of an episode is.

    begin, end: on the clock of the file [s]. earliest: the first `begin` of all episodes in that file.
    """

    path: Path
    begin: float
    end: float
    earliest: float


class ForeignDataSet:
    """cameras: by short name. fps: rows a second. Every error is a DataError naming the data set.

    notes: what was left out, or used although it does not quite fit. To be used by one thread at a time: video files
    stay open from call to call.
    """

    def __init__(self, root: Path, info: dict[str, Any] | None = None) -> None:
        self.root = root
        self.info = read_info(root) if info is None else info
        self.notes: list[str] = []
        self.tables = Tables(root, self.info)
        self.fps = rate_of(self.info, root)
        try:
            self.features: dict[str, dict[str, Any]] = dict(self.info["features"])
            self._cameras, depth = cameras_of(self.features)
            self.robot = words(self.info.get("robot_type"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{root / INFO} is not that of a LeRobot data set ({error!r})") from None
        if depth:
            self.notes.append(f"left out, because they hold no color: {', '.join(depth)}")
        if not self._cameras:
            raise DataError(f"{root} has no videos and no pictures")
        self._times: dict[int, Seconds] = {}
        self._open: dict[Path, ForeignVideo] = {}
        self._check_rate()

    def __len__(self) -> int:
        return len(self.tables.rows)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    def camera(self, name: str) -> Camera:
        """A camera by its short or full name."""
        return self._cameras[find_camera(name, self._cameras)]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rows of every episode. Shape (M,)."""
        return self._lengths

    def name(self, index: int) -> str:
        return f"episode {self.tables.number(index)}"

    def task(self, index: int) -> str:
        """What was to be done, in words; empty when the data set does not say."""
        if text := words(self.tables.rows[index].get("tasks")):
            return text
        rows = self._rows(index)
        if rows is None or "task_index" not in rows.column_names or not self.tables.tasks:
            return ""
        numbers = [number for number in rows["task_index"].to_pylist() if isinstance(number, int)]
        return next((text for number in numbers if (text := self.tables.tasks.get(number))), "")

    def success(self, index: int) -> bool | None:
        """As `next.success` of the rows says it, else of the episode table; None when neither does."""
        rows, listed = self._rows(index), self.tables.rows[index]
        if rows is not None and "next.success" in rows.column_names:
            said: Any = rows["next.success"].to_pylist()
        else:
            said = listed.get("next.success", listed.get("success"))
        known = [bool(value) for value in np.ravel(np.array(said, object)) if value is not None and value == value]
        return any(known) if known else None

    def label(self, index: int) -> str:
        """Episodes of one label are of one task."""
        return self.task(index)

    def seconds(self, index: int) -> Seconds:
        """When each row was recorded [s], counted from the beginning of the episode. Shape (T,)."""
        if index not in self._times:
            rows = self._rows(index)
            if rows is not None and "timestamp" in rows.column_names:
                self._times[index] = self._stamped(index, rows)
            else:
                self._times[index] = np.arange(self.tables.length(index)) / self.fps
        return self._times[index]

    def place(self, index: int, camera: str) -> Place:
        """Where the video of a camera is; of cameras whose `stored` is "video"."""
        key = self.camera(camera).key
        path, begin, end = self.tables.video(index, key)
        last = begin + float(self.seconds(index)[-1]) + 1 / self.fps
        return Place(path, begin, last if end is None else end, self._earliest[path, key])

    def images(
        self,
        index: int,
        rows: NDArray[np.intp] | None = None,
        cameras: Sequence[str] = (),
        videos: object = None,
        *,
        side: int = 512,
    ) -> dict[str, Image]:
        """Pictures of an episode's rows: short camera name -> (T, h, w, 3) uint8 RGB, no longer than `side` [px].

        rows: only these, in rising order; all when not given. cameras: all when none is named. Each row gets the frame
        nearest to its time. videos: ignored; this object keeps its files open itself.
        Raises DataError naming episode and time where a video has no frame within half a row.
        """
        wanted = np.arange(self.tables.length(index)) if rows is None else np.asarray(rows)
        out: dict[str, Image] = {}
        for name in [find_camera(camera, self.cameras) for camera in cameras] or self.cameras:
            camera = self.camera(name)
            if camera.stored == "image":
                out[name] = self._pictures(index, camera.key, wanted, side)
            else:
                out[name] = self._frames(index, name, self.seconds(index)[wanted], side)
        return out

    def require_images(self, index: int) -> dict[str, float]:
        """Raise DataError unless every row has its picture, without decoding videos.

        Returns by how many seconds the video of each camera goes on after the last row's frame.
        """
        longer: dict[str, float] = {}
        for name, camera in self._cameras.items():
            if camera.stored == "image":
                self._pictures(index, camera.key, np.array([0, self.tables.length(index) - 1]), 512)
            else:
                video, frames = self._choose(index, name, self.seconds(index))
                end = self.place(index, name).end if not self.tables.v2 else np.inf
                following = video.times[frames[-1] + 1 :]
                longer[name] = float(
                    (following[following < end - 0.5 / self.fps] - video.times[frames[-1]]).max(initial=0.0)
                )
        return longer

    def picture(self, index: int, camera: str, row: int) -> Image:
        """One picture of a camera whose `stored` is "image". Shape (h, w, 3) uint8 RGB."""
        return self._pictures(index, self.camera(camera).key, np.array([row]), MOST_PIXELS)[0]

    def data_hash(self) -> str:
        """sha256 over all of its files: meta, data and videos."""
        digest = hashlib.sha256()
        for part in ("meta", "data", "videos", "images"):
            for path in sorted(p for p in (self.root / part).rglob("*") if p.is_file()):
                digest.update(path.relative_to(self.root).as_posix().encode())
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        return digest.hexdigest()

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        return np.array([self.tables.length(index) for index in range(len(self))], np.int64)

    @cached_property
    def _earliest(self) -> dict[tuple[Path, str], float]:
        """(video file, feature) -> the first time that an episode begins in it."""
        found: dict[tuple[Path, str], float] = {}
        for index in range(len(self)):
            for camera in self._cameras.values():
                if camera.stored == "video":
                    try:
                        path, begin, _ = self.tables.video(index, camera.key)
                    except DataError:
                        continue  # named when that episode is asked for
                    found[path, camera.key] = min(begin, found.get((path, camera.key), begin))
        return found

    def _rows(self, index: int) -> pa.Table | None:
        """The episode's rows without pictures; None where the tables cannot be read, so that videos still can."""
        try:
            return self.tables.read(index)
        except DataError:
            return None

    def _stamped(self, index: int, rows: pa.Table) -> Seconds:
        where = f"{self.name(index)} of {self.root}"
        try:
            stamps = np.asarray(rows["timestamp"].to_numpy(), np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: its column 'timestamp' holds no seconds ({error})") from None
        if not np.isfinite(stamps).all() or (np.diff(stamps) <= 0).any() or stamps[0] < -SLACK_S:
            raise DataError(f"{where}: its column 'timestamp' does not rise from 0 on; it must hold seconds")
        self._require_rate(len(stamps), usual_gap(stamps), f"the column 'timestamp' of {self.name(index)}")
        return stamps

    def _check_rate(self) -> None:
        """Compare fps with the first episode: with the times of its rows, or of the table of episodes."""
        try:
            count = self.tables.length(0)
            videos = [camera for camera in self._cameras.values() if camera.stored == "video"]
            _, begin, end = self.tables.video(0, videos[0].key) if videos else (None, 0.0, None)
        except DataError:
            return  # named when that episode is asked for
        rows = self._rows(0)
        if rows is not None and "timestamp" in rows.column_names:
            try:
                self.seconds(0)
            except RateError:
                raise
            except DataError:
                return
        elif end is not None and abs((end - begin) * self.fps - count) > 2:
            self._require_rate(count, (end - begin) / count, f"the table of episodes of {self.name(0)}")

    def _require_rate(self, count: int, gap: float, source: str) -> None:
        if count > 1 and abs(gap * self.fps - 1) > RATE_TOLERANCE:
            raise RateError(
                f"{self.root / INFO}: fps is {self.fps:g}, but {source} says {1 / gap:.4g} rows a second; "
                "write the true rate there"
            )

    def _frames(self, index: int, camera: str, seconds: Seconds, side: int) -> Image:
        video, chosen = self._choose(index, camera, seconds)
        return video.frames(chosen, side)

    def _choose(self, index: int, camera: str, seconds: Seconds) -> tuple[ForeignVideo, NDArray[np.intp]]:
        """The video of a camera, and the number of its frame at each of these times of the episode."""
        place = self.place(index, camera)
        video = self._video(place)
        gap, row = usual_gap(video.times), 1 / self.fps
        half = max(SLACK_S, 0.499 * gap)
        first, end = np.searchsorted(video.times, [place.begin - half, place.end - half])
        mine, wanted = video.times[first:end], place.begin + seconds
        before, after = max(half, 0.5 * row), max(half, 0.5 * row, gap - 0.5 * row)  # a slow camera's last is held
        if not len(mine):
            raise DataError(
                f"{self.name(index)} of {self.root}: {place.path} has no frames from {place.begin:.3f} s to "
                f"{place.end:.3f} s, where camera '{camera}' should show it"
            )
        outside = (wanted < mine[0] - before) | (wanted > mine[-1] + after)
        if outside.any():
            raise DataError(
                f"{self.name(index)} of {self.root}: camera '{camera}' has no frame at "
                f"{seconds[outside.argmax()]:.3f} s; {place.path} shows the episode from "
                f"{mine[0] - place.begin:.3f} s to {mine[-1] - place.begin:.3f} s"
            )
        if (late := wanted[-1] - mine[-1]) > max(half, gap - 0.5 * row):
            self._note(
                f"{self.name(index)}: the video of camera '{camera}' ends {late:.3f} s before the last row, "
                "which gets its last frame"
            )
        return video, first + nearest_at(mine, wanted)

    def _video(self, place: Place) -> ForeignVideo:
        if place.path not in self._open:
            while len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[place.path] = ForeignVideo(place.path, place.earliest)
        return self._open[place.path]

    def _pictures(self, index: int, key: str, rows: NDArray[np.intp], side: int) -> Image:
        table = self.tables.read(index, (key, "frame_index"))
        where = f"{self.name(index)} of {self.root}"
        if key not in table.column_names:
            raise DataError(f"{where}: {self.tables.data(index)} has no column '{key}', which should hold pictures")
        column = table[key]
        found = [self._decoded(column[int(row)].as_py(), f"{where}, row {row}", side) for row in rows]
        if len({image.shape for image in found}) > 1:
            raise DataError(f"{where}: the pictures of '{key}' change their size")
        return np.stack(found)

    def _decoded(self, stored: Any, where: str, side: int) -> Image:
        """A picture as LeRobot stores it: {"bytes": of a PNG or JPEG file, "path": of one when it is not embedded}."""
        if not isinstance(stored, Mapping):
            raise DataError(f"{where}: where a picture should be there is {str(stored)[:40]}")
        content, path = stored.get("bytes"), stored.get("path")
        try:
            with Picture.open(io.BytesIO(content) if content else self.root / str(path)) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataError(f"{where}: a picture of {picture.width}x{picture.height} is too large")
                shown = picture.convert("RGB")
                if max(shown.size) > side:
                    shown.thumbnail((side, side))
                return np.asarray(shown)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{where}: a picture cannot be read ({error})") from None

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
