"""MCAP bags of ROS 2: colour, depth that is aligned to it, and intrinsics, as `realsense2_camera` publishes them with
`align_depth.enable:=true`.

Colour is the topic with pictures in colour; depth the one with 16UC1 [mm] or 32FC1 [m], of several the one whose name
says aligned. Both are paired by their stamps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.data.bags import BROKEN, CHANNELS, COMPRESSED, MOST_PIXELS, RAW, messages, pixels, stamp_of
from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import metres
from vgps_models.rgbd.recording import Faults, Frame, Recording
from vgps_models.spaces import Array

INFO = "sensor_msgs/msg/CameraInfo"
DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


@dataclass
class _Topic:
    """encoding: of its pictures. stamps: of all of them [ns]."""

    encoding: str
    stamps: set[int] = field(default_factory=set)


class BagRecording(Recording):
    def __init__(
        self, path: Path, camera: Intrinsics, colour: tuple[str, _Topic], depth: tuple[str, _Topic], faults: Faults
    ) -> None:
        self._path, self._colour, self._depth = path, colour, depth
        stamps = np.array(sorted(colour[1].stamps))
        super().__init__(path.name, camera, (stamps - stamps[:1]) * 1e-9, None, faults)
        self._partner = _partners(stamps, np.array(sorted(depth[1].stamps)))
        if lost := sum(at is None for at in self._partner.values()):
            faults.add("colour without depth", f"{lost} frames of {colour[0]}")

    @classmethod
    def read(cls, path: Path) -> BagRecording:
        """Raises DataError when colour, depth or intrinsics are missing."""
        path = path if path.is_file() else sorted(path.glob("*.mcap"))[0]
        topics, infos, faults = dict[str, _Topic](), dict[str, Intrinsics](), Faults()
        try:
            for schema, channel, message, decode in messages(path):
                if schema == INFO and channel.topic not in infos:
                    infos[channel.topic] = intrinsics_of(decode(message), channel.topic)
                elif schema in (RAW, COMPRESSED):
                    topic = topics.get(channel.topic)
                    if topic is None:
                        encoding = decode(message).encoding if schema == RAW else "compressed"
                        topic = topics[channel.topic] = _Topic(encoding)
                    topic.stamps.add(stamp_of(message))
        except BROKEN as error:
            faults.add(
                "cut short", f"{path.name} breaks off ({str(error) or type(error).__name__}); read as far as it goes"
            )
        colour = _chosen(topics, lambda t: t.encoding in CHANNELS or t.encoding == "compressed", ("color", "rgb"))
        depth = _chosen(topics, lambda t: t.encoding in DEPTHS, ("aligned", "depth"))
        if colour is None or depth is None:
            raise DataError(
                f"{path} has pictures in {', '.join(f'{n} ({t.encoding})' for n, t in topics.items()) or 'no topic'}; "
                f"expected one in colour and one of depth in {' or '.join(DEPTHS)}, aligned to it"
            )
        return cls(path, _info(infos, colour[0], depth[0], path), colour, depth, faults)

    def frames(self) -> Iterator[Frame]:
        partner, stamps = self._partner, list(self._partner)
        wanted = {at: stamp for stamp, at in partner.items() if at is not None}
        waiting: dict[int, dict[str, Any]] = {stamp: {} for stamp in partner}
        row = 0
        try:
            for schema, channel, message, decode in messages(self._path, [self._colour[0], self._depth[0]]):
                stamp = stamp_of(message)
                if channel.topic == self._colour[0] and stamp in waiting:
                    waiting[stamp]["rgb"] = self._decoded(pixels, decode, message, schema, "colour")
                elif channel.topic == self._depth[0] and (stamp := wanted.get(stamp, -1)) in waiting:
                    waiting[stamp]["depth"] = self._decoded(metric_depth, decode, message, schema, "depth")
                while row < len(stamps) and _whole(waiting[stamps[row]], partner[stamps[row]]):
                    there = waiting.pop(stamps[row])
                    yield self.checked(row, there["rgb"], there.get("depth"))
                    row += 1
        except BROKEN as error:
            self.faults.add(
                "cut short", f"{self.name} breaks off at frame {row} ({str(error) or type(error).__name__})"
            )
        for number in range(row, len(stamps)):  # whose partner never came
            there = waiting[stamps[number]]
            yield self.checked(number, there.get("rgb"), there.get("depth"))

    def _decoded(self, read: Any, decode: Any, message: Any, schema: str, what: str) -> Any:
        try:
            return read(decode(message), schema, f"{self.name} {what}")
        except (DataError, *BROKEN) as error:
            self.faults.add(f"unreadable {what}", str(error))
            return None


def _partners(stamps: Array, depths: Array) -> dict[int, int | None]:
    """Of every stamp of colour, in order, that of the depth nearest to it, if it is near enough [ns]."""
    half = np.median(np.diff(stamps)) / 2 if len(stamps) > 1 else 1.0
    after = np.searchsorted(depths, stamps).clip(1, max(1, len(depths) - 1))
    around = depths[np.stack([after - 1, np.minimum(after, len(depths) - 1)])]
    nearest = np.where(abs(around[0] - stamps) <= abs(around[1] - stamps), around[0], around[1])
    made: dict[int, int | None] = {}
    taken = set[int]()  # a depth is of one moment
    for stamp, at in zip(stamps.tolist(), nearest.tolist(), strict=True):
        near = abs(at - stamp) < half and at not in taken
        made[stamp] = at if near else None
        taken |= {at} if near else set()
    return made


def _whole(there: Mapping[str, Any], partner: int | None) -> bool:
    return "rgb" in there and (partner is None or "depth" in there)


def _chosen(topics: Mapping[str, _Topic], fits: Any, words: tuple[str, ...]) -> tuple[str, _Topic] | None:
    """Of those that fit the one whose name has the most of the words."""
    found = [(name, topic) for name, topic in topics.items() if fits(topic)]
    return max(found, key=lambda one: sum(word in one[0] for word in words), default=None)


def _info(infos: Mapping[str, Intrinsics], colour: str, depth: str, path: Path) -> Intrinsics:
    """Those of the topic beside colour; depth must have the same, or it is not aligned."""
    by_folder = {topic.rpartition("/")[0]: info for topic, info in infos.items()}
    camera = by_folder.get(colour.rpartition("/")[0]) or by_folder.get(
        colour.removesuffix("/compressed").rpartition("/")[0]
    )
    if camera is None:
        raise DataError(
            f"{path} has no {INFO} beside {colour} (found: {', '.join(infos) or 'none'}); record camera_info too"
        )
    other = by_folder.get(depth.rpartition("/")[0])
    if other is not None and other != camera:
        raise SpecError(
            f"{path}: {depth} has intrinsics {other}, {colour} has {camera}; record depth that is aligned to colour "
            "(realsense2_camera: align_depth.enable:=true)"
        )
    return camera


def intrinsics_of(info: Any, topic: str) -> Intrinsics:
    try:
        k = [float(value) for value in info.k]
        return Intrinsics(int(info.width), int(info.height), k[0], k[4], k[2], k[5])
    except (AttributeError, IndexError, ValueError) as error:
        raise SpecError(f"{topic} says no intrinsics: {error}") from error


def metric_depth(message: Any, schema: str, name: str) -> Array:
    """(h, w) [m], NaN for holes. Sizes are checked before they are believed."""
    if message.encoding not in DEPTHS:
        raise DataError(f"{name}: depth is in '{message.encoding}'; {', '.join(DEPTHS)} can be read")
    kind = np.dtype(DEPTHS[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = bytes(message.data)
    if not (0 < height * width <= MOST_PIXELS and step >= width * kind.itemsize and len(data) == height * step):
        raise DataError(f"{name}: depth of {width}x{height} with rows of {step} bytes has {len(data)} bytes")
    rows = np.frombuffer(data, np.uint8).reshape(height, step)[:, : width * kind.itemsize]
    return metres(np.ascontiguousarray(rows).view(kind).astype(kind.newbyteorder("=")))
