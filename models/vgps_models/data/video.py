"""Episode frames <-> H.264, and packets from one MP4 file into another without encoding again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Image

BT601, LIMITED_RANGE = 6, 1  # values of ITU-T H.273
TICKS = 90000  # MP4 time scale [1/s]; a multiple of every frame rate in use, so time stamps are exact


@dataclass(frozen=True)
class VideoSettings:
    """How frames are compressed.

    yuv444p, because halving the colour resolution of a 128-pixel image costs 10 dB
    and smears objects that are 4 pixels wide; `ultrafast`, because at equal file
    size it is both the fastest preset and the one with the smallest worst error.
    No B-frames, so that packets can be copied one by one in the order of display.
    """

    crf: int = 12  # constant quality, 0 lossless .. 51
    preset: str = "ultrafast"
    keyframe_every: int = 5  # frames; a random access decodes at most this many
    pixel_format: str = "yuv444p"


def encode(frames: Image, fps: int, settings: VideoSettings = VideoSettings()) -> bytes:
    """(T, height, width, 3) uint8 RGB -> an MP4 file. Deterministic: one thread, no dates."""
    options = {
        "crf": str(settings.crf),
        "preset": settings.preset,
        "g": str(settings.keyframe_every),
        "bf": "0",
        "sc_threshold": "0",
    }
    buffer, convert = io.BytesIO(), VideoReformatter()
    with av.open(buffer, "w", format="mp4", options={"video_track_timescale": str(TICKS)}) as container:
        stream: Any = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = settings.pixel_format
        context = stream.codec_context
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = BT601
        context.color_range = LIMITED_RANGE
        for image in frames:
            frame = convert.reformat(
                av.VideoFrame.from_ndarray(image, "rgb24"),
                format=settings.pixel_format,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


class VideoReader:
    """Frames and packets of an MP4 file by frame index. Every error is a DataError naming `name`."""

    def __init__(self, file: Path | bytes, name: str = "video") -> None:
        self._name = name
        source = io.BytesIO(file) if isinstance(file, bytes) else str(file)
        try:
            self._container: Any = av.open(source, "r")
            self.stream: Any = self._container.streams.video[0]
            self.stream.thread_type = "NONE"  # the same bits on every machine, and the fastest at this size
            # As floats, because PyAV's type of rationals has changed between versions.
            self.fps = round(float(self.stream.average_rate))
            self._frame_ticks = 1.0 / (self.fps * float(self.stream.time_base))
            self.extradata = bytes(self.stream.codec_context.extradata or b"")
        except Exception as error:  # a damaged header can make the library fail in any way
            raise DataError(f"{name} cannot be opened as a video ({error}); run `vgps data repair`") from error

    def packets(self, first: int, count: int) -> Iterator[Any]:
        """Packets of frames first .. first + count - 1, which begin with a key frame."""
        for index, packet in enumerate(self._from(first, count), first):
            if packet.pts != self._ticks(index) or (index == first and not packet.is_keyframe):
                raise DataError(f"{self._name}: frame {index} is not where the episode table says")
            yield packet

    def digest(self, first: int, count: int) -> str:
        """sha256 over the packets of these frames: verifies them without decoding."""
        digest = hashlib.sha256()
        for packet in self.packets(first, count):
            digest.update(packet)
        return digest.hexdigest()

    def header(self) -> str:
        """sha256 over what a decoder needs beside the packets: frame size and stream parameters."""
        return hashlib.sha256(f"{self.stream.height}x{self.stream.width}".encode() + self.extradata).hexdigest()

    def frames(self, first: int, count: int, out: Image | None = None) -> Image:
        """Decoded frames. Shape (count, height, width, 3) uint8 RGB; written into `out` when given."""
        if out is None:
            out = np.empty((count, self.stream.height, self.stream.width, 3), np.uint8)
        convert, done = VideoReformatter(), 0
        try:
            for packet in self.packets(first, count):
                for frame in packet.decode():
                    out[done] = convert.reformat(frame, format="rgb24").to_ndarray()
                    done += 1
            for frame in self.stream.codec_context.decode(None):
                out[done] = convert.reformat(frame, format="rgb24").to_ndarray()
                done += 1
            self.stream.codec_context.flush_buffers()
        except (av.FFmpegError, ValueError, IndexError) as error:
            raise DataError(f"{self._name}: frame {first + done} cannot be decoded ({error})") from error
        if done != count:
            raise DataError(f"{self._name}: {done} of {count} frames from {first} on can be decoded")
        return out

    def pick(self, first: int, index: NDArray[np.intp]) -> Image:
        """Frames first + index, index in rising order, decoding only from the key frame before each one on.

        Shape (len(index), height, width, 3) uint8 RGB.
        """
        out = np.empty((len(index), self.stream.height, self.stream.width, 3), np.uint8)
        convert, wanted = VideoReformatter(), {self._ticks(first + int(i)): at for at, i in enumerate(index)}
        context = self.stream.codec_context
        try:
            for tick in sorted(wanted):
                if tick not in wanted:
                    continue  # came along with an earlier one
                self._container.seek(tick, stream=self.stream)
                for packet in self._container.demux(self.stream):
                    last = not packet.size or packet.pts >= tick
                    decoded = packet.decode() if packet.size else []
                    for frame in [*decoded, *(context.decode(None) if last else [])]:
                        if (at := wanted.pop(frame.pts, None)) is not None:
                            out[at] = convert.reformat(frame, format="rgb24").to_ndarray()
                    if last:
                        context.flush_buffers()
                        break
        except (OSError, av.FFmpegError, ValueError, OverflowError) as error:
            raise DataError(f"{self._name}: frames from {first} on cannot be decoded ({error})") from error
        if wanted:
            raise DataError(f"{self._name}: {len(wanted)} of {len(index)} frames from {first} on cannot be decoded")
        return out

    def _ticks(self, index: int) -> int:
        return round(index * self._frame_ticks)

    def _from(self, first: int, count: int) -> Iterator[Any]:
        try:
            self._container.seek(self._ticks(first), stream=self.stream)
            for packet in self._container.demux(self.stream):
                if not count or not packet.size:
                    break
                yield packet
                count -= 1
        except (OSError, av.FFmpegError, ValueError, OverflowError) as error:
            raise DataError(f"{self._name} is damaged ({error})") from error
        if count:
            raise DataError(f"{self._name} ends {count} frames too early")

    def close(self) -> None:
        self._container.close()


class VideoCopier:
    """Appends episodes to one MP4 file by copying their packets."""

    def __init__(self, path: Path, template: VideoReader) -> None:
        self.frames, self.size, self.extradata, self._fps = 0, 0, template.extradata, template.fps
        # The index goes to the front: of a file that was cut short, the episodes before the cut stay readable.
        options = {"video_track_timescale": str(TICKS), "movflags": "+faststart"}
        self._container: Any = av.open(str(path), "w", format="mp4", options=options)
        self._stream: Any = self._container.add_stream_from_template(template.stream)

    def append(self, packets: list[Any]) -> None:
        """Packets of one episode, in order."""
        for packet in packets:
            self.size += packet.size
            packet.time_base = Fraction(1, self._fps)
            packet.pts = packet.dts = self.frames
            packet.duration = 1
            packet.stream = self._stream
            self._container.mux(packet)
            self.frames += 1

    def close(self) -> None:
        self._container.close()
