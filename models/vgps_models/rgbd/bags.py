"""Bags of ROS: color, depth, and intrinsics, as drivers of depth cameras publish them.

Topics are known by their types and encodings. Of several cameras in color the one is taken that has depth beside it, or
the one that is named; of several topics of depth the one that is aligned to it. Where depth is not aligned to color, it
is aligned here if its intrinsics and how the two frames stand to each other (tf) are in the bag. Both are paired by
their stamps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.bags.clock import Written, time_line
from vgps_models.bags.paths import BagFiles
from vgps_models.bags.pictures import COLOR, COMPRESSED, DEPTHS, GRAY, RAW, Kind, kind_of, pixels
from vgps_models.bags.pictures import DEPTH as DEEP
from vgps_models.bags.reader import messages
from vgps_models.bags.records import Message
from vgps_models.bags.types import decode
from vgps_models.data.lerobot_info import find_camera
from vgps_models.errors import DataError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd.alignment import Alignment
from vgps_models.rgbd.paired import COLOUR, DEPTH, Came, PairedRecording
from vgps_models.rgbd.recording import Faults
from vgps_models.rgbd.ros_messages import intrinsics_of, metric_depth
from vgps_models.rgbd.transforms import between, pose_of, turn_of
from vgps_models.spaces import Array

INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


@dataclass
class _Topic:
    """kind, frame and size (width, height; 0 where only the picture says it): of its first picture."""

    kind: Kind
    frame: str = ""
    size: tuple[int, int] = (0, 0)
    written: list[Written] = field(default_factory=list)


@dataclass(frozen=True)
class _Lens:
    """What a topic says about a camera."""

    topic: str
    frame: str
    camera: Intrinsics


@dataclass
class _Seen:
    """What is in a bag."""

    topics: dict[str, _Topic] = field(default_factory=dict)
    lenses: dict[str, _Lens] = field(default_factory=dict)
    poses: dict[str, tuple[str, Array]] = field(default_factory=dict)  # child -> parent and pose in it
    moving: set[str] = field(default_factory=set)  # frames whose pose changes

    @property
    def edges(self) -> list[tuple[str, str, Array]]:
        return [(parent, child, pose) for child, (parent, pose) in self.poses.items() if child not in self.moving]


class BagRecording(PairedRecording):
    def __init__(
        self, bag: BagFiles, color: str, depth: str, cameras: tuple[Intrinsics, Alignment | None], seen: _Seen,
        faults: Faults,
    ) -> None:  # fmt: skip
        self._bag, self._of, self._align = bag, {color: COLOUR, depth: DEPTH}, cameras[1]
        line = time_line({topic: seen.topics[topic].written for topic in self._of})
        for note in line.notes:
            faults.add("odd times", f"{note}; the longest is used" if "time goes back" in note else note)
        of_color = [moment.part for moment in line.moments[color]]
        part = max(set(of_color), key=of_color.count)
        self._times = {
            topic: {
                (written.stamp, written.log): moment.time
                for written, moment in zip(seen.topics[topic].written, line.moments[topic], strict=True)
                if moment.part == part
            }
            for topic in self._of
        }
        stamps = set(self._times[color].values()), set(self._times[depth].values())
        super().__init__(bag.path.name, cameras[0], *stamps, faults)

    @classmethod
    def read(cls, bag: BagFiles, camera: str = "") -> BagRecording:
        """camera: the topic in color, or a part of its name. Raises DataError when color, depth or intrinsics are
        missing, or several cameras would do."""
        problems: list[str] = []
        seen, faults = _look(bag, problems), Faults()
        for problem in problems:
            faults.add("cut short" if "cut short" in problem else "left out", problem)
        colors = _of_kind(seen, COLOR) or _of_kind(seen, GRAY)
        depths = _of_kind(seen, DEEP)
        if not colors or not depths:
            there = ", ".join(f"{name} ({t.kind.why})" for name, t in seen.topics.items()) or "no images"
            raise DataError(
                f"{bag.path} needs images in color and of depth ({', '.join(DEPTHS)}); it has {there}"
                + "".join(f"; {line}" for line in problems)
            )
        color = _color(seen, colors, depths, camera)
        depth, *others = sorted(depths, key=lambda topic: _fit(seen, color, topic), reverse=True)
        if others and _fit(seen, color, others[0]) == _fit(seen, color, depth):
            faults.add("several topics of depth", f"{depth} is used, {others[0]} is not")
        return cls(bag, color, depth, _cameras(seen, color, depth, bag.path), seen, faults)

    def pictures(self) -> Iterator[Came]:
        for message in messages(self._bag, list(self._of)):
            if (what := self._of.get(message.channel.topic)) is None:
                continue
            time = self._times[message.channel.topic].get((message.stamp, message.log))
            if time is not None:
                yield what, time, lambda what=what, message=message: self._decoded_picture(what, message)

    def _decoded_picture(self, what: str, message: Message) -> Any:
        name = f"{self.name} {what}"
        try:
            said = decode(message)
            if what == COLOUR:
                return pixels(said, message.channel.type, name)
            depth = metric_depth(said, message.channel.type, name)
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f"{name} is damaged ({error})") from error
        return depth if self._align is None else self._align(depth)


def _look(bag: BagFiles, problems: list[str]) -> _Seen:
    seen = _Seen()
    failed: set[str] = set()
    for order, message in enumerate(messages(bag, problems=problems)):
        topic, kind = message.channel.topic, message.channel.type
        try:
            if kind == INFO and topic not in seen.lenses:
                said = decode(message)
                seen.lenses[topic] = _Lens(topic, str(said.header.frame_id), intrinsics_of(said, topic))
            elif kind in TRANSFORMS:
                _note_poses(seen, decode(message))
            elif kind in (RAW, COMPRESSED):
                if topic not in seen.topics:
                    said = decode(message)
                    size = (int(said.width), int(said.height)) if kind == RAW else (0, 0)
                    seen.topics[topic] = _Topic(kind_of(said, kind), str(said.header.frame_id), size)
                seen.topics[topic].written.append(Written(order, message.stamp, message.log))
        except (DataError, SpecError, AttributeError, TypeError, ValueError) as error:
            if topic not in failed:
                failed.add(topic)
                problems.append(str(error))
    return seen


def _note_poses(seen: _Seen, said: Any) -> None:
    for stamped in said.transforms:
        child, (parent, pose) = str(stamped.child_frame_id), _edge(stamped)
        known = seen.poses.setdefault(child, (parent, pose))
        if known[0] != parent or not np.allclose(known[1], pose, atol=1e-6, equal_nan=True):
            seen.moving.add(child)


def _of_kind(seen: _Seen, kind: str) -> list[str]:
    """Topics with such pictures; of a topic and its packed forms the topic itself."""
    found = [topic for topic, about in seen.topics.items() if about.kind.name == kind]
    return [topic for topic in found if _raw(topic) == topic or _raw(topic) not in found]


def _raw(topic: str) -> str:
    """The topic of which image_transport makes others."""
    return topic.removesuffix("/compressed").removesuffix("/compressedDepth")


def _color(seen: _Seen, colors: Sequence[str], depths: Sequence[str], camera: str) -> str:
    if camera:
        return find_camera(camera, colors)

    def rank(topic: str) -> tuple[bool, int]:
        return _lens(seen, topic) is not None, max(_shared(topic, depth) for depth in depths)

    best = max(map(rank, colors))
    found = [topic for topic in colors if rank(topic) == best]
    if len(found) > 1:
        raise DataError(f"several cameras have depth beside them: {', '.join(found)}; name one: --camera {found[0]}")
    return found[0]


def _fit(seen: _Seen, color: str, depth: str) -> tuple[bool, bool, int, bool]:
    """How well a topic of depth goes with one of color, best last."""
    one, other = seen.topics[color], seen.topics[depth]
    lens, depth_lens = _lens(seen, color), _lens(seen, depth)
    same_lens = lens is not None and depth_lens is not None and lens.camera == depth_lens.camera
    aligned = same_lens and one.frame == other.frame
    return aligned, other.kind.why != "mono16", _shared(color, depth), "aligned" in depth


def _shared(one: str, other: str) -> int:
    """How many names two topics have in common at their beginnings."""
    pairs = list(zip(one.split("/"), other.split("/"), strict=False))
    return next((count for count, (a, b) in enumerate(pairs) if a != b), len(pairs))


def _lens(seen: _Seen, topic: str) -> _Lens | None:
    """That of the topic beside it, or of one with the same frame and size."""
    folder = _raw(topic).rpartition("/")[0]
    beside = [lens for lens in seen.lenses.values() if lens.topic.rpartition("/")[0] == folder]
    about = seen.topics[topic]
    framed = [
        lens
        for lens in seen.lenses.values()
        if lens.frame and lens.frame == about.frame and about.size in ((0, 0), (lens.camera.width, lens.camera.height))
    ]
    return next(iter(beside + framed), None)


def _cameras(seen: _Seen, color: str, depth: str, path: Path) -> tuple[Intrinsics, Alignment | None]:
    """Intrinsics of color, and the alignment of depth to it where it is not aligned yet.

    Without depth's own intrinsics it must be aligned; with others than color's it is not.
    """
    mine, theirs = _lens(seen, color), _lens(seen, depth)
    if mine is None:
        found = ", ".join(seen.lenses) or "none"
        raise DataError(f"{path} has no {INFO} beside {color} (found: {found}); record camera_info too")
    if theirs is None:
        return mine.camera, None
    frames = seen.topics[color].frame, seen.topics[depth].frame
    apart = between(seen.edges, frames[1], frames[0]) if all(frames) else None
    if apart is not None and not (theirs.camera == mine.camera and np.allclose(apart, np.eye(4), atol=1e-6)):
        return mine.camera, Alignment(theirs.camera, mine.camera, apart)
    if theirs.camera != mine.camera:
        raise SpecError(
            f"{path}: {depth} has intrinsics {theirs.camera}, {color} has {mine.camera}; record depth that is aligned "
            "to color (realsense2_camera: align_depth.enable:=true), or /tf_static too"
        )
    return mine.camera, None


def _edge(stamped: Any) -> tuple[str, Array]:
    turn, shift = stamped.transform.rotation, stamped.transform.translation
    pose = pose_of(turn_of(turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z))
    return str(stamped.header.frame_id), pose
