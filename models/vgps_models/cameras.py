"""Cameras as people name them on a command line, in recordings that name them in their own ways."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vgps_models.errors import DataError, UnknownNameError


def find_part(wanted: str, names: Sequence[str]) -> str:
    """The name of which `wanted` is a part that no other has, as `color` of `/camera/color/image_raw`.

    Parts lie between slashes or dots. Raises UnknownNameError and DataError, which list the names.
    """
    words = _words(wanted)
    found = [name for name in names if words and _holds(_words(name), words)]
    if not found:
        raise UnknownNameError("camera", wanted, names)
    if len(found) > 1:
        raise DataError(f"several cameras are called '{wanted}': {', '.join(found)}; give more of the name")
    return found[0]


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[/.]+", name) if word]


def _holds(words: list[str], some: list[str]) -> bool:
    return any(words[at : at + len(some)] == some for at in range(len(words)))
