"""Video files of every kind, good and bad, as cameras and accidents make them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

UPRIGHT = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # a display matrix: 90 degrees clockwise


def film(
    path: Path,
    at_ms: Sequence[int],
    shades: Sequence[int] | None = None,
    *,
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    movflags: str = "",
    crf: int = 10,
) -> Path:
    """One grey picture a time [ms], its upper left corner white; with B-frames and few key frames where there are such.

    shades: of the pictures; rising from 20 on if None. size: (height, width). crf: quality; 0 keeps every shade.
    """
    shades = shades or [20 + 180 * i // max(1, len(at_ms) - 1) for i in range(len(at_ms))]
    options = {"bf": "2", "g": "60", "crf": str(crf)} if codec == "libx264" else {"crf": "10", "b": "2M"}
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream: Any = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for shade, ms in zip(shades, at_ms, strict=True):
            picture = np.full((*size, 3), shade, np.uint8)
            picture[: size[0] // 4, : size[1] // 4] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def steady(path: Path, seconds: float, hz: float = 30.0, **how: object) -> Path:
    """A film of a constant rate."""
    return film(path, [round(1000 * i / hz) for i in range(round(seconds * hz))], **how)  # type: ignore[arg-type]


def turned(path: Path) -> Path:
    """The same film as a phone that was held upright marks it: to be shown 90 degrees clockwise."""
    raw = bytearray(path.read_bytes())
    matrix = raw.index(b"tkhd") + 4 + 40  # version, times, track and layer come first
    raw[matrix : matrix + 36] = struct.pack(">9i", *UPRIGHT)
    path.write_bytes(raw)
    return path


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def without_frames(path: Path) -> Path:
    """A film whose header is whole and whose samples are none, as of a recorder that died at once."""
    film(path, (0, 33, 66), movflags="empty_moov+frag_keyframe")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"moof") - 4])  # where the first fragment begins
    return path


def damaged(path: Path, seconds: float) -> Path:
    """A streamable film whose second half is noise."""
    whole = bytearray(steady(path, seconds).read_bytes())
    half = len(whole) // 2
    whole[half:] = np.random.default_rng(0).integers(0, 256, len(whole) - half).astype(np.uint8).tobytes()
    path.write_bytes(whole)
    return path


def pictures(path: Path, images: Sequence[np.ndarray], hz: float, codec: str = "libx264") -> Path:
    """A film of given pictures at a constant rate."""
    options = {"g": "30", "crf": "20"} | ({"preset": "12"} if codec == "libsvtav1" else {"bf": "2"})
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(hz).limit_denominator(1001), options=options)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def trimmed(source: Path, path: Path, begin: float, end: float, *, zero: float | None = None, **options: str) -> Path:
    """A stream copy from `begin` to `end` [s], from the key frame before on, as a cutter without encoding makes it.

    zero: the time in the source that becomes 0; `begin` if None.
    """
    with av.open(str(source)) as given, av.open(str(path), "w", options=options) as made:
        stream: Any = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        tick = float(stream.time_base)
        shift = round((begin if zero is None else zero) / tick)
        given.seek(round(begin / tick), stream=stream)
        for packet in given.demux(stream):
            if packet.pts is not None and packet.dts is not None and packet.pts * tick < end - 1e-6:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                made.mux(packet)
    return path
