"""Recordings of librealsense itself (realsense-viewer, `enable_record_to_file`), see `realsense_files`.

Depth is not aligned to colour in them: it is brought into the colour camera's frame by both intrinsics and the
extrinsics, see `alignment`; distortion is taken out of colour. Stamps are those of the frames, or, where the two
streams have different clocks, those of when they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from vgps_models.bags.paths import BagFiles
from vgps_models.bags.pictures import ENCODINGS, MOST_PIXELS, RAW, pixels
from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import metres
from vgps_models.rgbd.alignment import Alignment
from vgps_models.rgbd.lens import straightener
from vgps_models.rgbd.paired import COLOUR, DEPTH, Came, PairedRecording
from vgps_models.rgbd.realsense_files import Raw, Told, facts
from vgps_models.rgbd.recording import Faults
from vgps_models.rgbd.ros_messages import metric_depth
from vgps_models.spaces import Array, Image

Z16 = "mono16"  # how depth is called


@dataclass
class Stream:
    """What is told of one. size (width, height) and encoding: of its first picture. cameras: of every size it may have.
    stamps: of the frames [ns], by when they were written. pose (4, 4): of its group's reference in its frame."""

    name: str
    encoding: str = ""
    size: tuple[int, int] = (0, 0)
    cameras: dict[tuple[int, int], Told] = field(default_factory=dict)
    stamps: dict[int, int] = field(default_factory=dict)
    clock: str = ""
    group: str = ""
    pose: Array | None = None

    @property
    def told(self) -> Told:
        if self.size not in self.cameras:
            known = ", ".join(f"{width} x {height}" for width, height in self.cameras) or "no size"
            raise SpecError(f"{self.name} is {self.size[0]} x {self.size[1]} px, but the intrinsics are of {known}")
        return self.cameras[self.size]

    @property
    def camera(self) -> Intrinsics:
        return Intrinsics(self.told.width, self.told.height, *self.told.pinhole)


class RealsenseRecording(PairedRecording):
    def __init__(self, bag: BagFiles, colour: Stream, depth: Stream, units: float, faults: Faults) -> None:
        """units: metres of a step of depth, where its pictures do not say."""
        self._bag, self._units, self._of = bag, units, {colour.name: COLOUR, depth.name: DEPTH}
        self._straight = straightener(colour.camera, colour.told.model, colour.told.distortion)
        if straightener(depth.camera, depth.told.model, depth.told.distortion) is not None:
            raise SpecError(
                f"{bag.path}: {depth.name} is distorted, {depth.told.distortion}; rectified depth can be read"
            )
        self._align = Alignment(depth.camera, colour.camera, _between(depth, colour, bag.path))
        self._stamps = {
            what: stream.stamps if depth.clock == colour.clock else {at: at for at in stream.stamps}
            for what, stream in ((COLOUR, colour), (DEPTH, depth))
        }
        taken = self._stamps[COLOUR].values(), self._stamps[DEPTH].values()
        super().__init__(bag.path.name, colour.camera, set(taken[0]), set(taken[1]), faults)

    @classmethod
    def read(cls, bag: BagFiles) -> RealsenseRecording:
        """Raises DataError when colour, depth, extrinsics or the unit of depth are missing, SpecError for intrinsics of
        another size and distortion that is not known."""
        streams, units, faults, problems = dict[str, Stream](), dict[str, float](), Faults(), list[str]()
        for fact in facts(bag, problems):
            if fact.what == "units":
                units[fact.of] = fact.value
            else:
                _note(streams.setdefault(fact.of, Stream(fact.of)), fact.written, fact.what, fact.value)
        for problem in problems:
            faults.add("cut short" if "cut short" in problem else "damaged", problem)
        colour, depth = (_first(streams, kind) for kind in ("Color", "Depth"))
        if colour is None or depth is None:
            seen = ", ".join(name for name, stream in sorted(streams.items()) if stream.stamps) or "none"
            raise DataError(
                f"{bag.path} has no pictures of a stream Color and of a stream Depth, as librealsense records them "
                f"(found: {seen}){''.join(f'; {line}' for line in faults.lines())}"
            )
        for stream, known in ((colour, ENCODINGS), (depth, (Z16,))):
            if stream.encoding not in (*known, "compressed"):
                raise DataError(f"{bag.path}: {stream.name} is in '{stream.encoding}'; {', '.join(known)} can be read")
        return cls(bag, colour, depth, units.get(depth.name.rpartition("/")[0], 0.0), faults)

    def pictures(self) -> Iterator[Came]:
        for fact in facts(self._bag, []):
            if fact.what == "picture" and (what := self._of.get(fact.of)) is not None:
                decode = self._colour if what == COLOUR else self._depth
                yield what, self._stamps[what][fact.written], partial(decode, fact.value)

    def _colour(self, raw: Raw) -> Image:
        name = f"{self.name} colour"
        if raw.encoding == "compressed":
            made = np.asarray(_picture(raw).convert("RGB"))
        else:
            made = pixels(raw, RAW, name)
        self.camera.require(made.shape, name)
        return made if self._straight is None else self._straight(made)

    def _depth(self, raw: Raw) -> Array:
        name, units = f"{self.name} depth", raw.units or self._units
        if units <= 0:
            raise DataError(f"{name}: nothing says its unit (option Depth Units)")
        packed = raw.encoding == "compressed"
        return self._align(
            (metres(np.asarray(_picture(raw))) if packed else metric_depth(raw, RAW, name)) * 1000 * units
        )


def _note(stream: Stream, written: int, what: str, value: Any) -> None:
    if what == "picture":
        stream.stamps[written] = value.stamp or written
        if not stream.encoding:
            with suppress(OSError):  # it may be damaged, and the next one whole
                packed = value.encoding == "compressed"
                stream.size = _picture(value).size if packed else (value.width, value.height)
                stream.encoding = value.encoding
    elif what == "stamp" and written in stream.stamps:
        stream.stamps[written] = value
    elif what == "camera":
        stream.cameras[value.width, value.height] = value
    elif what in ("clock", "group", "pose"):
        setattr(stream, what, value)


def _first(streams: Mapping[str, Stream], kind: str) -> Stream | None:
    """Of those of a kind that have pictures: of several devices the first."""
    found = [name for name, stream in streams.items() if stream.stamps and f"/{kind}_" in name]
    return streams[min(found)] if found else None


def _between(depth: Stream, colour: Stream, path: Path) -> Array:
    """Pose (4, 4) of the depth camera in colour's frame."""
    if depth.pose is None or colour.pose is None or depth.group != colour.group:
        raise DataError(f"{path} does not say how {depth.name} stands to {colour.name} (extrinsics, ../tf/0)")
    return colour.pose @ np.linalg.inv(depth.pose)


def _picture(raw: Raw) -> Picture.Image:
    """Of a PNG. Its size is checked before it is believed."""
    picture = Picture.open(BytesIO(raw.data))
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(f"a picture of {picture.width}x{picture.height} is too large")
    return picture
