"""Cached arrays that several trainers may want at once: made by one of them, read whole by all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgps_models.files import require_outside


@contextmanager
def sole(path: Path) -> Iterator[None]:
    """Whoever comes second waits until the first has made `path`. The lock dies with its process."""
    require_outside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Rows:
    """An array that is filled from its first row on and kept in a file meanwhile, so that a killed run loses little.

    array: (N, ...), of which the first `done` rows are filled. path: where the whole of it will be; what is not whole
    yet lies in a file beside it, which must not be used by two processes at a time (see `sole`).
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> None:
        self.array = np.empty(shape, dtype)
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._part.parent.mkdir(parents=True, exist_ok=True)
        row = self.array[:1].nbytes
        kept = self._part.stat().st_size // row if row and self._part.exists() else 0
        self.done = min(kept, len(self.array))
        with self._part.open("ab") as file:
            file.truncate(self.done * row)  # a run that was killed may have left half a row
        if self.done:
            flat = np.fromfile(self._part, dtype)
            self.array[: self.done] = flat.reshape(self.done, *shape[1:])

    def keep(self, end: int) -> None:
        """All rows before `end` are filled now."""
        if end > self.done:
            with self._part.open("ab") as file:
                file.write(self.array[self.done : end].tobytes())
            self.done = end

    def finish(self) -> None:
        """All rows are filled: write `path`."""
        save(self._path, self.array)
        self.drop()

    def drop(self) -> None:
        """Remove what is kept."""
        self._part.unlink(missing_ok=True)


def save(path: Path, array: NDArray) -> None:
    """Write an .npy file whole or not at all."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.npy")
    np.save(partial, array, allow_pickle=False)
    partial.replace(path)
