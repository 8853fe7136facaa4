"""What a camera with depth recorded, frame by frame; damage is counted and read around."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vgps_models.bags.paths import find_bags, is_bag
from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array, Image

GAP = 1.6  # periods between two frames from which on one is missing


@dataclass
class Faults:
    """What is wrong: kind -> every case, in words."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, case: str) -> None:
        self.found.setdefault(kind, []).append(case)

    def lines(self) -> list[str]:
        """A sentence for each kind: how often, and the first case."""
        return [
            f"{kind}: {cases[0]}" if len(cases) == 1 else f"{kind} ({len(cases)} times), first: {cases[0]}"
            for kind, cases in self.found.items()
        ]

    def counts(self) -> dict[str, int]:
        return {kind: len(cases) for kind, cases in self.found.items()}


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment. rgb (h, w, 3) uint8; depth (h, w) [m], NaN for holes, see `lifting.metres`; None where there is none.

    seconds: since the recording began.
    """

    number: int
    seconds: float
    rgb: Image | None
    depth: Array | None


class Recording(ABC):
    """camera: of colour and of depth, which lie over each other. pose (4, 4): of the camera in the arm's base frame, if
    that is known. seconds (T,): of the frames. faults: found so far; what cannot be read is found in reading."""

    def __init__(self, name: str, camera: Intrinsics, seconds: Array, pose: Array | None, faults: Faults) -> None:
        if len(seconds) == 0:
            raise DataError(f"{name} holds no frames of colour")
        self.name, self.camera, self.seconds, self.pose, self.faults = name, camera, seconds, pose, faults
        steps = np.diff(seconds)
        self.period = float(np.median(steps)) if len(steps) else 0.0
        for at, step in zip(seconds, steps, strict=False):
            if step > GAP * self.period:
                lost = round(step / self.period) - 1
                faults.add("missing frames", f"{lost} after {at:.2f} s")

    def __len__(self) -> int:
        return len(self.seconds)

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """All frames in turn. Raises SpecError where a picture is not of the camera's size."""

    def checked(self, number: int, rgb: Image | None, depth: Array | None) -> Frame:
        """A frame whose pictures fit the camera."""
        for what, picture in (("colour", rgb), ("depth", depth)):
            if picture is not None:
                self.camera.require(picture.shape, f"{self.name}: {what} of frame {number}")
        return Frame(number, float(self.seconds[number]), rgb, depth)


def open_recording(path: Path, camera: str = "") -> Recording:
    """A folder of pictures (see `folder`), a bag (see `bags`), or what librealsense records (see `realsense`).

    camera: which one, where a bag has several: its topic in color, or a part of its name.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of color/, depth/ and camera.json, or a bag")
    from vgps_models.rgbd.folder import CAMERAS, FolderRecording

    if not is_bag(path) or any((path / name).exists() for name in CAMERAS):
        return FolderRecording.read(path)
    from vgps_models.rgbd.bags import BagRecording
    from vgps_models.rgbd.realsense import RealsenseRecording
    from vgps_models.rgbd.realsense_files import is_recording

    bags, problems = find_bags(path)
    if len(bags) != 1:
        raise DataError(f"{path} holds {len(bags)} bags ({', '.join(bag.name for bag in bags[:5])}, ..); give one")
    made = RealsenseRecording.read(bags[0]) if is_recording(bags[0]) else BagRecording.read(bags[0], camera)
    for problem in problems:
        made.faults.add("missing files", problem)
    return made
