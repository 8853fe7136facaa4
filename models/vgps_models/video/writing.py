"""Writing one shard, so that a process killed at any moment loses at most the recording it was reading.

    shard-00003.frames        all frames, one after the other
    shard-00003.offsets.npy   where each begins (frames + 1,) uint64; none for raw frames, which are all of one size
    shard-00003.json          videos and problems; written last: without it the shard is not finished
    shard-00003.frames.part, .journal, .lock    while it is written; a line of the journal for every recording done

What a shard holds depends on its recordings and the form alone, so one that was interrupted ends up the same.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zlib
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.data.staging import sync_folder
from vgps_models.files import write_whole
from vgps_models.video.form import Contents, Form, Problem, Video


class ShardBusyError(Exception):
    """Another process writes this shard."""


def shard_path(root: Path, number: int, ending: str) -> Path:
    return root / f"shard-{number:05d}.{ending}"


class ShardWriter:
    """Opens a shard where it was left. done: names of the recordings that need not be read again."""

    def __init__(self, root: Path, number: int, form: Form) -> None:
        self._root, self._number, self._form = root, number, form
        self._frames, self._journal = self._path("frames"), self._path("journal")
        self._part = self._path("frames.part")
        self._lock = self._path("lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ShardBusyError(str(self._part)) from None
        self.finished = self._path("json").exists()
        self.done: set[str] = set()
        if self.finished:
            return
        if self._frames.exists():  # killed between its last two steps
            self._frames.rename(self._part)
        self._file = self._part.open("a+b")
        lines, size = self._read_journal()
        self.done = {line["recording"] for line in lines}
        self._videos = [Video(**video) for line in lines for video in line["videos"]]
        self._problems = [Problem(**problem) for line in lines for problem in line["problems"]]
        self._lengths = [length for line in lines for length in line["lengths"]]
        self._file.truncate(sum(self._lengths))
        os.truncate(self._journal, size)
        self._log = self._journal.open("ab")
        self._begin()

    def write(self, content: bytes) -> None:
        """Append a stored frame to the video that is open."""
        self._file.write(content)
        self._new_lengths.append(len(content))
        self._crc = zlib.crc32(content, self._crc)

    @property
    def open_frames(self) -> int:
        """Frames of the video that is open."""
        return len(self._lengths) + len(self._new_lengths) - self._first

    def end_video(self, **described: Any) -> None:
        """Close the video that is open; `described` is what `Video` says of it beside where it is."""
        self._new_videos.append(Video(first=self._first, frames=self.open_frames, crc32=self._crc, **described))
        self._first, self._crc = self._first + self.open_frames, 0

    def drop_video(self) -> None:
        """Forget the frames of the video that is open."""
        if unwanted := self.open_frames:
            self._file.flush()
            kept = self._new_lengths[: len(self._new_lengths) - unwanted]
            self._file.truncate(sum(self._lengths) + sum(kept))
            self._new_lengths, self._crc = kept, 0

    def end_recording(self, name: str, problem: Problem | None = None) -> None:
        """When this returns, all that was written of the recording survives the end of this process.

        A power failure may cost more: what it tore is found by its checksum and read again.
        """
        problems = [problem] if problem else []
        self._file.flush()
        line = {
            "recording": name,
            "videos": [asdict(video) for video in self._new_videos],
            "problems": [asdict(problem) for problem in problems],
            "lengths": self._new_lengths,
        }
        self._log.write(json.dumps(line).encode() + b"\n")
        self._log.flush()
        self._videos += self._new_videos
        self._problems += problems
        self._lengths += self._new_lengths
        self.done.add(name)
        self._begin()

    def finish(self) -> None:
        """Give the shard its last names."""
        if self._form.codec != "raw":
            buffer = io.BytesIO()
            np.save(buffer, np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.uint64), allow_pickle=False)
            write_whole(self._path("offsets.npy"), buffer.getvalue())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.rename(self._frames)
        held = Contents(self._form, len(self._lengths), sum(self._lengths), tuple(self._videos), tuple(self._problems))
        sync_folder(self._root)
        write_whole(self._path("json"), json.dumps(held.to_json()).encode())
        self._journal.unlink()
        self.finished = True

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
            self._log.close()
        if self.finished:
            self._path("lock").unlink(missing_ok=True)
        self._lock.close()

    def _begin(self) -> None:
        self._new_videos: list[Video] = []
        self._new_lengths: list[int] = []
        self._first, self._crc = len(self._lengths), 0

    def _path(self, ending: str) -> Path:
        return shard_path(self._root, self._number, ending)

    def _read_journal(self) -> tuple[list[dict[str, Any]], int]:
        """Its whole lines whose frames are there, and their size [bytes]."""
        lines: list[dict[str, Any]] = []
        size = 0
        self._journal.touch()
        with self._part.open("rb") as frames:
            for raw in self._journal.read_bytes().splitlines(keepends=True):
                try:
                    line = json.loads(raw)
                    lengths = iter(line["lengths"])
                    sound = all(
                        zlib.crc32(frames.read(sum(islice(lengths, video["frames"])))) == video["crc32"]
                        for video in line["videos"]
                    )
                except (ValueError, KeyError, TypeError):
                    break
                if not sound or not raw.endswith(b"\n"):
                    break
                lines.append(line)
                size += len(raw)
        return lines, size
