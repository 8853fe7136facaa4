"""Files: written whole or not at all, and recognized where another one was expected."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vgps_models.errors import DataError

DATA_SET = "meta/info.json"  # a folder that has this file is a LeRobot data set
LONGEST_HEADER = 100_000_000  # bytes of a header of safetensors, by its definition
# How files begin that often lie where another is expected, and what they are.
_OTHERS = (
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the file itself; fetch it: git lfs pull"),
    (b"/annex/objects/", "is a git-annex pointer, not the file itself; fetch it: git annex get"),
    (b"<!doctype html", "is a web page, not the file itself; download it again"),
    (b"<html", "is a web page, not the file itself; download it again"),
)
_PICKLE = "which runs code when it is loaded and is therefore never read; save the weights as safetensors"
_OTHER_WEIGHTS = (
    (b"PK\x03\x04", f"is a zip archive, as torch.save writes (.pt, .pth, .bin): a pickle, {_PICKLE}"),
    (b"\x80", f"is a pickle, {_PICKLE}"),
    (b"\x89HDF", "is a file of HDF5, as Keras writes"),
    (b"GGUF", "is a file of llama.cpp (GGUF)"),
)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step, its folder too; a reader meanwhile finds the old one, or none.

    What a link points to is written; a device or a pipe (/dev/null, /dev/stdout) is written to, and never replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


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


def wrong_weights(path: Path) -> str | None:
    """Why a file is not whole safetensors, of whatever weights; None where it is. Raises OSError."""
    if (other := not_the_file(path)) is not None:
        return other
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(9)
        length = int.from_bytes(begin[:8], "little")
        if length > LONGEST_HEADER or begin[8:9] not in (b"{", b""):
            return next((what for magic, what in _OTHER_WEIGHTS if begin.startswith(magic)), "is no safetensors file")
        header = begin[8:] + file.read(min(length - 1, size))
    if len(header) < length:
        return f"is cut off after {size} bytes; copy it again"
    try:
        tensors = json.loads(header)
        end = max((int(t["data_offsets"][1]) for name, t in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        return f"has a damaged header ({error}); copy it again"
    if size != 8 + length + end:
        return f"has {size} of {8 + length + end} bytes; copy it again"
    return None


def require_outside(path: Path) -> None:
    """Raise DataError when a file to be written lies within a data set, whose folder holds its own files alone."""
    whole = path.absolute()
    for place in (whole, whole.resolve()):
        for folder in place.parents:
            if (folder / DATA_SET).exists():
                raise DataError(f"{path} lies within the data set {folder}; give a path outside of it with --out")
