"""MCAP bags of ROS 2: when each camera saw something, what was to be done, and the pictures themselves.

A bag is cut into attempts where the task state counts another episode; without one it is a single attempt. A bag that
was cut short, as by a power failure, is read as far as it goes, and that is said.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from vgps_models.contract import Contract
from vgps_models.data.yuv import ORDERS, rgb_of_yuv
from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.spaces import Image

try:
    from mcap.exceptions import McapError
    from mcap.reader import NonSeekingReader, make_reader
    from mcap_ros2.decoder import DecoderFactory
except ImportError as error:
    raise MissingDependencyError(
        "reading MCAP bags needs two small packages; install them with: pip install 'vgps[bags]'"
    ) from error

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
ENCODINGS = (*CHANNELS, *ORDERS)
MOST_PIXELS = 1 << 24
BEFORE = -1  # the episode of what was seen before any task state, or without one
BROKEN = (
    McapError,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    KeyError,
    struct.error,
)  # what readers raise on damaged bytes


@dataclass
class Attempt:
    """A stretch of a bag. topics: camera -> where its images are. times: camera -> their log times [ns], rising."""

    name: str
    path: Path
    episode: int
    task: str = ""
    success: bool | None = None
    topics: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[int]] = field(default_factory=dict)


class BagIndex:
    """All attempts of one .mcap file, or of a folder of them (a bag folder of rosbag2, or several).

    Cameras of the contract go by their names there, others by their topics. Images are not decoded for this.
    """

    def __init__(self, path: Path) -> None:
        self.problems: list[str] = []
        self.attempts: list[Attempt] = []
        contract = Contract.load()
        self._names = {feature.topic: name for name, feature in contract.images.items()}
        self._task_topic = contract.task.topic
        for file in [path] if path.is_file() else sorted(path.rglob("*.mcap")):
            self._add(file)

    def _add(self, path: Path) -> None:
        attempts: dict[int, Attempt] = {}
        states: list[tuple[int, int]] = []  # (stamp, episode)
        seen: list[tuple[int, str, int]] = []  # (stamp, topic, log time) of the images

        def attempt_of(episode: int) -> Attempt:
            return attempts.setdefault(episode, Attempt("", path, episode))

        try:
            for schema, channel, message, decode in messages(path):
                if channel.topic == self._task_topic:
                    state = decode(message)
                    states.append((stamp_of(message), int(state.episode)))
                    attempt = attempt_of(int(state.episode))
                    attempt.task = attempt.task or str(state.instruction)
                    attempt.success = bool(state.success) or bool(attempt.success)
                elif schema in (RAW, COMPRESSED):
                    seen.append((stamp_of(message), channel.topic, message.log_time))
        except BROKEN as error:
            told = str(error) or type(error).__name__
            self.problems.append(f"{path} is damaged or cut short ({told}); it was read as far as it goes")
        # By stamp and not by arrival: an episode's first image may come before its first state.
        states.sort()
        began = [stamp for stamp, _ in states]
        for stamp, topic, log_time in seen:
            at = bisect_right(began, stamp) - 1
            attempt = attempt_of(states[at][1] if at >= 0 else BEFORE)
            camera = self._names.get(topic) or topic
            attempt.topics[camera] = topic
            attempt.times.setdefault(camera, []).append(log_time)
        for episode, attempt in attempts.items():
            attempt.name = path.stem if len(attempts) == 1 else f"{path.stem} episode {episode}"
            for times in attempt.times.values():
                times.sort()
        self.attempts += attempts.values()
        if not attempts and not self.problems:
            self.problems.append(f"{path} holds no images")


def images(attempt: Attempt, camera: str, times: Sequence[int]) -> Image:
    """The images of these log times [ns], a time perhaps more than once. Shape (len(times), h, w, 3) uint8 RGB."""
    found: dict[int, Image] = {}
    try:
        for log_time, picture in pictures(attempt, camera, times):
            found[log_time] = picture()
    except DataError:
        if len(found) < len(set(times)):
            raise
    if missing := set(times) - set(found):
        raise DataError(f"{attempt.path}: {len(missing)} images of {camera} cannot be read; the bag has changed")
    if len({image.shape for image in found.values()}) > 1:
        raise DataError(f"{attempt.path}: images of {camera} change their size")
    return np.stack([found[t] for t in times])


def pictures(
    attempt: Attempt, camera: str, times: Sequence[int] | None = None
) -> Iterator[tuple[int, Callable[[], Image]]]:
    """(log time [ns], what decodes the image) one after the other, in the order of the file.

    times: of the images that are wanted; all when None. Raises DataError where the bag breaks.
    """
    topic, chosen = attempt.topics[camera], set(attempt.times[camera] if times is None else map(int, times))
    span = (min(chosen), max(chosen) + 1)
    try:
        for schema, channel, message, decode in messages(attempt.path, [topic], span):
            if channel.topic == topic and message.log_time in chosen:

                def picture(schema: str = schema, message: Any = message, decode: Any = decode) -> Image:
                    try:
                        return pixels(decode(message), schema, f"{attempt.path} {topic}")
                    except BROKEN as error:
                        raise DataError(f"{attempt.path}: images of {camera} cannot be read ({error})") from None

                yield message.log_time, picture
    except BROKEN as error:
        raise DataError(f"{attempt.path}: images of {camera} cannot be read ({error})") from None


def messages(
    path: Path, topics: Sequence[str] | None = None, span: tuple[int, int] | None = None
) -> Iterator[tuple[str, Any, Any, Any]]:
    """(schema name, channel, message, what decodes it) of a file; a damaged one raises where it breaks.

    topics and span [ns] spare reading, where the file has an index; others may come all the same.
    """
    decoders: dict[int, Any] = {}
    factory = DecoderFactory()
    with path.open("rb") as file:
        try:
            reader = make_reader(file)
            reader.get_summary()
        except BROKEN:
            file.seek(0)
            reader = NonSeekingReader(file)  # without its end a file has no index
        start, end = span or (None, None)
        chosen = {"topics": topics, "starting_at": start, "ending_before": end}
        for schema, channel, message in reader.iter_messages(log_time_order=False, **chosen):
            if schema is None:
                continue

            def decode(message: Any, schema: Any = schema, encoding: str = channel.message_encoding) -> Any:
                if schema.id not in decoders:
                    decoders[schema.id] = factory.decoder_for(encoding, schema)
                if decoders[schema.id] is None:
                    raise DataError(f"{path}: {schema.name} is in the encoding '{encoding}', which is not ROS 2's")
                return decoders[schema.id](message.data)

            yield schema.name, channel, message, decode


def stamp_of(message: Any) -> int:
    """Of a message that begins with a header [ns], without decoding the rest; the log time when it bears none."""
    if len(message.data) < 12:
        return message.log_time
    order = "<" if message.data[1] & 1 else ">"  # the second byte of CDR
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", message.data, 4)
    return 1_000_000_000 * seconds + nanoseconds or message.log_time


def pixels(message: Any, schema: str, name: str) -> Image:
    """(h, w, 3) uint8 RGB. Sizes are checked before they are believed."""
    if schema == COMPRESSED:
        try:
            with Picture.open(io.BytesIO(bytes(message.data))) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataError(f"{name}: an image of {picture.width}x{picture.height} is too large")
                return np.asarray(picture.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{name}: a compressed image cannot be read ({error})") from None
    if message.encoding in ORDERS:
        return rgb_of_yuv(rows_of(message, 2, name), message.encoding)
    if message.encoding not in CHANNELS:
        raise DataError(f"{name}: images are in '{message.encoding}'; {', '.join(ENCODINGS)} can be read")
    depth = {"mono8": 1, "rgba8": 4, "bgra8": 4}.get(message.encoding, 3)
    rows = rows_of(message, depth, name).reshape(message.height, message.width, depth)
    return np.ascontiguousarray(rows[..., list(CHANNELS[message.encoding])])


def rows_of(message: Any, size: int, name: str) -> Image:
    """The rows of a raw image, (height, width * size) uint8, without what pads them. size: bytes of a pixel."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(bytes(message.data), np.uint8)
    if not (0 < height * width <= MOST_PIXELS and step >= width * size and len(data) == height * step):
        raise DataError(f"{name}: an image of {width}x{height} with rows of {step} bytes has {len(data)} bytes")
    return data.reshape(height, step)[:, : width * size]
