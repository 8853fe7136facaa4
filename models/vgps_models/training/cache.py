"""Cached arrays that several trainers may want at once: made by one of them, read whole by all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.files import require_outside


@contextmanager
def sole(path: Path) -> Iterator[None]:
    """Whoever comes second waits until the first has made `path`. The lock dies with its process."""
    require_outside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(path: Path, array: NDArray) -> None:
    """Write an .npy file whole or not at all."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.npy")
    np.save(partial, array, allow_pickle=False)
    partial.replace(path)
