"""Pictures with named points in them, as plain arrays: what a finder of points learns from.

A folder of shards, each with `meta.json` {"format": "vgps-pictures-1", "count": N, "points": ["wrist", ...]} and

| file | shape | what |
|---|---|---|
| rgb.npy | (N, h, w, 3) uint8 | the picture |
| pixels.npy | (N, K, 2) float32 | where each point is, right and down from the middle of the upper left pixel [px] |
| shown.npy | (N, K) bool | it is in the picture and nothing else is before it |
| under.npy | (N, K) float32 | how far under the surface that is seen it lies, along the ray [m] |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Array, Image

FORMAT = "vgps-pictures-1"
ARRAYS = {"rgb": np.uint8, "pixels": np.float32, "shown": np.bool_, "under": np.float32}


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture: rows of the arrays above."""

    rgb: Image
    pixels: Array
    shown: NDArray[np.bool_]
    under: Array


def write_pictures(folder: Path, points: Sequence[str], pictures: Sequence[Labelled]) -> None:
    """Write one shard; meta.json comes last, so a half-written shard is not taken for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in ARRAYS.items():
        column = np.stack([getattr(one, name) for one in pictures]).astype(kind)
        np.save(folder / f"{name}.npy", column, allow_pickle=False)
    meta = {"format": FORMAT, "count": len(pictures), "points": list(points)}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n", encoding="utf-8")


class Pictures:
    """All shards under a folder as one."""

    def __init__(self, folder: Path) -> None:
        """Raises DataError when there are none, or one is damaged or of other points than the rest."""
        found = sorted(path.parent for path in folder.glob("**/meta.json"))
        if not found:
            raise DataError(f"no pictures under {folder} (no meta.json); make them with: vgps poses --out {folder}")
        self._shards = [_Shard(path) for path in found]
        self.points = self._shards[0].points
        self.size: tuple[int, int] = self._shards[0].arrays["rgb"].shape[1:3]
        for shard, path in zip(self._shards, found, strict=True):
            if shard.points != self.points or shard.arrays["rgb"].shape[1:3] != self.size:
                raise DataError(f"{path} has other points or another size than the shards before it")
        self._starts = np.cumsum([0, *(len(shard) for shard in self._shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> NDArray:
        """A small array of all shards: pixels, shown or under."""
        return np.concatenate([shard.arrays[name] for shard in self._shards])

    def images(self, rows: NDArray[np.int64]) -> Image:
        """Pictures (len(rows), h, w, 3)."""
        out = np.empty((len(rows), *self.size, 3), np.uint8)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        for i, shard in enumerate(self._shards):
            mine = np.flatnonzero(which == i)
            out[mine] = shard.arrays["rgb"][rows[mine] - self._starts[i]]
        return out

    def sha256(self) -> str:
        """Hash of the small arrays and of a sample of the pictures."""
        digest = hashlib.sha256("|".join(self.points).encode())
        for shard in self._shards:
            for name, array in shard.arrays.items():
                rows = array if name != "rgb" else array[:: max(1, len(shard) // 16)]
                digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()


class _Shard:
    def __init__(self, folder: Path) -> None:
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise DataError(f"{folder} has format '{meta['format']}'; this code reads '{FORMAT}'")
            self.points = tuple(map(str, meta["points"]))
            self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
            count, k = int(meta["count"]), len(self.points)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"pictures {folder} cannot be read ({error}); make them again") from error
        shapes = {"pixels": (count, k, 2), "shown": (count, k), "under": (count, k)}
        if len(self.arrays["rgb"]) != count or any(self.arrays[name].shape != s for name, s in shapes.items()):
            raise DataError(f"pictures {folder} are not the {count} that meta.json says; make them again")

    def __len__(self) -> int:
        return len(self.arrays["rgb"])
