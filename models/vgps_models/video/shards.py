"""Reading shards: any frame of any video, from files that stay on disk."""

from __future__ import annotations

import hashlib
import json
import mmap
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Image
from vgps_models.video.form import Contents, Form, Video

OPEN_FILES = 64  # shards that stay open
Ints = NDArray[np.int64]


class Frames(Protocol):
    """Whatever gives frames by their numbers."""

    form: Form

    def read(self, index: Ints) -> Image:
        """Frames by number, in any order. Shape (len(index), size, size, 3) uint8 RGB."""
        ...


class VideoShards:
    """All finished shards of one or several folders, as one long row of frames.

    videos: V of them. bounds: video v is frames bounds[v] .. bounds[v + 1] - 1, (V + 1,). problems: shards that are
    damaged; no number refers to what they hold. Not for several threads at once: give each its own.
    """

    def __init__(self, *roots: Path | str) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self.problems: list[str] = []
        self.videos: list[Video] = []
        self._shards: list[tuple[Path, Contents]] = []
        self._open: OrderedDict[int, tuple[mmap.mmap, NDArray[np.uint64]]] = OrderedDict()
        digest, form = hashlib.sha256(), None
        for path in _indices(self.roots):
            try:
                raw = path.read_bytes()
                contents = Contents.from_json(json.loads(raw), str(path))
                _check_size(path, contents)
            except (OSError, ValueError, DataError) as error:
                self.problems.append(str(error) if isinstance(error, DataError) else f"{path} is damaged ({error})")
                continue
            form = form or contents.form
            if _seen(contents.form) != _seen(form):
                raise DataError(
                    f"{path} has frames of {_seen(contents.form)}, others of {_seen(form)}; pack them alike"
                )
            digest.update(raw)
            if contents.frames:
                self._shards.append((path, contents))
                self.videos += contents.videos
        if form is None or not self.videos:
            reason = "; ".join(self.problems[:3]) or "make some with `vgps video pack`"
            raise DataError(f"no videos in {', '.join(map(str, self.roots))}: {reason}")
        self.form, self.sha256 = form, digest.hexdigest()
        self.bounds: Ints = np.concatenate([[0], np.cumsum([video.frames for video in self.videos])]).astype(np.int64)
        self._starts = np.concatenate([[0], np.cumsum([held.frames for _, held in self._shards])]).astype(np.int64)

    def __len__(self) -> int:
        """Frames in all."""
        return int(self.bounds[-1])

    def locate(self, index: Ints) -> tuple[Ints, Ints]:
        """Video and frame within it, of frames by number. Shapes as of `index`."""
        video = np.searchsorted(self.bounds, index, side="right") - 1
        return video, index - self.bounds[video]

    def read(self, index: Ints) -> Image:
        """Frames by number, in any order. Shape (len(index), size, size, 3) uint8 RGB.

        Raises IndexError for a number that there is not, DataError for a frame that is damaged.
        """
        index = np.asarray(index, np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"frames {index.min()} .. {index.max()} of {len(self)}")
        out = np.empty((len(index), self.form.size, self.form.size, 3), np.uint8)
        shard = np.searchsorted(self._starts, index, side="right") - 1
        for at in np.argsort(index, kind="stable").tolist():  # in the order of the disk
            number = int(shard[at])
            content, offsets = self._content(number)
            frame, form = int(index[at] - self._starts[number]), self._shards[number][1].form
            try:
                form.decode(memoryview(content)[int(offsets[frame]) : int(offsets[frame + 1])], out[at])
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(self._damaged(int(index[at]), error)) from None
        return out

    def verify(self, video: int) -> str:
        """What is wrong with the stored frames of a video; empty when they are what was written."""
        number = int(np.searchsorted(self._starts, self.bounds[video], side="right")) - 1
        content, offsets = self._content(number)
        first, described = int(self.bounds[video] - self._starts[number]), self.videos[video]
        held = memoryview(content)[int(offsets[first]) : int(offsets[first + described.frames])]
        return "" if zlib.crc32(held) == described.crc32 else f"{described.name} is not what was packed; pack it anew"

    def close(self) -> None:
        self._open.clear()

    def _content(self, number: int) -> tuple[mmap.mmap, NDArray[np.uint64]]:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if len(self._open) >= OPEN_FILES:
            self._open.popitem(last=False)
        path, contents = self._shards[number]
        try:
            with path.with_suffix(".frames").open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._open[number] = content, _offsets(path, contents)
        except (OSError, ValueError) as error:
            raise DataError(f"{path.with_suffix('.frames')} cannot be read ({error})") from None
        return self._open[number]

    def _damaged(self, index: int, error: Exception) -> str:
        video, frame = self.locate(np.array([index]))
        name = self.videos[int(video[0])].name
        return f"frame {int(frame[0])} of {name} cannot be decoded ({error}); `vgps video info --verify` names all such"


def _indices(roots: Sequence[Path]) -> list[Path]:
    for root in roots:
        if not root.is_dir():
            raise DataError(f"{root} is not a folder of shards; make one with `vgps video pack`")
    return [path for root in roots for path in sorted(root.glob("shard-*.json"))]


def _check_size(path: Path, contents: Contents) -> None:
    size = path.with_suffix(".frames").stat().st_size
    if size != contents.bytes:
        raise DataError(f"{path.with_suffix('.frames')} has {size} bytes, {contents.bytes} were packed; pack it anew")
    _offsets(path, contents)


def _offsets(path: Path, contents: Contents) -> NDArray[np.uint64]:
    """Where each frame begins, and the end. Shape (frames + 1,)."""
    if contents.form.codec == "raw":
        return np.arange(contents.frames + 1, dtype=np.uint64) * np.uint64(contents.form.frame_bytes)
    offsets = np.load(path.with_suffix(".offsets.npy"), mmap_mode="r", allow_pickle=False)
    if offsets.shape != (contents.frames + 1,) or offsets.dtype != np.uint64 or int(offsets[-1]) != contents.bytes:
        raise DataError(f"{path.with_suffix('.offsets.npy')} does not fit its shard; pack it anew")
    return offsets


def _seen(form: Form) -> str:
    """What frames that are used together must have in common."""
    return f"{form.size} px at {form.hz:g} Hz"
