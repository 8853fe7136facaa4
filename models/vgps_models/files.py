"""Files: written whole or not at all, and recognized where another one was expected."""

from __future__ import annotations

import os
from pathlib import Path

from vgps_models.errors import DataError

DATA_SET = "meta/info.json"  # a folder that has this file is a LeRobot data set


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step, its folder too; whoever reads meanwhile finds the old one, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


# How files begin that often lie where another is expected, and what they are.
_OTHERS = (
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the file itself; fetch it: git lfs pull"),
    (b"/annex/objects/", "is a git-annex pointer, not the file itself; fetch it: git annex get"),
    (b"<!doctype html", "is a web page, not the file itself; download it again"),
    (b"<html", "is a web page, not the file itself; download it again"),
)


def not_the_file(path: Path) -> str | None:
    """Why a file cannot be what its name says, whatever that is: it is empty, a pointer of Git LFS or a web page.

    None where nothing of the kind is found. Raises OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(128)
    if not begin:
        return "is empty; copy or record it again"
    start = begin.lstrip().lower()
    return next((what for magic, what in _OTHERS if start.startswith(magic)), None)


def require_outside(path: Path) -> None:
    """Raise DataError when a file to be written lies within a data set, whose folder holds its own files alone."""
    whole = path.absolute()
    for place in (whole, whole.resolve()):
        for folder in place.parents:
            if (folder / DATA_SET).exists():
                raise DataError(f"{path} lies within the data set {folder}; give a path outside of it with --out")
