"""What is known of a stored episode: its row in the episode table, its frames' columns, its clips."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vgps_models.data.episodes import (
    ACTION,
    COMMANDED,
    ENVIRONMENT_STATE,
    FLAGS,
    JOINTS,
    OLD_ENVIRONMENT_STATE,
    STATE,
    VECTOR_NAMES,
    Episode,
    Key,
    episode_name,
)  # fmt: skip
from vgps_models.data.stats import image_stats
from vgps_models.data.video import VideoReader
from vgps_models.errors import DataError
from vgps_models.spaces import ActionSpec

Stats = dict[str, list[Any]]


@dataclass(frozen=True)
class Problem:
    """Something that cannot be used: what it is (an episode or a file), why, and what was done or can be done."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ClipRecord:
    """One camera's video of an episode: frame size, sha256 over its packets, pixel statistics in 0..1."""

    height: int
    width: int
    sha256: str
    stats: Stats


@dataclass(frozen=True)
class Record:
    """Everything about an episode but its frames."""

    task_id: str
    seed: int
    instruction: str
    success: bool
    flaw: str
    events: dict[str, int]  # event -> first step
    quality: str
    layout_hash: str
    length: int
    spec: dict[str, Any]  # ActionSpec.to_json() of the actions
    images_hash: str  # over the images as rendered
    frames_hash: str  # over the numeric columns
    clips: dict[str, ClipRecord]

    @property
    def key(self) -> Key:
        return self.task_id, self.seed

    @property
    def fps(self) -> int:
        """Frames a second: one frame a control step."""
        return round(self.spec["control_hz"])

    @property
    def order(self) -> tuple[int, str]:
        """Place in the data set, whoever recorded the episode and when."""
        return self.seed, self.task_id

    @property
    def name(self) -> str:
        return episode_name(self.key)

    def content(self) -> str:
        """Stands for the whole episode in the data hash."""
        parts = (self.name, self.instruction, str(self.success), self.flaw, self.images_hash, self.frames_hash)
        return "\n".join(parts)

    def digest(self) -> str:
        """sha256 of this record, so that a damaged row of the episode table is told from a good one."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        return cls(**{**data, "clips": {name: ClipRecord(**clip) for name, clip in data["clips"].items()}})

    @classmethod
    def of(cls, episode: Episode, frames: pa.Table, clips: Mapping[str, bytes], spec: ActionSpec) -> Record:
        described: dict[str, ClipRecord] = {}
        for camera, file in clips.items():
            images = episode.images[camera]
            with closing(VideoReader(file, f"{episode.name} {camera}")) as video:
                digest = video.digest(0, len(episode))
            described[camera] = ClipRecord(images.shape[1], images.shape[2], digest, image_stats(images))
        return cls(
            task_id=episode.task_id,
            seed=int(episode.seed),
            instruction=episode.instruction,
            success=bool(episode.success),
            flaw=episode.flaw,
            events={name: int(step) for name, step in episode.events.items()},
            quality=episode.quality,
            layout_hash=episode.layout_hash,
            length=len(episode),
            spec=spec.to_json(),
            images_hash=episode.images_hash(),
            frames_hash=frames_hash(frames),
            clips=described,
        )


@dataclass(frozen=True)
class Member:
    """A file stored in a zip file; read when it is needed, so that many may wait without filling the memory."""

    archive: Path
    name: str

    def read(self) -> bytes:
        with zipfile.ZipFile(self.archive) as file:
            return file.read(self.name)


VideoFile = Path | Member


@dataclass(frozen=True)
class Clip:
    """Where a camera's packets are: `count` frames of `file` from frame `first` on. header: the file's, if known."""

    file: VideoFile
    first: int
    count: int
    header: str = ""


@dataclass(frozen=True, eq=False)
class Stored:
    """A readable episode: record, numeric columns and where its clips are."""

    record: Record
    frames: pa.Table
    clips: dict[str, Clip]

    def signature(self) -> dict[str, Any]:
        """What all episodes of one data set have in common."""
        sizes = {name: (clip.height, clip.width) for name, clip in self.record.clips.items()}
        return {"action spec": self.record.spec, "cameras": sizes, "vectors": widths(self.frames)}

    def verify(self, open_video: Videos, *, videos: bool = True) -> None:
        """Raise DataError unless columns and clips are, bit for bit, what was recorded."""
        record, name = self.record, self.record.name
        if self.frames.num_rows != record.length:
            raise DataError(f"{name} has {self.frames.num_rows} rows; {record.length} were recorded")
        for key in (STATE, JOINTS, ACTION, COMMANDED, *FLAGS):
            if key not in self.frames.column_names:
                raise DataError(f"{name} lacks the column '{key}'")
        for key in widths(self.frames):
            if not np.isfinite(vector(self.frames, key)).all():
                raise DataError(f"{name}: '{key}' holds NaN or infinite numbers")
        if frames_hash(self.frames) != record.frames_hash:
            raise DataError(f"{name}: its numeric columns are not those that were recorded")
        for camera, clip in self.clips.items() if videos else ():
            video = open_video(clip.file, f"{name} {camera}")
            sound = clip.header in ("", video.header())
            if not sound or video.digest(clip.first, clip.count) != record.clips[camera].sha256:
                raise DataError(f"{name}: the video of camera '{camera}' is not the one that was recorded")


class Videos:
    """Opens each video file once, and keeps a few of them open."""

    def __init__(self) -> None:
        self._open: dict[VideoFile, VideoReader] = {}

    def __call__(self, file: VideoFile, name: str) -> VideoReader:
        if file not in self._open:
            if len(self._open) >= 8:
                self._open.pop(next(iter(self._open))).close()
            self._open[file] = VideoReader(file.read() if isinstance(file, Member) else file, name)
        return self._open[file]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


@contextmanager
def open_videos() -> Iterator[Videos]:
    videos = Videos()
    try:
        yield videos
    finally:
        videos.close()


def frame_table(episode: Episode) -> pa.Table:
    """The numeric columns of an episode: vectors as fixed-size lists of float32, flags as bool."""
    columns: dict[str, pa.Array] = {}
    for key, array in episode.vectors().items():
        columns[key] = pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
    for key, flags in episode.flags().items():
        columns[key] = pa.array(flags)
    return pa.table(columns)


def widths(frames: pa.Table) -> dict[str, int]:
    """Vector columns of a table -> their width."""
    return {key: frames.schema.field(key).type.list_size for key in VECTOR_NAMES if key in frames.column_names}


def vector(frames: pa.Table, key: str) -> NDArray[np.float32]:
    """A vector column. Shape (N, d) float32."""
    column = frames.column(key).combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)


def flag(frames: pa.Table, key: str) -> NDArray[Any]:
    """A scalar column. Shape (N,)."""
    return frames.column(key).to_numpy()


def content_columns(frames: pa.Table) -> pa.Table:
    """The columns of a stored table that an episode consists of, each under its present name."""
    names = [ENVIRONMENT_STATE if name == OLD_ENVIRONMENT_STATE else name for name in frames.column_names]
    return frames.rename_columns(names).select([key for key in (*VECTOR_NAMES, *FLAGS) if key in names])


def frames_hash(frames: pa.Table) -> str:
    """sha256 over names, shapes and bits of the content columns, whatever the file's encoding.

    The simulator's poses count under the name that they had first, so that the hash of an old data set stays.
    """
    digest = hashlib.sha256()
    for key in widths(frames):
        array = np.ascontiguousarray(vector(frames, key), dtype="<f4")
        name = OLD_ENVIRONMENT_STATE if key == ENVIRONMENT_STATE else key
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.data)
    for key in FLAGS:
        digest.update(key.encode())
        digest.update(flag(frames, key).astype(np.uint8).tobytes())
    return digest.hexdigest()


def data_hash(records: Sequence[Record]) -> str:
    """One sha256 for a data set; the same for the same episodes in whatever order they were recorded."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda r: r.order):
        digest.update(record.content().encode())
    return digest.hexdigest()
