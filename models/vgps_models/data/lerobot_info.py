"""meta/info.json of a LeRobot data set of any writer: version, rate, cameras; and what counts as a task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgps_models.cameras import find_part
from vgps_models.data.layout import INFO
from vgps_models.errors import DataError, SpecError

PREFIX = "observation.images."
SLOWEST_HZ, FASTEST_HZ = 0.01, 1000.0  # of the rows of a data set; anything else is a mistake
MOST_WORDS = 2000  # characters of a task
# What pandas, JSON and careless f-strings make of a task that is not there.
NO_WORDS = {"", "none", "nan", "null", "<na>", "nat"}


def read_info(root: Path) -> dict[str, Any]:
    """meta/info.json as it is. DataError names the file when it cannot be read."""
    try:
        info = json.loads((root / INFO).read_text(encoding="utf-8"))
        if not isinstance(info, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{root / INFO} cannot be read ({error})") from None
    return info


def words(value: Any) -> str:
    """A task in words; empty when it is missing: null, NaN, blank, their names as text, or not text at all.

    Of a list, the first that is there.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip()
        return "" if text.lower() in NO_WORDS else text[:MOST_WORDS]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return next((text for one in value if (text := words(one))), "")
    return ""


def rate_of(info: Mapping[str, Any], root: Path) -> float:
    """Rows a second [Hz]. DataError names file and value unless it is a number within reason."""
    value = info.get("fps")
    if isinstance(value, bool) or not isinstance(value, int | float) or not SLOWEST_HZ <= value <= FASTEST_HZ:
        shown = "missing" if "fps" not in info else json.dumps(value)
        raise DataError(
            f"{root / INFO} is not that of a LeRobot data set: fps is {shown}; it must be the number of rows a "
            f"second, from {SLOWEST_HZ:g} to {FASTEST_HZ:g}: write there how fast the data set was recorded"
        )
    return float(value)


@dataclass(frozen=True)
class Camera:
    """A feature that holds pictures. key: its name in the data set. stored: "video" or "image" (in the tables).

    size: (height, width) [px]; (0, 0) when info.json does not say.
    """

    key: str
    stored: str
    size: tuple[int, int]


def cameras_of(features: Mapping[str, Any]) -> tuple[dict[str, Camera], list[str]]:
    """Short name -> color camera, in the order of info.json, and the keys of depth cameras, which are left out."""
    found: list[Camera] = []
    depth: list[str] = []
    for key, feature in features.items():
        if feature.get("dtype") not in ("video", "image"):
            continue
        size, channels = _size(feature)
        described = feature.get("info") or feature.get("video_info") or {}
        if channels not in (0, 3, 4) or described.get("video.is_depth_map") or described.get("is_depth_map"):
            depth.append(key)
        else:
            found.append(Camera(key, feature["dtype"], size))
    short = [camera.key.removeprefix(PREFIX) for camera in found]
    names = short if len(set(short)) == len(short) else [camera.key for camera in found]
    return dict(zip(names, found, strict=True)), depth


def _size(feature: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
    """(height, width) and channels; zeros where the feature does not say."""
    shape = [int(n) for n in feature.get("shape") or ()]
    if len(shape) != 3:
        return (0, 0), 0
    names = [str(name) for name in feature.get("names") or ()]
    first = names[0].startswith("channel") if len(names) == 3 else shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4)
    return ((shape[1], shape[2]), shape[0]) if first else ((shape[0], shape[1]), shape[2])


def find_camera(name: str, known: Iterable[str]) -> str:
    """The camera of this name, given whole, in full (`observation.images.front`) or by a part that no other has."""
    names = tuple(known)
    for one in (name, name.removeprefix(PREFIX), PREFIX + name):
        if one in names:
            return one
    return find_part(name, names)


def camera_map(texts: Sequence[str]) -> dict[str, str]:
    """`NAME` or `NAME=CAMERA` each: the name that a clip gives a camera -> the camera of the recording, in order.

    Empty for none, which means all cameras under their own names.
    """
    chosen: dict[str, str] = {}
    for text in texts:
        name, equals, camera = (part.strip() for part in text.partition("="))
        name, camera = name if equals else name.removeprefix(PREFIX), camera if equals else name
        if not name or not camera:
            raise SpecError(f"camera '{text}': write NAME or NAME=CAMERA, such as front=observation.images.cam_high")
        if name in chosen:
            raise SpecError(f"camera '{name}' is given twice")
        chosen[name] = camera
    return chosen
