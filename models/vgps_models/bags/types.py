"""Decoding messages by the definitions that the bag holds, or by the standard ones of ROS where it holds none."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from vgps_models.bags.records import Channel, Message
from vgps_models.errors import DataError, MissingDependencyError

try:
    from rosbags.interfaces import Nodetype
    from rosbags.serde import SerdeError
    from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
    from rosbags.typesys.store import Typestore
except ImportError as error:
    raise MissingDependencyError(
        "reading bags needs a few small packages; install them with: pip install 'vgps[bags]'"
    ) from error

MSG, IDL = ("ros2msg", "ros1msg"), ("ros2idl", "omgidl")
UNWRITTEN = ("", "unknown")  # how recorders call the encoding of a definition that they did not find
RULE = "=" * 80 + "\n"
MOST_ELEMENTS = 100_000  # of an array of fixed size: code is generated for each of them
# What parsing a definition, and compiling it, raises where it is garbled.
UNPARSED = (TypesysError, SyntaxError, AssertionError, KeyError, ValueError, IndexError, TypeError, AttributeError,
            RecursionError, NotImplementedError)  # fmt: skip
# What decoding a message raises where it is damaged or of another type than it says.
UNDECODED = (SerdeError, struct.error, KeyError, ValueError, IndexError, TypeError, AttributeError, MemoryError,
             OverflowError, RecursionError, AssertionError)  # fmt: skip


def decode(message: Message) -> Any:
    """The message as an object with the fields of its definition. Raises DataError that names the topic."""
    return decoded(message)[0]


def decoded(message: Message) -> tuple[Any, int]:
    """The same, and how many bytes of its data the definition accounts for: some writers add their own."""
    channel, data = message.channel, message.data
    read = decoder(channel)
    try:
        if channel.encoding == "ros1":
            return read(data)
        if len(data) < 4 or data[0] != 0 or data[1] > 1:
            raise ValueError(f"the message begins with {bytes(data[:4]).hex(' ') or 'nothing'}, not as CDR does")
        made, end = read(data)
        return made, end + 4
    except UNDECODED as error:
        raise DataError(f"a message of {channel.type} on {channel.topic} is damaged ({_short(error)})") from error


@lru_cache(maxsize=256)
def decoder(channel: Channel) -> Callable[[bytes | memoryview], tuple[Any, int]]:
    """Raises DataError that says what about the messages of a channel cannot be read, and what to do."""
    where = f"{channel.topic} ({channel.type or 'of unknown type'})"
    if channel.encoding not in ("cdr", "ros1"):
        raise DataError(
            f"{where} is in the message encoding '{channel.encoding or 'none'}', not in ROS's (cdr, ros1)"
            + ("; Foxglove's own schemas cannot be read, record the ROS topic" if "foxglove" in channel.type else "")
        )
    if not channel.type:
        raise DataError(f"{where}: the bag holds no schema for it, so nothing says what its messages are")
    try:
        store = _store(channel)
        parts = store.get_msgdef(channel.type)
    except UNPARSED as error:
        raise DataError(
            f"{where}: the definition in the bag (schema encoding '{channel.schema}') cannot be parsed: {_short(error)}"
        ) from error
    if channel.encoding == "ros1":
        return lambda data: parts.deserialize_ros1(data, 0, parts.cls, store)
    little, big = parts.deserialize_cdr_le, parts.deserialize_cdr_be
    return lambda data: (little if data[1] else big)(data[4:], 0, parts.cls, store)


def _store(channel: Channel) -> Typestore:
    if channel.schema in UNWRITTEN or not channel.definition.strip():
        known = _standard(channel.encoding)
        if channel.type not in known.fielddefs:
            raise DataError(
                f"{channel.topic}: the bag does not hold the definition of {channel.type}, and it is not a standard "
                "type of ROS; record it again where the package of that type is sourced"
            )
        return known
    if channel.schema not in (*MSG, *IDL):
        raise DataError(
            f"{channel.topic} ({channel.type}): its definition is in the schema encoding '{channel.schema}'; "
            f"{', '.join((*MSG, *IDL))} can be read"
        )
    types = _parsed(channel)
    sizes = [kind[1][1] for _, fields in types.values() for _, kind in fields if kind[0] == Nodetype.ARRAY]
    if max(sizes, default=0) > MOST_ELEMENTS:
        raise DataError(f"{channel.topic}: the definition of {channel.type} has an array of {max(sizes)} elements")
    store = get_typestore(Stores.EMPTY)
    missing = _missing(types) - store.fielddefs.keys()
    if channel.type not in types:
        raise DataError(
            f"{channel.topic}: the definition in the bag (schema encoding '{channel.schema}') does not define "
            f"{channel.type}"
        )
    if missing:  # some writers leave out what a definition refers to
        types = {**_standard(channel.encoding).fielddefs, **types}
        if missing := _missing(types) - types.keys() - store.fielddefs.keys():
            raise DataError(
                f"{channel.topic}: the definition of {channel.type} refers to {', '.join(sorted(missing))}, which the "
                "bag does not define"
            )
    store.register(types)
    return store


def _parsed(channel: Channel) -> dict[str, Any]:
    text = channel.definition.replace("\r\n", "\n").lstrip("\ufeff")
    if channel.schema in MSG:
        return dict(get_types_from_msg(text, channel.type))
    made: dict[str, Any] = {}
    text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE)  # includes, which the parser does not know
    # rosbag2 joins the IDL of a type and of all that it refers to; other writers give it alone.
    for part in text.split(RULE)[1:] if text.startswith(f"{RULE}IDL: ") else [text]:
        made |= get_types_from_idl(part.split("\n", 1)[1] if part.startswith("IDL: ") else part)
    return made


def _missing(types: dict[str, Any]) -> set[str]:
    """Types that others refer to and that are not there."""
    named: set[str] = set()
    for _, fields in types.values():
        for _, kind in fields:
            inner = kind[1][0] if kind[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE) else kind
            if inner[0] == Nodetype.NAME:
                named.add(inner[1])
    return named - types.keys()


@cache
def _standard(encoding: str) -> Typestore:
    return get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_JAZZY)


def _short(error: BaseException) -> str:
    """Of a parser that repeats the whole definition only where it got stuck."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return (f"stuck at '{lines[-1]}'" if lines[0].startswith("Could not parse") else lines[0])[:160]
