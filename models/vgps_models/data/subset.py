"""A data set of some of another's episodes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.data.layout import LayoutWriter
from vgps_models.data.merge import LOCK
from vgps_models.data.records import open_videos
from vgps_models.data.staging import FOLDER
from vgps_models.data.store import EpisodeStore
from vgps_models.data.writer import EpisodeWriter
from vgps_models.errors import DataError
from vgps_models.files import require_outside


def write_subset(store: EpisodeStore, keep: NDArray[np.bool_], out: Path) -> None:
    """Write the episodes marked in `keep` (M,) as the data set `out`, packets copied as they are; whole or not at all.

    Raises DataError when `out` exists or lies within a data set, or nothing is kept. The images of a data set that
    another program has written again are encoded anew.
    """
    require_outside(out)
    if out.exists():
        raise DataError(f"{out} exists already; name another folder or remove it")
    if not keep.any():
        raise DataError(f"no episode of {store.root} would be kept; nothing was written")
    partial = out.with_name(f".{out.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if store.edited:
        _encode(store, keep, partial)
    else:
        writer = LayoutWriter(partial)
        with open_videos() as videos:
            for episode in np.flatnonzero(keep):
                writer.add(store.stored(int(episode)), videos)
        writer.close()
    partial.rename(out)


def _encode(store: EpisodeStore, keep: NDArray[np.bool_], out: Path) -> None:
    writer = EpisodeWriter(out, spec=store.spec)
    for number in np.flatnonzero(keep):
        writer.write(store.episode(int(number)))
    writer.finalise()
    for left in (out / FOLDER, out / LOCK):
        left.rmdir() if left.is_dir() else left.unlink(missing_ok=True)
