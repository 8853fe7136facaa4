"""Durable single episodes, before they are merged: `staging/<episode>.zip`.

An episode is one file, so it is either wholly there or not: it is written under
a temporary name, flushed to disk and then renamed. Members are stored without
compression (video is compressed already); the zip's checksums and the record's
hashes tell a damaged file from a good one.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.data.episodes import Episode
from vgps_models.data.records import (
    Clip,
    Member,
    Problem,
    Record,
    Stored,
    content_columns,
    frame_table,
    open_videos,
)  # fmt: skip
from vgps_models.data.video import VideoSettings, encode
from vgps_models.errors import DataError
from vgps_models.spaces import ActionSpec

FOLDER = "staging"
DAMAGED = "damaged"  # what could not be read is kept here, out of the way
TEMPORARY = ".part"
RECORD, FRAMES, CLIP = "record.json", "frames.parquet", ".mp4"


def staged_path(root: Path, name: str) -> Path:
    return root / FOLDER / f"{name}.zip"


def pack(episode: Episode, spec: ActionSpec, settings: VideoSettings) -> bytes:
    """An episode as the bytes of its staged file."""
    frames = frame_table(episode)
    clips = {camera: encode(images, round(spec.control_hz), settings) for camera, images in episode.images.items()}
    record = Record.of(episode, frames, clips, spec)
    columns, buffer = io.BytesIO(), io.BytesIO()
    pq.write_table(frames, columns)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr(RECORD, json.dumps(record.to_json()))
        file.writestr(FRAMES, columns.getvalue())
        for camera, clip in clips.items():
            file.writestr(camera + CLIP, clip)
    return buffer.getvalue()


def read_staged(path: Path, *, verify: bool = True) -> Stored:
    """The episode in a staged file; DataError when it is not exactly what was written."""
    try:
        with zipfile.ZipFile(path) as file:
            if bad := file.testzip():
                raise DataError(f"{path.name} is damaged (in {bad})")
            record = Record.from_json(json.loads(file.read(RECORD)))
            frames = content_columns(pq.read_table(pa.BufferReader(file.read(FRAMES))))
            clips = {camera: Clip(Member(path, camera + CLIP), 0, record.length) for camera in record.clips}
    # A damaged file can make the readers fail in any way; whatever it is, this file is unusable.
    except Exception as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
    stored = Stored(record, frames, clips)
    if verify:
        with open_videos() as videos:
            stored.verify(videos)
    return stored


def write_durably(path: Path, content: bytes) -> None:
    """Make `path` hold `content`, or leave nothing under that name, whenever the power goes."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    while True:
        with open(temporary, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells a file being written from one left behind
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.replace(temporary, path)
            except FileNotFoundError:  # tidied away in the moment before it was locked
                continue
        break
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_half_written(root: Path) -> list[Problem]:
    """Remove and name what a killed writer left; files that a living writer holds are not touched."""
    problems: list[Problem] = []
    for path in sorted((root / FOLDER).glob(f"*{TEMPORARY}")):
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):  # being written; or its writer has just finished it
            continue
        problems.append(Problem(path.name.split(".zip")[0], "half written when its writer died; record it again"))
    return problems


def set_aside(root: Path, name: str) -> None:
    """Move a damaged staged file out of the way without losing it."""
    if (path := staged_path(root, name)).exists():
        (root / DAMAGED).mkdir(exist_ok=True)
        os.replace(path, root / DAMAGED / path.name)
