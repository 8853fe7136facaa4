"""Cameras as people name them on a command line, in recordings that name them in their own ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vgps_models.errors import DataError, UnknownNameError


def choose_cameras(cameras: Sequence[str], there: Iterable[str]) -> dict[str, str]:
    """Cameras as people name them -> the names in the recording, by the names that they get in a clip.

    cameras: each NAME, or AS=NAME where an estimator knows the camera by another name. NAME is a camera that is there
    or a part of its name which no other has, as `color` of `/camera/color/image_raw` and `front` of
    `observation.images.front`. Raises UnknownNameError and DataError, which list the cameras.
    """
    there = list(there)
    found: dict[str, str] = {}
    for camera in cameras:
        name, equals, wanted = camera.partition("=")
        if not equals or camera in there:
            name = wanted = camera
        matches = [one for one in there if one == wanted] or [one for one in there if _is_part(wanted, one)]
        if not matches:
            raise UnknownNameError("camera", wanted, there)
        if len(matches) > 1:
            raise DataError(f"several cameras are called '{wanted}': {', '.join(matches)}; give more of the name")
        called = name if equals and name else matches[0]
        if found.get(called, matches[0]) != matches[0]:
            raise DataError(f"'{called}' is given twice, as {found[called]} and as {matches[0]}; name each camera once")
        found[called] = matches[0]
    return found


def _is_part(wanted: str, name: str) -> bool:
    """Whether `wanted` is a run of whole words between the slashes or dots of a name."""
    words, parts = (re.split(r"[/.]+", text.strip("/.")) for text in (wanted, name))
    return bool(words[0]) and any(parts[at : at + len(words)] == words for at in range(len(parts)))
