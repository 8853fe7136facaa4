"""A right hand's skin and bones: the generic hand of the WebXR input profiles (MIT licence, in `assets/hand`).

Joints are named and their axes lie as in WebXR: -z along the bone to the fingertip, y out of the back of the hand. The
file gives every joint where it is at rest; here a finger's joints hang on each other, and all on the wrist.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import Array

FILE = Path(__file__).resolve().parents[1] / "assets" / "hand" / "right.glb"
FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
PARTS = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
CHAINS = (
    ("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal", "thumb-tip"),
    *(tuple(f"{finger}-{part}" for part in PARTS) for finger in FINGERS),
)
PARENTS: dict[str, str] = {
    joint: before for chain in CHAINS for joint, before in zip(chain, ("wrist", *chain), strict=False)
}
JOINTS = ("wrist", *(joint for chain in CHAINS for joint in chain))
# The 21 landmarks that detectors of hands give, in their order: wrist, then of each finger its joints and its tip.
LANDMARKS = ("wrist", *CHAINS[0], *(joint for chain in CHAINS[1:] for joint in chain[1:]))

Poses = dict[str, Array]  # joint -> (4, 4): its frame in another


@dataclass(frozen=True, eq=False)
class Rig:
    """rest: joint -> its frame at rest (4, 4), in the file's. Skin: vertices (V, 3) [m], faces (F, 3), and of every
    vertex which four joints carry it, numbers of `JOINTS` (V, 4), with weights that add up to 1 (V, 4)."""

    rest: Poses
    vertices: Array
    faces: NDArray[np.int64]
    carried_by: NDArray[np.int64]
    weights: Array

    def pose(self, wrist: Array, bends: Mapping[str, tuple[float, float, float]], size: float = 1.0) -> Poses:
        """Frames of all joints (4, 4) with the wrist at `wrist` (4, 4), in whatever frame that is given in.

        bends: joint -> how far it is bent towards the palm, spread about its y axis and turned about its bone [rad].
        size: 1 for a hand of 19 cm.
        """
        made = {"wrist": wrist}
        for joint, local in self._local.items():
            if size != 1.0:
                local = np.block([[local[:3, :3], size * local[:3, 3:]], [local[3:]]])
            made[joint] = made[PARENTS[joint]] @ local
            if joint in bends:
                made[joint] = made[joint] @ _turn(*bends[joint])
        return made

    @cached_property
    def _local(self) -> Poses:
        """Of every joint but the wrist: its frame in that of the one before."""
        return {joint: np.linalg.inv(self.rest[PARENTS[joint]]) @ self.rest[joint] for joint in JOINTS[1:]}

    def skin(self, poses: Poses, size: float = 1.0) -> Array:
        """Vertices (V, 3) of the skin over posed joints: linear blending."""
        moves = np.stack([poses[j] @ _scaled(size) @ np.linalg.inv(self.rest[j]) for j in JOINTS])
        points = np.c_[self.vertices, np.ones(len(self.vertices))]
        each = np.einsum("vkij,vj->vki", moves[self.carried_by], points)[..., :3]
        return (self.weights[..., None] * each).sum(1)


def landmarks(poses: Poses) -> Array:
    """Where the 21 `LANDMARKS` are (21, 3)."""
    return np.stack([poses[name][:3, 3] for name in LANDMARKS])


@cache
def load_rig(path: Path = FILE) -> Rig:
    """Raises DataError when the file is not such a hand."""
    try:
        scene, read = _glb(path.read_bytes())
        skin = scene["skins"][0]
        names = [scene["nodes"][joint]["name"] for joint in skin["joints"]]
        inverse = read(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
        mesh = scene["meshes"][0]["primitives"][0]
        has = mesh["attributes"]
        order = np.array([JOINTS.index(name) for name in names])
        return Rig(
            {name: np.linalg.inv(matrix) for name, matrix in zip(names, inverse, strict=True)},
            read(has["POSITION"]).astype(np.float64),
            read(mesh["indices"]).reshape(-1, 3).astype(np.int64),
            order[read(has["JOINTS_0"])],
            read(has["WEIGHTS_0"]).astype(np.float64),
        )
    except (KeyError, IndexError, ValueError, struct.error, OSError) as error:
        raise DataError(f"{path} is not the hand it should be: {type(error).__name__}: {error}") from error


KINDS = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def _glb(data: bytes) -> tuple[dict[str, Any], Any]:
    """The scene of a binary glTF 2.0, and what reads one of its accessors as (N, width)."""
    magic, version, _, length, kind = struct.unpack_from("<4sIII4s", data)
    if magic != b"glTF" or version != 2 or kind != b"JSON":
        raise ValueError("no binary glTF 2.0")
    scene = json.loads(data[20 : 20 + length])
    start = 20 + length + 8

    def read(number: int) -> NDArray[Any]:
        accessor = scene["accessors"][number]
        view = scene["bufferViews"][accessor["bufferView"]]
        dtype, width, count = np.dtype(KINDS[accessor["componentType"]]), WIDTHS[accessor["type"]], accessor["count"]
        at = start + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        stride = view.get("byteStride", width * dtype.itemsize)
        if at + (count - 1) * stride + width * dtype.itemsize > len(data):
            raise ValueError("the file ends too early")
        return np.ndarray((count, width), dtype, data, at, (stride, dtype.itemsize)).copy()

    return scene, read


def _turn(bent: float, spread: float, turned: float) -> Array:
    """(4, 4): about y by `spread`, then about x against the palm's side, then about the bone."""
    made = np.eye(4)
    (cy, sy), (cx, sx), (cz, sz) = ((math.cos(a), math.sin(a)) for a in (spread, -bent, turned))
    made[:3, :3] = (
        (cy * cz + sy * sx * sz, sy * sx * cz - cy * sz, sy * cx),
        (cx * sz, cx * cz, -sx),
        (cy * sx * sz - sy * cz, cy * sx * cz + sy * sz, cy * cx),
    )
    return made


def _scaled(size: float) -> Array:
    return np.diag([size, size, size, 1.0])
