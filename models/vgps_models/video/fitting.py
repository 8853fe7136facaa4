"""Pictures of any size and direction, made square."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from vgps_models.data.foreign_video import upright
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.spaces import Image

FITS = ("crop", "letterbox")
MOST_SLENDER = 8.0  # longer over shorter side; beyond this it is no picture of a scene


class Fitter:
    """size: side of the square [px]. how: crop keeps the middle of the longer side, letterbox all, with black bars."""

    def __init__(self, size: int, how: str = "crop") -> None:
        if how not in FITS:
            raise UnknownNameError("fit", how, FITS)
        self.size, self.how, self._scaler = size, how, VideoReformatter()

    def __call__(self, picture: Any) -> Image:
        """Of (h, w, 3) uint8 RGB or a frame of PyAV: (size, size, 3) uint8 RGB, turned as the file says."""
        frame = av.VideoFrame.from_ndarray(picture, "rgb24") if isinstance(picture, np.ndarray) else picture
        sides = (frame.width, frame.height)
        if min(sides) < 1 or max(sides) > MOST_SLENDER * min(sides):
            raise DataError(f"a frame of {sides[0]}x{sides[1]} cannot be made square")
        scale = self.size / (min(sides) if self.how == "crop" else max(sides))
        width, height = (max(1, round(scale * side)) for side in sides)
        way = Interpolation.AREA if scale < 1 else Interpolation.BICUBIC
        try:
            scaled = self._scaler.reformat(frame, width=width, height=height, format="rgb24", interpolation=way)
        except (ValueError, OSError, av.FFmpegError) as error:
            raise DataError(f"a frame of {sides[0]}x{sides[1]} cannot be scaled ({error})") from None
        pixels = upright(np.asarray(scaled.to_ndarray(), np.uint8), picture)
        if self.how == "crop":
            top, left = ((side - self.size) // 2 for side in pixels.shape[:2])
            return np.ascontiguousarray(pixels[top : top + self.size, left : left + self.size])
        out = np.zeros((self.size, self.size, 3), np.uint8)
        top, left = ((self.size - side) // 2 for side in pixels.shape[:2])
        out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return out
