"""A data set of some of another's episodes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.data.layout import LayoutWriter
from vgps_models.data.records import open_videos
from vgps_models.data.store import EpisodeStore
from vgps_models.errors import DataError


def write_subset(store: EpisodeStore, keep: NDArray[np.bool_], out: Path) -> None:
    """Write the episodes marked in `keep` (M,) as the data set `out`, packets copied as they are; whole or not at all.

    Raises DataError when `out` exists or nothing is kept.
    """
    if out.exists():
        raise DataError(f"{out} exists already; name another folder or remove it")
    if not keep.any():
        raise DataError(f"no episode of {store.root} would be kept; nothing was written")
    partial = out.with_name(f".{out.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    writer = LayoutWriter(partial)
    with open_videos() as videos:
        for episode in np.flatnonzero(keep):
            writer.add(store.stored(int(episode)), videos)
    writer.close()
    partial.rename(out)
