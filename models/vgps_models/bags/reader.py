"""The messages of a bag, whatever it is written in, part after part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from vgps_models.bags import mcap_file, ros1_file, sqlite_file
from vgps_models.bags.packing import ZstdError, unpack, unpacked_file
from vgps_models.bags.paths import MCAP, ROS1, SQLITE, ZSTD, BagFiles, what_is
from vgps_models.bags.records import BrokenBagError, Message, Span
from vgps_models.errors import DataError


def messages(
    bag: BagFiles, topics: Collection[str] | None = None, span: Span | None = None, problems: list[str] | None = None
) -> Iterator[Message]:
    """All messages of these topics and log times [ns], in the order of the files.

    What is wrong with a file is appended to `problems`, a sentence each; what comes before in it and the other files
    are read all the same.
    """
    problems = [] if problems is None else problems
    for file in bag.files:
        try:
            for message in _of_file(file, topics, span):
                yield _unpacked(message)
        except BrokenBagError as error:
            problems.append(f"{file} is damaged or cut short ({error}); it is read as far as it goes")
        except DataError as error:
            problems.append(f"{file} {error}")
        except OSError as error:
            problems.append(f"{file} cannot be read ({error.strerror or error})")


def _of_file(path: Path, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    """Raises DataError, whose message goes on after the file's name."""
    with path.open("rb") as file:
        begin = file.read(len(SQLITE))
        file.seek(0)
        size = path.stat().st_size
        if begin.startswith(MCAP):
            yield from mcap_file.messages(file, size, topics, span)
        elif begin.startswith(ROS1):
            yield from ros1_file.messages(file, size, topics, span)
        elif begin == SQLITE:
            yield from sqlite_file.messages(path, topics, span)
        elif begin.startswith(ZSTD):
            yield from _of_packed_file(path, topics, span)
        elif MCAP.startswith(begin[:8]) or SQLITE.startswith(begin) or b"#ROSBAG V2.0\n".startswith(begin[:13]):
            raise DataError(f"is cut short after {size} bytes" if begin else what_is(path))
        else:
            raise DataError(what_is(path))


def _of_packed_file(path: Path, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    """A file that is packed as a whole. MCAP is unpacked on the way; SQLite has to be a file."""
    with path.open("rb") as packed:
        try:
            begin = unpacked_file(packed).read(len(SQLITE))
        except ZstdError as error:
            raise BrokenBagError(str(error)) from error
    if begin.startswith(MCAP):
        with path.open("rb") as packed:
            yield from mcap_file.messages(unpacked_file(packed), None, topics, span)
    elif begin == SQLITE:
        with tempfile.TemporaryDirectory() as folder:
            copy, broken = Path(folder) / "bag.db3", ""
            with path.open("rb") as packed, copy.open("wb") as file:
                try:
                    shutil.copyfileobj(unpacked_file(packed), file)
                except ZstdError as error:
                    broken = str(error)
            yield from sqlite_file.messages(copy, topics, span)
            if broken:
                raise BrokenBagError(broken)
    elif begin:
        raise DataError("is packed with Zstandard, but holds no bag in MCAP or SQLite")
    else:
        raise BrokenBagError("its packed data end at once")


def _unpacked(message: Message) -> Message:
    """rosbag2 and librealsense pack messages one by one. No CDR begins like Zstandard."""
    if message.channel.encoding == "ros1" or bytes(message.data[:4]) != ZSTD:
        return message
    try:
        return message._replace(data=unpack("zstd", message.data))
    except ValueError:
        return message  # decoding it will say that it is damaged
