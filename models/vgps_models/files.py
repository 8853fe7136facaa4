"""Small files that are there whole or not at all, and where none may be put."""

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


def require_outside(path: Path) -> None:
    """Raise DataError when a file to be written lies within a data set, whose folder holds its own files alone."""
    whole = path.absolute()
    for place in (whole, whole.resolve()):
        for folder in place.parents:
            if (folder / DATA_SET).exists():
                raise DataError(f"{path} lies within the data set {folder}; give a path outside of it with --out")
