"""Frames of any video file at given times: variable rates, rotated phones, sound beside the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Image

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi")
SKIP_S = 1.0  # farther ahead than this it is quicker to seek than to decode on
MOST_PIXELS = 1 << 24  # of one frame; a header that says more is not believed


class NoPictureError(DataError):
    """A file of sound alone, or of nothing that can be shown."""


class NoFramesError(DataError):
    """A file that could hold a video and does not."""


class ForeignVideo:
    """Every error is a DataError naming the file. Times are seconds from the first frame on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container, self._stream = _open(path)
        try:
            self._tick = float(self._stream.time_base)
            self._stamps = self._read_stamps()
        except BaseException:
            self._container.close()
            raise

    @property
    def times(self) -> NDArray[np.float64]:
        """When each frame is shown [s], rising, the first at 0. Shape (N,)."""
        return (self._stamps - self._stamps[0]) * self._tick

    def __len__(self) -> int:
        return len(self._stamps)

    def frames(self, index: NDArray[np.intp], side: int = 512) -> Image:
        """Frames by number, a number perhaps more than once, no longer than `side` [px] on their longer side.

        Only what lies between a key frame and a wanted frame is decoded. Shape (len(index), h, w, 3) uint8 RGB.
        """
        out: list[Image] = []
        each, again = np.unique(index, return_inverse=True)
        wanted = [int(self._stamps[i]) for i in each]
        position: int | None = None
        decoder: Any = None
        try:
            for stamp in wanted:
                if decoder is None or position is None or (stamp - position) * self._tick > SKIP_S:
                    self._container.seek(stamp, stream=self._stream)
                    decoder = self._container.decode(self._stream)
                for frame in decoder:
                    position = frame.pts
                    if position is not None and position >= stamp:
                        out.append(_picture(frame, side))
                        break
                else:
                    break
        except (OSError, av.FFmpegError, ValueError) as error:
            raise DataError(f"{self.path}: frame {int(each[len(out)])} cannot be decoded ({error})") from None
        if len(out) < len(wanted):
            raise DataError(
                f"{self.path}: frame {int(each[len(out)])} of {len(self)} cannot be decoded; it is cut short"
            )
        if len({image.shape for image in out}) > 1:
            raise DataError(f"{self.path}: its frames change their size")
        return np.stack(out)[again]

    def close(self) -> None:
        self._container.close()

    def _read_stamps(self) -> NDArray[np.int64]:
        """Time stamps of all frames, from the packets alone."""
        try:
            stamps = [packet.pts for packet in self._container.demux(self._stream) if packet.pts is not None]
        except (OSError, av.FFmpegError, ValueError) as error:
            raise DataError(f"{self.path} is damaged ({error})") from None
        if not stamps:
            raise NoFramesError(f"{self.path} has no frames")
        return np.unique(np.array(stamps, np.int64))


def play(path: Path, begin: float = 0.0, end: float = math.inf) -> Iterator[tuple[float, Any]]:
    """(seconds since `begin`, frame of PyAV) in the order of showing, up to but not at `end`; decoded when taken.

    begin, end: times in the file [s], its first frame at 0. Frames stay as they were filmed: `upright` turns them.
    Raises DataError naming the file: at once when it cannot be opened, later where it breaks.
    """
    container, stream = _open(path)
    with closing(container):
        tick, first, last = float(stream.time_base), stream.start_time, -math.inf
        try:
            if begin and first is not None:
                container.seek(first + round(begin / tick), stream=stream)
            for frame in container.decode(stream):
                stamp = frame.dts if frame.pts is None else frame.pts
                if stamp is None or getattr(frame, "is_corrupt", False):
                    raise DataError(f"{path} is damaged {_after(last)}")
                first = stamp if first is None else first
                seconds = (stamp - first) * tick
                if seconds >= end - 0.5 * tick:
                    return
                if seconds >= begin - 0.5 * tick and seconds > last:
                    last = seconds
                    yield max(0.0, seconds - begin), frame
        except (OSError, av.FFmpegError, ValueError, OverflowError) as error:
            raise DataError(f"{path} is damaged {_after(last)} ({error})") from None


def _after(seconds: float) -> str:
    return "from its first frame on" if seconds < 0 else f"after {seconds:.1f} s"


def upright(pixels: Image, frame: Any) -> Image:
    """Pixels of a frame as a viewer would show them: turned as the file says."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _open(path: Path) -> tuple[Any, Any]:
    """Container and video stream of a file."""
    try:
        if not path.stat().st_size:
            raise NoFramesError(f"{path} is empty; record or copy it again")
        container: Any = av.open(str(path), "r")
    except (OSError, av.FFmpegError, ValueError) as error:
        raise DataError(f"{path} cannot be opened as a video ({error})") from None
    try:
        if not container.streams.video:
            raise NoPictureError(f"{path} has no picture: {len(container.streams.audio)} sound tracks alone")
        stream: Any = container.streams.video[0]
        if not 0 < stream.width * stream.height <= MOST_PIXELS:
            raise DataError(f"{path} has frames of {stream.width}x{stream.height}; too odd to be read")
    except BaseException:
        container.close()
        raise
    return container, stream


def sample(path: Path, index: NDArray[np.intp], side: int = 512) -> Image:
    """Frames of a file that is opened for this alone; see `ForeignVideo.frames`."""
    with closing(ForeignVideo(path)) as video:
        return video.frames(index, side)


def _picture(frame: Any, side: int) -> Image:
    """As a viewer would show it: scaled down and turned upright."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = (max(1, round(scale * n)) for n in (frame.width, frame.height))
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    return upright(pixels, frame)
