"""MCAP bags of ROS 2: colour, depth, and intrinsics, as `realsense2_camera` publishes them.

Colour is the topic with pictures in colour; depth the one with 16UC1 [mm] or 32FC1 [m], of several the one whose name
says aligned (`align_depth.enable:=true`). Where depth is not aligned to colour, it is aligned here if its intrinsics
and /tf_static are in the bag. Both are paired by their stamps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.data.bags import BROKEN, COMPRESSED, ENCODINGS, RAW, messages, pixels, rows_of, stamp_of
from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import metres
from vgps_models.rgbd.alignment import Alignment
from vgps_models.rgbd.paired import COLOUR, DEPTH, Came, PairedRecording, cut_short
from vgps_models.rgbd.recording import Faults
from vgps_models.rgbd.transforms import between, pose_of, turn_of
from vgps_models.spaces import Array

INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


@dataclass
class _Topic:
    """encoding and frame: of its pictures. stamps: of all of them [ns]."""

    encoding: str
    frame: str
    stamps: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Cameras:
    """alignment: of depth to colour, where it is not aligned yet."""

    colour: Intrinsics
    alignment: Alignment | None


class BagRecording(PairedRecording):
    broken = BROKEN

    def __init__(
        self, path: Path, colour: tuple[str, _Topic], depth: tuple[str, _Topic], cameras: _Cameras, faults: Faults
    ) -> None:
        self._path, self._of, self._align = path, {colour[0]: COLOUR, depth[0]: DEPTH}, cameras.alignment
        super().__init__(path.name, cameras.colour, colour[1].stamps, depth[1].stamps, faults)

    @classmethod
    def read(cls, path: Path) -> BagRecording:
        """Raises DataError when colour, depth or intrinsics are missing."""
        path = path if path.is_file() else sorted(path.glob("*.mcap"))[0]
        topics, infos, faults = dict[str, _Topic](), dict[str, Intrinsics](), Faults()
        edges: list[tuple[str, str, Array]] = []
        try:
            for schema, channel, message, decode in messages(path):
                if schema == INFO and channel.topic not in infos:
                    infos[channel.topic] = intrinsics_of(decode(message), channel.topic)
                elif schema == TRANSFORMS and channel.topic == "/tf_static":
                    edges += [_edge(transform) for transform in decode(message).transforms]
                elif schema in (RAW, COMPRESSED):
                    topic = topics.get(channel.topic)
                    if topic is None:
                        first = decode(message)
                        encoding = first.encoding if schema == RAW else "compressed"
                        topic = topics[channel.topic] = _Topic(encoding, first.header.frame_id)
                    topic.stamps.add(stamp_of(message))
        except BROKEN as error:
            cut_short(faults, path.name, error)
        colour = _chosen(topics, lambda t: t.encoding in ENCODINGS or t.encoding == "compressed", ("color", "rgb"))
        depth = _chosen(topics, lambda t: t.encoding in DEPTHS, ("aligned", "depth"))
        if colour is None or depth is None:
            raise DataError(
                f"{path} has pictures in {', '.join(f'{n} ({t.encoding})' for n, t in topics.items()) or 'no topic'}; "
                f"expected one in colour and one of depth in {' or '.join(DEPTHS)}"
            )
        named = depth[1].frame and colour[1].frame
        apart = between(edges, depth[1].frame, colour[1].frame) if named else None
        return cls(path, colour, depth, _cameras(infos, colour[0], depth[0], apart, path), faults)

    def pictures(self) -> Iterator[Came]:
        for schema, channel, message, decode in messages(self._path, list(self._of)):
            if (what := self._of.get(channel.topic)) is None:
                continue

            def decoded(what: str = what, schema: str = schema, message: Any = message, decode: Any = decode) -> Any:
                name = f"{self.name} {what}"
                if what == COLOUR:
                    return pixels(decode(message), schema, name)
                depth = metric_depth(decode(message), schema, name)
                return depth if self._align is None else self._align(depth)

            yield what, stamp_of(message), decoded


def _chosen(topics: Mapping[str, _Topic], fits: Any, words: tuple[str, ...]) -> tuple[str, _Topic] | None:
    """Of those that fit the one whose name has the most of the words."""
    found = [(name, topic) for name, topic in topics.items() if fits(topic)]
    return max(found, key=lambda one: sum(word in one[0] for word in words), default=None)


def _cameras(infos: Mapping[str, Intrinsics], colour: str, depth: str, apart: Array | None, path: Path) -> _Cameras:
    """By the topics beside colour and depth. apart (4, 4): pose of depth's camera in colour's frame, if it is known.

    Without depth's own intrinsics it must be aligned; with others than colour's it is not.
    """
    by_folder = {topic.rpartition("/")[0]: info for topic, info in infos.items()}
    camera = by_folder.get(colour.rpartition("/")[0]) or by_folder.get(
        colour.removesuffix("/compressed").rpartition("/")[0]
    )
    if camera is None:
        raise DataError(
            f"{path} has no {INFO} beside {colour} (found: {', '.join(infos) or 'none'}); record camera_info too"
        )
    other = by_folder.get(depth.rpartition("/")[0])
    if other is not None and apart is not None and not (other == camera and np.allclose(apart, np.eye(4), atol=1e-6)):
        return _Cameras(camera, Alignment(other, camera, apart))
    if other is not None and other != camera:
        raise SpecError(
            f"{path}: {depth} has intrinsics {other}, {colour} has {camera}; record depth that is aligned to colour "
            "(realsense2_camera: align_depth.enable:=true), or /tf_static too"
        )
    return _Cameras(camera, None)


def _edge(stamped: Any) -> tuple[str, str, Array]:
    turn, shift = stamped.transform.rotation, stamped.transform.translation
    pose = pose_of(turn_of(turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z))
    return stamped.header.frame_id, stamped.child_frame_id, pose


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
    rows = rows_of(message, kind.itemsize, f"{name}, depth")
    return metres(np.ascontiguousarray(rows).view(kind).astype(kind.newbyteorder("=")))
