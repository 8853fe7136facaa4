"""Pictures in messages of ROS: what kind they are, and their pixels. Needs no library that reads bags.

A message may come from a bag or from a running graph.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from vgps_models.bags.yuv import ORDERS, rgb_of_yuv
from vgps_models.errors import DataError
from vgps_models.spaces import Image

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
GRAYS = ("mono8", "8UC1")
CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}
CHANNELS |= dict.fromkeys(GRAYS, (0, 0, 0))
ENCODINGS = (*CHANNELS, *ORDERS)  # that make a picture in RGB
DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
COLOR, GRAY, DEPTH = "color", "gray", "depth"
MOST_PIXELS = 1 << 24
PNG = b"\x89PNG"
# Types that hold pictures which cannot be read, and what they are.
UNREAD = {
    "foxglove.CompressedImage": "a compressed image by Foxglove's schema",
    "foxglove.RawImage": "a raw image by Foxglove's schema",
    "foxglove.CompressedVideo": "video by Foxglove's schema",
    "foxglove_msgs/msg/CompressedImage": "a compressed image by Foxglove's schema",
    "foxglove_msgs/msg/RawImage": "a raw image by Foxglove's schema",
    "foxglove_msgs/msg/CompressedVideo": "video by Foxglove's schema",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": "video of ffmpeg_image_transport",
    "theora_image_transport/msg/Packet": "video of theora_image_transport",
    "stereo_msgs/msg/DisparityImage": "a disparity image",
    "point_cloud_interfaces/msg/CompressedPointCloud2": "a compressed point cloud",
}


@dataclass(frozen=True)
class Kind:
    """What the pictures of a topic show. name: color, gray, depth, or empty for what cannot be read; why: the encoding,
    or for the last the reason."""

    name: str
    why: str


def kind_of(message: Any, type: str) -> Kind:
    """Of a message of `type`, RAW or COMPRESSED. Raises DataError where it does not have what that type has."""
    try:
        if type == RAW:
            return _kind_of_encoding(str(message.encoding))
        return _kind_of_format(str(message.format), message.data)
    except AttributeError as error:
        raise DataError(f"its type says {type}, but its messages lack a field ({error})") from error


def pixels(message: Any, type: str, name: str) -> Image:
    """(h, w, 3) uint8 RGB. name: of the pictures, for errors. Sizes are checked before they are believed."""
    if type == COMPRESSED:
        return np.asarray(_opened(message.data, name).convert("RGB"))
    if message.encoding in ORDERS:
        if message.width % 2:
            raise DataError(f"{name}: two pixels share a color in '{message.encoding}', but {message.width} is odd")
        return rgb_of_yuv(_rows(message, 2, name), message.encoding)
    if message.encoding not in CHANNELS:
        raise DataError(f"{name}: images are in '{message.encoding}'; {', '.join(ENCODINGS)} can be read")
    channels = CHANNELS[message.encoding]
    size = 1 if message.encoding in GRAYS else 4 if "a" in message.encoding else 3
    rows = _rows(message, size, name).reshape(message.height, message.width, size)
    return np.ascontiguousarray(rows[..., :3] if channels == (0, 1, 2) else rows[..., list(channels)])


def depth_units(message: Any, type: str, name: str) -> NDArray[Any]:
    """(h, w) of uint16 [mm] or float32 [m], as it was written. Sizes are checked before they are believed."""
    if type == COMPRESSED:
        return _compressed_depth(message, name)
    if message.encoding not in DEPTHS:
        raise DataError(f"{name}: depth is in '{message.encoding}'; {', '.join(DEPTHS)} can be read")
    kind = np.dtype(DEPTHS[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    rows = _rows(message, kind.itemsize, name)
    return np.ascontiguousarray(rows).view(kind).astype(kind.newbyteorder("="))


def _kind_of_encoding(encoding: str) -> Kind:
    if encoding in GRAYS:
        return Kind(GRAY, encoding)
    if encoding in ENCODINGS:
        return Kind(COLOR, encoding)
    if encoding in DEPTHS:
        return Kind(DEPTH, encoding)
    if encoding.startswith("bayer_"):
        return Kind("", f"is in '{encoding}', raw data of a sensor; record the topic that image_proc makes of it")
    return Kind("", f"is in the encoding '{encoding}'; {', '.join(ENCODINGS)} can be read")


def _kind_of_format(format: str, data: Any) -> Kind:
    """By the pixels where they can be opened: `format` is free text, as `rgb8; jpeg compressed bgr8`."""
    original = format.split(";")[0].strip()
    if "compressedDepth" in format or original in DEPTHS:
        return Kind(DEPTH, format)
    try:
        with _opened(data, "") as picture:
            if picture.mode.startswith(("I", "F")):
                return Kind(DEPTH, f"{format or 'compressed'}, {picture.mode}")
            return Kind(GRAY if picture.mode in ("L", "1") else COLOR, format or "compressed")
    except DataError:
        return Kind("", f"is in the format '{format}'; jpeg, png and what else Pillow opens can be read")


def _opened(data: Any, name: str) -> Picture.Image:
    try:
        picture = Picture.open(io.BytesIO(bytes(data)))
        if picture.width * picture.height > MOST_PIXELS:
            raise DataError(f"{name}: an image of {picture.width}x{picture.height} is too large")
        picture.load()
        return picture
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise DataError(f"{name}: a compressed image cannot be read ({error})") from None


def _compressed_depth(message: Any, name: str) -> NDArray[Any]:
    """A PNG, behind the short header of compressed_depth_image_transport where it comes from there."""
    data = bytes(message.data)
    at = data[:32].find(PNG)
    if at < 0:
        raise DataError(f"{name}: depth is packed as '{message.format}'; PNG can be read")
    units = np.asarray(_opened(data[at:], name))
    if units.ndim != 2:
        raise DataError(f"{name}: a depth image has {units.shape[-1]} channels")
    if not str(message.format).startswith("32FC1"):
        return units.astype(np.uint16)
    if at < 12:
        raise DataError(f"{name}: nothing says how its depth is packed")
    # Depth in metres is packed as its inverse: stored = a / depth + b.
    a, b = struct.unpack_from("<ff", data, at - 8)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(units > 0, a / (units.astype(np.float32) - b), np.nan).astype(np.float32)


def _rows(message: Any, size: int, name: str) -> Image:
    """The rows of a raw image, (height, width * size) uint8, without what pads them. size: bytes of a pixel."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if not (0 < height * width <= MOST_PIXELS and step >= width * size and len(data) == height * step):
        raise DataError(f"{name}: an image of {width}x{height} with rows of {step} bytes has {len(data)} bytes")
    return data.reshape(height, step)[:, : width * size]
