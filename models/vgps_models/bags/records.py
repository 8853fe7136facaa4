"""Messages as bags store them: their bytes, their topic and type, and the time of recording."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from vgps_models.errors import DataError

MOST_BYTES = 1 << 28  # a message, a chunk or anything packed holds no more
Span = tuple[int, int]  # log times from .. before [ns]


class BrokenBagError(DataError):
    """A bag breaks off or is damaged here; what was read before is good. The message says only how."""


@dataclass(frozen=True)
class Channel:
    """What a bag says about messages.

    type: as `sensor_msgs/msg/Image` also in bags of ROS 1; empty where nothing says it. encoding: of the messages
    (cdr, ros1, protobuf ...). schema, definition: encoding and text of their definition, empty where it is missing.
    """

    topic: str
    type: str
    encoding: str
    schema: str = ""
    definition: str = ""


class Message(NamedTuple):
    """log: when it was written [ns]."""

    channel: Channel
    log: int
    data: bytes | memoryview

    @property
    def stamp(self) -> int:
        """Of a message that begins with a header [ns], without decoding the rest; 0 when it bears none."""
        data = self.data
        if len(data) < 12:
            return 0
        # ROS 1: a sequence number comes first. CDR: four bytes, of which the second says the order of bytes.
        big = self.channel.encoding != "ros1" and not data[1] & 1
        seconds, nanoseconds = struct.unpack_from(">iI" if big else "<iI", data, 4)
        return 1_000_000_000 * seconds + nanoseconds if seconds >= 0 and nanoseconds < 1_000_000_000 else 0


def ros_type(name: str) -> str:
    """The name of a type as ROS 2 writes it: from ROS 1 (`sensor_msgs/Image`) and DDS
    (`sensor_msgs::msg::dds_::Image_`)."""
    if "::" in name:
        name = name.replace("::dds_::", "::").replace("::", "/").removesuffix("_")
    package, slash, rest = name.partition("/")
    return f"{package}/msg/{rest}" if slash and "/" not in rest else name
