"""All frames of a small set in memory, each decoded when it is first asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgps_models.spaces import Image
from vgps_models.video.shards import VideoShards

Ints = NDArray[np.int64]


class Cache:
    """As the shards, quicker from the second time on."""

    def __init__(self, shards: VideoShards) -> None:
        self.form, self._shards = shards.form, shards
        size = shards.form.size
        self._frames = np.empty((len(shards), size, size, 3), np.uint8)  # takes memory only where it is written
        self._there = np.zeros(len(shards), np.bool_)

    @staticmethod
    def bytes_of(shards: VideoShards) -> int:
        """Memory that all frames take."""
        return len(shards) * shards.form.frame_bytes

    def read(self, index: Ints) -> Image:
        """Frames by number, in any order. Shape (len(index), size, size, 3) uint8 RGB."""
        missing = np.unique(index[~self._there[index]])
        if len(missing):
            self._frames[missing] = self._shards.read(missing)
            self._there[missing] = True
        return self._frames[index]
