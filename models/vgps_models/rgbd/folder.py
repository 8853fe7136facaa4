"""Folders of colour and depth, one picture a file.

| file | what |
|---|---|
| `color/000000.jpg` .. (or `.png`) | RGB |
| `depth/000000.png` .. | 16 bit, aligned to colour, `depth_scale` units a metre, 0 for holes |
| `camera.json` | {"width", "height", "fx", "fy", "cx", "cy", "depth_scale": 1000, "fps": 30, "pose"} |
| `times.csv`, may be left out | number,seconds of every frame |

pose, which may be left out: of the camera in the arm's base frame, 4 x 4, x to the right, y down, z forward. A number
that one of colour and depth lacks is a missing frame. What Open3D's RealSense recorder writes is the same with
`intrinsic.json` ("intrinsic_matrix" by columns) in place of `camera.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from vgps_models.errors import DataError, SpecError
from vgps_models.files import write_whole
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd.recording import Faults, Frame, Recording
from vgps_models.spaces import Array, Image

CAMERAS = ("camera.json", "intrinsic.json")
COLOURS = (".jpg", ".jpeg", ".png")
MOST_PIXELS = 1 << 24
BROKEN = (OSError, ValueError, SyntaxError, UnidentifiedImageError)  # what readers of pictures raise on damaged bytes


class FolderRecording(Recording):
    def __init__(
        self, folder: Path, camera: Intrinsics, numbers: list[int], seconds: Array, pose: Array | None, scale: float,
        faults: Faults,
    ) -> None:  # fmt: skip
        super().__init__(folder.name, camera, seconds, pose, faults)
        self._folder, self._numbers, self._scale = folder, numbers, scale
        self._colours, self._depths = _files(folder / "color", COLOURS), _files(folder / "depth", (".png",))

    @classmethod
    def read(cls, folder: Path) -> FolderRecording:
        """Raises DataError when it is no such folder, SpecError for a camera that cannot be."""
        told = _camera(folder)
        try:
            camera, scale, fps, pose = _intrinsics(told), float(told["depth_scale"]), float(told["fps"]), _pose(told)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{folder}: its camera lacks or garbles {error}; {', '.join(CAMERAS)} say it") from error
        if not (scale > 0 and fps > 0):
            raise SpecError(f"{folder}: depth_scale {scale} and fps {fps} must be above 0")
        numbers = sorted(_files(folder / "color", COLOURS))
        times = _times(folder / "times.csv")
        first = numbers[0] if numbers else 0
        seconds = np.array([times.get(number, (number - first) / fps) for number in numbers], np.float64)
        if (np.diff(seconds) <= 0).any():
            raise DataError(f"{folder}/times.csv does not rise")
        faults = Faults()
        for number in sorted(set(_files(folder / "depth", (".png",))) - set(numbers)):
            faults.add("depth without colour", f"frame {number}")
        return cls(folder, camera, numbers, seconds, pose, scale, faults)

    def frames(self) -> Iterator[Frame]:
        for row, number in enumerate(self._numbers):
            rgb = self._read(_colour, self._colours[number], "unreadable colour")
            depth: Array | None = None
            if number not in self._depths:
                self.faults.add("colour without depth", f"frame {number}")
            elif (read := self._read(_depth, self._depths[number], "unreadable depth")) is not None:
                depth = np.where(read > 0, read / self._scale, np.nan)
            yield self.checked(row, rgb, depth)

    def _read(self, read: Any, path: Path, kind: str) -> Any:
        try:
            return read(path)
        except BROKEN as error:
            self.faults.add(kind, f"{path.parent.name}/{path.name}: {str(error).splitlines()[0]}")
            return None


def write_folder(
    folder: Path, camera: Intrinsics, frames: Iterator[tuple[Image, Array]], *, fps: float, pose: Array | None = None,
    scale: float = 1000.0,
) -> int:  # fmt: skip
    """Write colour and depth [m]; `camera.json` comes last. How many frames there were."""
    count = 0
    for part in ("color", "depth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for count, (rgb, depth) in enumerate(frames, start=1):
        stem = f"{count - 1:06d}"
        Picture.fromarray(rgb).save(folder / "color" / f"{stem}.jpg", quality=95)
        units = np.nan_to_num(depth * scale, posinf=0.0).clip(0, 65535).round().astype(np.uint16)
        Picture.fromarray(units).save(folder / "depth" / f"{stem}.png")
    told = {name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    told |= {"depth_scale": scale, "fps": fps} | ({} if pose is None else {"pose": pose.tolist()})
    write_whole(folder / "camera.json", (json.dumps(told, indent=1) + "\n").encode())
    return count


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    return {int(p.stem): p for p in folder.glob("*") if p.suffix.lower() in suffixes and p.stem.isdecimal()}


def _camera(folder: Path) -> Mapping[str, Any]:
    for name in CAMERAS:
        try:
            told = json.loads((folder / name).read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / name} cannot be read ({error})") from error
        if not isinstance(told, dict):
            raise DataError(f"{folder / name} is no object")
        return {"depth_scale": 1000.0, "fps": 30.0} | told
    raise DataError(
        f"{folder} is no recording: expected {' or '.join(CAMERAS)} beside color/ and depth/, or a .mcap, .bag or .db3 "
        "file"
    )


def _intrinsics(told: Mapping[str, Any]) -> Intrinsics:
    size = int(told["width"]), int(told["height"])
    if "intrinsic_matrix" in told:
        fx, _, _, _, fy, _, cx, cy, _ = map(float, told["intrinsic_matrix"])
        return Intrinsics(*size, fx, fy, cx, cy)
    return Intrinsics(*size, *(float(told[name]) for name in ("fx", "fy", "cx", "cy")))


def _pose(told: Mapping[str, Any]) -> Array | None:
    if told.get("pose") is None:
        return None
    pose = np.array(told["pose"], np.float64)
    if pose.shape != (4, 4) or not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3):
        raise ValueError("pose, which must be 4 x 4 with a rotation in it")
    return pose


def _times(path: Path) -> dict[int, float]:
    if not path.exists():
        return {}
    try:
        rows = [line.split(",") for line in path.read_text(encoding="utf-8-sig").splitlines()[1:] if line.strip()]
        return {int(number): float(seconds) for number, seconds in rows}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); expected number,seconds in every line") from error


def _colour(path: Path) -> Image:
    with Picture.open(path) as picture:
        return np.asarray(_sized(picture).convert("RGB"))


def _depth(path: Path) -> Array:
    with Picture.open(path) as picture:
        units = np.asarray(_sized(picture))
    if units.ndim != 2 or units.dtype.kind not in "iu":
        raise ValueError(f"{units.dtype} of shape {units.shape}, not 16 bit of one channel")
    return units.astype(np.float64)


def _sized(picture: Picture.Image) -> Picture.Image:
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
    return picture
