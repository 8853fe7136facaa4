"""Random scenes for the encoder: images with the simulator's labels, as plain arrays.

A scene set is a folder with `meta.json` and one .npy file an array, or a folder
of such folders (shards). meta.json:

    {"format": "vgps-scenes-1", "count": N, "instructions": ["put ...", ...],
     "cameras": ["front", "wrist"], "keypoints": ["object", "target"]}

| file | shape | what |
|---|---|---|
| <camera>.npy | (N, s, s, 3) uint8 | one view, RGB |
| proprio.npy | (N, 10) float32 | `PROPRIO_NAMES` |
| instruction.npy | (N,) int | index into "instructions" |
| object_position.npy, target_position.npy | (N, 3) float32 | base frame [m] |
| object_yaw.npy | (N,) float32 | about the base z axis [rad] |
| held.npy | (N,) bool | the tool holds the object |
| pixels.npy | (N, cameras, keypoints, 2) float32 | u right, v down [px]; an image spans [0, s) |
| visible.npy | (N, cameras, keypoints) bool | the keypoint is in the image and not hidden |

The last six exist only in simulation and are used as training losses, never as inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.files import require_outside

FORMAT = "vgps-scenes-1"
LABELS = ("object_position", "target_position", "object_yaw", "held", "pixels", "visible")
Arrays = dict[str, NDArray]


def write_scenes(
    folder: Path, arrays: Mapping[str, NDArray], *, instructions: Sequence[str], cameras: Sequence[str],
    keypoints: Sequence[str] = ("object", "target"),
) -> None:  # fmt: skip
    """Write one shard; meta.json comes last, so a half-written shard is not taken for a whole one."""
    require_outside(folder)
    folder.mkdir(parents=True, exist_ok=True)
    meta = {
        "format": FORMAT,
        "count": len(arrays["proprio"]),
        "instructions": list(instructions),
        "cameras": list(cameras),
        "keypoints": list(keypoints),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


class Shard:
    """One folder of arrays, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        try:
            meta = json.loads((folder / "meta.json").read_text())
            if meta["format"] != FORMAT:
                raise DataError(f"{folder}/meta.json has format '{meta['format']}'; this code reads '{FORMAT}'")
            self.count: int = meta["count"]
            self.instructions: list[str] = meta["instructions"]
            self.cameras: list[str] = meta["cameras"]
            self.keypoints: list[str] = meta["keypoints"]
            names = [*self.cameras, "proprio", "instruction", *LABELS]
            self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"scene shard {folder} cannot be read ({error}); collect it again") from error
        for name, array in self.arrays.items():
            if len(array) != self.count:
                raise DataError(
                    f"{folder}/{name}.npy has {len(array)} rows, meta.json says {self.count}; collect it again"
                )


class SceneSet:
    """All shards under a folder as one."""

    def __init__(self, folder: Path) -> None:
        folders = sorted(path.parent for path in folder.glob("**/meta.json"))
        if not folders:
            raise DataError(
                f"no scenes under {folder} (no meta.json); make them with: vgps collect scenes --out {folder}"
            )
        self._shards = [Shard(f) for f in folders]
        one = self._shards[0]
        self.cameras, self.keypoints = one.cameras, one.keypoints
        for shard, where in zip(self._shards, folders, strict=True):
            if (shard.cameras, shard.keypoints) != (one.cameras, one.keypoints):
                raise DataError(f"{where} has cameras {shard.cameras} and keypoints {shard.keypoints}, others differ")
        self.instructions = sorted({i for shard in self._shards for i in shard.instructions})
        row = {name: i for i, name in enumerate(self.instructions)}
        self._renumber = [np.array([row[i] for i in shard.instructions]) for shard in self._shards]
        self._starts = np.cumsum([0, *(s.count for s in self._shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def image_size(self) -> int:
        return int(self._shards[0].arrays[self.cameras[0]].shape[1])

    def column(self, name: str) -> NDArray:
        """A whole small array of all shards."""
        if name == "instruction":
            parts = [r[np.asarray(s.arrays[name])] for r, s in zip(self._renumber, self._shards, strict=True)]
        else:
            parts = [np.asarray(s.arrays[name]) for s in self._shards]
        return np.concatenate(parts)

    def images(self, rows: NDArray) -> NDArray[np.uint8]:
        """Views of some scenes. Shape (len(rows), cameras, s, s, 3)."""
        size = self.image_size
        out = np.empty((len(rows), len(self.cameras), size, size, 3), np.uint8)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        for i, shard in enumerate(self._shards):
            mine = np.flatnonzero(which == i)
            for view, camera in enumerate(self.cameras):
                out[mine, view] = shard.arrays[camera][rows[mine] - self._starts[i]]
        return out

    def sha256(self) -> str:
        """Hash of the small arrays and of a sample of every image array: names a set without reading gigabytes."""
        digest = hashlib.sha256()
        for shard in self._shards:
            for name, array in sorted(shard.arrays.items()):
                digest.update(f"{name}{array.shape}{array.dtype}".encode())
                rows = array if name not in shard.cameras else array[:: max(1, shard.count // 16)]
                digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()
