"""How frames are stored in shards, and what is written down of every video."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image as Picture

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.spaces import Image
from vgps_models.video.fitting import FITS

FORMAT = "vgps-video-1"
CODECS = ("jpeg", "raw")


@dataclass(frozen=True)
class Form:
    """What all frames of a folder of shards have in common."""

    size: int = 96  # side of a frame [px]
    hz: float = 5.0  # frames a second, whatever the rate of the video
    fit: str = "crop"  # crop: the middle of the longer side | letterbox: all of it, with black bars
    codec: str = "jpeg"  # jpeg: a seventh of the size | raw: uint8 as it is, nothing to decode
    quality: int = 95  # of jpeg, with full colour resolution; 95 keeps small pictures at some 43 dB
    cut_s: float = 60.0  # longer recordings become several videos of this length [s]; 0 for never

    def __post_init__(self) -> None:
        for kind, name, valid in (("fit", self.fit, FITS), ("codec", self.codec, CODECS)):
            if name not in valid:
                raise UnknownNameError(kind, name, valid)
        if not (8 <= self.size <= 1024 and 0 < self.hz <= 240 and 1 <= self.quality <= 100):
            raise SpecError(
                f"size {self.size}, hz {self.hz}, quality {self.quality}; expected 8..1024 px, up to 240 Hz, 1..100"
            )
        if self.cut_s < 0 or 0 < self.cut_s * self.hz < 2:
            raise SpecError(f"pieces of {self.cut_s} s at {self.hz} Hz would hold no two frames; give 0 for never")

    @property
    def longest(self) -> int:
        """Most frames of a video; 0 for any number."""
        return round(self.cut_s * self.hz)

    @property
    def frame_bytes(self) -> int:
        """Of a frame as it is."""
        return self.size * self.size * 3

    def encode(self, image: Image) -> bytes:
        """A frame as it is stored."""
        if self.codec == "raw":
            return image.tobytes()
        buffer = io.BytesIO()
        Picture.fromarray(image).save(buffer, "JPEG", quality=self.quality, subsampling=0)
        return buffer.getvalue()

    def decode(self, content: bytes | memoryview, out: Image) -> None:
        """Write a stored frame into `out` (size, size, 3); ValueError or OSError when it is damaged."""
        if self.codec == "raw":
            out[:] = np.frombuffer(content, np.uint8).reshape(out.shape)
            return
        with Picture.open(io.BytesIO(content)) as picture:
            if picture.size != (self.size, self.size) or picture.mode != "RGB":
                raise ValueError(f"a picture of {picture.size} {picture.mode}")
            out[:] = np.asarray(picture)


@dataclass(frozen=True)
class Video:
    """A stretch of a recording at a constant rate. first: its first frame within its shard."""

    name: str
    source: str
    view: str
    text: str
    embodiment: str
    first: int
    frames: int
    begin_s: float  # where in its recording it begins
    crc32: int  # over its frames as they are stored
    source_hz: float  # average rate of the recording
    repeated: int = 0  # frames that show the same as the one before, because the camera was slower
    rotated: int = 0  # how far the file says to turn it [degrees]
    variable: bool = False  # its frames came at no constant rate
    cut_short: bool = False  # the file breaks after what is here


@dataclass(frozen=True)
class Problem:
    """A recording that cannot be used, or not all of it. kind: a few words to count by."""

    name: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.kind} ({self.reason})"


@dataclass(frozen=True)
class Contents:
    """What is written down of a shard, in its .json file."""

    form: Form
    frames: int
    bytes: int
    videos: tuple[Video, ...]
    problems: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], name: str) -> Contents:
        """DataError when it is no such thing."""
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise DataError(f"{name} is not of the format '{FORMAT}'; pack the videos anew")
        try:
            known = {field.name for field in fields(Form)}
            form = Form(**{key: value for key, value in data["form"].items() if key in known})
            videos = tuple(Video(**video) for video in data["videos"])
            problems = tuple(Problem(**problem) for problem in data["problems"])
            made = cls(form, int(data["frames"]), int(data["bytes"]), videos, problems)
        except (KeyError, TypeError, ValueError, AttributeError, SpecError, UnknownNameError) as error:
            raise DataError(f"{name} is damaged ({error!r}); pack the videos anew") from None
        at = 0
        for video in videos:
            if video.first != at or video.frames < 2:
                raise DataError(f"{name} is damaged: {video.name} is not where it says; pack the videos anew")
            at += video.frames
        if at != made.frames:
            raise DataError(f"{name} is damaged: its videos have {at} frames, not {made.frames}; pack them anew")
        return made
