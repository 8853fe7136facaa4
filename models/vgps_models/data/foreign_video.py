"""Frames of any video file at given times: variable rates, trimmed copies, rotated phones, sound beside the picture.

Frames are chosen by presentation time, never by count. Frames that an edit list hides (a stream copy begins with the
key frame before the cut) are not part of a video. `shown_at` is the one rule by which a moment gets its frame.
"""

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
SLACK_S = 2e-3  # containers round their time stamps to milliseconds
MOST_PIXELS = 1 << 24  # of one frame; a header that says more is not believed


Times = NDArray[np.float64]


class NoPictureError(DataError):
    """A file of sound alone, or of nothing that can be shown."""


class NoFramesError(DataError):
    """A file that could hold a video and does not."""


def shown_at(times: Times, wanted: Times, slack: float = SLACK_S) -> NDArray[np.intp]:
    """Index of the last frame that begins at or before each wanted moment, or up to `slack` [s] after it.

    times: when frames begin [s], rising, (N,). Moments before the first frame get the first.
    """
    return np.maximum(np.searchsorted(times, np.asarray(wanted) + slack, side="right") - 1, 0)


def nearest_at(times: Times, wanted: Times) -> NDArray[np.intp]:
    """`shown_at` with a slack of half a usual frame, so that a steady video gives its nearest frame (of two, the
    earlier), and across a gap the frame before it stays."""
    return shown_at(times, wanted, max(SLACK_S, 0.499 * usual_gap(times)))


def usual_gap(times: Times) -> float:
    """Median time between two frames [s]; 0 for a single frame."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def zero_of(first: float, earliest: float | None) -> float:
    """What counts as 0 on the clock of a file whose first frame is at `first` [s].

    earliest: first time in this file that a table of episodes names [s]. Such tables use the file's own clock, unless
    the file begins after the time that they name first: then they count from its first frame. A film without a table
    (None) begins with its first frame.
    """
    return 0.0 if earliest is not None and earliest >= first - SLACK_S else first


class ForeignVideo:
    """Every error is a DataError naming the file.

    earliest: first time in this file that a table of episodes names [s], see `zero_of`.
    """

    def __init__(self, path: Path, earliest: float | None = None) -> None:
        self.path = path
        self._container, self._stream = _open(path)
        try:
            self._tick = float(self._stream.time_base)
            self._stamps = self._read_stamps()
            self._zero = zero_of(float(self._stamps[0]) * self._tick, earliest)
        except BaseException:
            self._container.close()
            raise

    @property
    def times(self) -> Times:
        """When each frame is shown [s], rising; the first at 0 when no table of episodes is given. Shape (N,)."""
        return self._stamps.astype(np.float64) * self._tick - self._zero

    def __len__(self) -> int:
        return len(self._stamps)

    def frames(self, index: NDArray[np.intp], side: int = 512) -> Image:
        """Frames by number, a number perhaps more than once, no longer than `side` [px] on their longer side.

        Only what lies between a key frame and a wanted frame is decoded. Shape (len(index), h, w, 3) uint8 RGB.
        """
        out: list[Image] = []
        each, again = np.unique(index, return_inverse=True)
        wanted = [int(self._stamps[i]) for i in each]
        following = [int(self._stamps[i + 1]) if i + 1 < len(self) else math.inf for i in each]
        position: int | None = None
        decoder: Any = None
        try:
            for stamp, too_late in zip(wanted, following, strict=True):
                if decoder is None or position is None or (stamp - position) * self._tick > SKIP_S:
                    self._container.seek(stamp, stream=self._stream)
                    decoder = self._container.decode(self._stream)
                for frame in decoder:
                    position = _stamp(frame)
                    if position is not None and position >= stamp:
                        break
                if position is None or not stamp <= position < too_late:
                    break
                out.append(_picture(frame, side))
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
        """Time stamps of all frames that are shown, from the packets alone."""
        try:
            packets = self._container.demux(self._stream)
            stamps = [s for p in packets if p.size and not p.is_discard and (s := _stamp(p)) is not None]
        except (OSError, av.FFmpegError, ValueError) as error:
            raise DataError(f"{self.path} is damaged ({error})") from None
        if not stamps:
            raise NoFramesError(f"{self.path} has no frames")
        return np.unique(np.array(stamps, np.int64))


def play(
    path: Path, begin: float = 0.0, end: float = math.inf, earliest: float | None = None
) -> Iterator[tuple[float, Any]]:
    """(seconds since `begin`, frame of PyAV) in the order of showing, up to but not at `end`; decoded when taken.

    begin, end: times in the file [s], its first frame at 0; on the clock of a table of episodes when `earliest` is
    given, see `zero_of`. A frame that begins up to half a frame before a border lies behind it. Frames stay as they
    were filmed: `upright` turns them.
    Raises DataError naming the file: at once when it cannot be opened, later where it breaks.
    """
    container, stream = _open(path)
    with closing(container):
        tick, last = float(stream.time_base), -math.inf
        half = max(SLACK_S, 0.499 / float(stream.guessed_rate or stream.average_rate or math.inf))
        zero = None if stream.start_time is None else zero_of(stream.start_time * tick, earliest)
        try:
            if begin and zero is not None:
                container.seek(round((zero + begin) / tick), stream=stream)
            for frame in container.decode(stream):
                stamp = _stamp(frame)
                if stamp is None or getattr(frame, "is_corrupt", False):
                    raise DataError(f"{path} is damaged {_after(last)}")
                zero = zero_of(stamp * tick, earliest) if zero is None else zero
                seconds = stamp * tick - zero
                if seconds >= end - half:
                    return
                if seconds >= begin - half and seconds > last:
                    last = seconds
                    yield max(0.0, seconds - begin), frame
        except (OSError, av.FFmpegError, ValueError, OverflowError) as error:
            raise DataError(f"{path} is damaged {_after(last)} ({error})") from None


def _stamp(part: Any) -> int | None:
    """Time stamp of a packet or frame [ticks]; of files that store none (AVI), the time of decoding."""
    return part.dts if part.pts is None else part.pts


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
