"""Bags of ROS 2 in SQLite (.db3): the storage of rosbag2 before MCAP, and what librealsense records."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vgps_models.bags.records import BrokenBagError, Channel, Message, Span, ros_type
from vgps_models.errors import DataError

TABLES = {"messages", "topics"}


def messages(path: Path, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    """In the order in which they were written.

    Raises DataError for a database that is no bag, BrokenBagError where it breaks off or is damaged.
    """
    try:
        with _read_only(path) as base:
            base.text_factory = lambda text: text.decode(errors="replace")
            channels = {number: c for number, c in _channels(base).items() if topics is None or c.topic in topics}
            # By id, so that a damaged file is read as far as it goes: an order by time is sorted before the first row.
            query, values = "SELECT topic_id, timestamp, data FROM messages", list[int]()
            if span is not None:
                query, values = f"{query} WHERE timestamp >= ? AND timestamp < ?", list(span)
            for number, log, data in base.execute(f"{query} ORDER BY id", values):
                if number in channels and isinstance(data, bytes) and isinstance(log, int):
                    yield Message(channels[number], log, data)
    except (sqlite3.Error, OSError, ValueError, MemoryError, OverflowError) as error:
        raise BrokenBagError(str(error) or type(error).__name__) from error


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Nothing is written beside the bag, as SQLite does even for a reader when there is a log of writes (-wal).

    A bag whose recorder was killed has one, with its last messages in it. It is read from a copy.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size > 0:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, copy.with_name(log.name))
            with closing(sqlite3.connect(copy)) as base:
                yield base
    else:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
            yield base


def _channels(base: sqlite3.Connection) -> dict[int, Channel]:
    tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= TABLES:
        raise DataError(f"is a database, but no bag: it has no tables {' and '.join(sorted(TABLES))}")
    definitions: dict[str, tuple[str, str]] = {}
    if "message_definitions" in tables:  # since ROS 2 Iron
        rows = base.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        definitions = {str(kind): (str(encoding), str(text)) for kind, encoding, text in rows}
    rows = base.execute("SELECT id, name, type, serialization_format FROM topics")
    return {
        number: Channel(str(name), ros_type(str(kind)), str(encoding), *definitions.get(str(kind), ("", "")))
        for number, name, kind, encoding in rows
    }
