"""MCAP, read from front to back, so that one whose recorder was killed and that has no index is read as any other."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import IO, cast

from vgps_models.bags.packing import ZstdError, unpack
from vgps_models.bags.paths import MCAP
from vgps_models.bags.records import MOST_BYTES, BrokenBagError, Channel, Message, Span, ros_type
from vgps_models.errors import MissingDependencyError

try:
    from mcap import records
    from mcap.data_stream import ReadDataStream
    from mcap.exceptions import McapError
    from mcap.opcode import Opcode
    from mcap.reader import make_reader
except ImportError as error:
    raise MissingDependencyError(
        "reading bags needs a few small packages; install them with: pip install 'vgps[bags]'"
    ) from error

BROKEN = (
    McapError, ZstdError, EOFError, OSError, ValueError, IndexError, KeyError, struct.error, MemoryError, OverflowError,
)  # fmt: skip
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
RECORD = struct.Struct("<BQ")  # kind, length
LATEST = 1 << 63  # [ns]
READ = (Opcode.CHUNK, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)  # of the kinds of records those that are read


def messages(file: IO[bytes], size: int | None, topics: Collection[str] | None, span: Span | None) -> Iterator[Message]:
    """In the order of the file. size: of the file in bytes, None where it is unpacked on the way and cannot be known.

    Raises BrokenBagError where it breaks off or is damaged.
    """
    reader = _Reader(file, size, topics, span)
    try:
        yield from reader.messages()
    except BROKEN as error:
        raise BrokenBagError(str(error) or type(error).__name__) from error


class _Reader:
    def __init__(
        self, file: IO[bytes], size: int | None, topics: Collection[str] | None, span: Span | None
    ) -> None:  # fmt: skip
        self._file, self._size, self._topics, self._span = file, size, topics, span
        self._schemas: dict[int, records.Schema] = {}
        self._channels: dict[int, Channel] = {}
        # A chunk outside the span may be skipped only where its schemas and channels are known without it.
        self._skips = span is not None and size is not None and self._read_summary()

    def messages(self) -> Iterator[Message]:
        self._file.seek(len(MCAP))
        while True:
            head = self._file.read(RECORD.size)
            if len(head) < RECORD.size:
                raise EOFError("it was never closed; the recorder was killed, or the copy is not complete")
            kind, length = RECORD.unpack(head)
            if kind == Opcode.FOOTER:
                return
            if kind not in READ:
                self._skip(length)
                continue
            data = self._chunk_in_span(length) if kind == Opcode.CHUNK else self._read(length)
            if data is None:
                continue
            if kind == Opcode.CHUNK:
                yield from self._within(data, length)
            elif len(data) == length:
                yield from self._record(kind, memoryview(data))
            if len(data) < length:
                raise EOFError(f"the last record has {len(data)} of {length} bytes")

    def _chunk_in_span(self, length: int) -> bytes | None:
        """A chunk, or None where none of its messages is in the span."""
        if not self._skips or length < 16:
            return self._read(length)
        first, last = struct.unpack("<QQ", self._file.read(16))
        begin, end = cast(Span, self._span)
        if last < begin or first >= end:
            self._file.seek(length - 16, io.SEEK_CUR)
            return None
        self._file.seek(-16, io.SEEK_CUR)
        return self._read(length)

    def _within(self, data: bytes, length: int) -> Iterator[Message]:
        """The records of a chunk; of one that breaks off and is not packed those that are whole."""
        chunk = records.Chunk.read(ReadDataStream(io.BytesIO(data)))
        inner, whole = chunk.data, len(data) == length
        if chunk.compression:
            if chunk.compression not in ("lz4", "zstd"):
                raise ValueError(f"a chunk is packed with '{chunk.compression}'; lz4 and zstd can be read")
            if not whole:
                return
            inner = unpack(chunk.compression, chunk.data, min(chunk.uncompressed_size, MOST_BYTES))
        if whole and chunk.uncompressed_crc and zlib.crc32(inner) != chunk.uncompressed_crc:
            raise ValueError("the checksum of a chunk does not fit")
        view, at = memoryview(inner), 0
        while at + RECORD.size <= len(view):
            kind, size = RECORD.unpack_from(view, at)
            at += RECORD.size
            if at + size > len(view):
                break
            yield from self._record(kind, view[at : at + size])
            at += size
        if whole and at != len(view):
            raise EOFError("a chunk ends within a record")

    def _record(self, kind: int, data: memoryview) -> Iterator[Message]:
        if kind == Opcode.SCHEMA:
            schema = records.Schema.read(ReadDataStream(io.BytesIO(data)))
            self._schemas[schema.id] = schema
        elif kind == Opcode.CHANNEL:
            self._add(records.Channel.read(ReadDataStream(io.BytesIO(data))))
        elif kind == Opcode.MESSAGE:
            number, _, log, published = MESSAGE.unpack_from(data)
            channel = self._channels.get(number)
            if channel is None:
                raise ValueError(f"a message is of channel {number}, which the file does not describe")
            log = log or published
            if log >= LATEST:
                raise ValueError(f"a message says that it was written at {log} ns")
            wanted = self._topics is None or channel.topic in self._topics
            if wanted and (self._span is None or self._span[0] <= log < self._span[1]):
                yield Message(channel, log, data[MESSAGE.size :])

    def _add(self, channel: records.Channel) -> None:
        """A schema that is missing, or was not meant to be, leaves the type unknown."""
        schema = self._schemas.get(channel.schema_id) if channel.schema_id else None
        name, encoding, text = (schema.name, schema.encoding, schema.data) if schema else ("", "", b"")
        self._channels[channel.id] = Channel(
            channel.topic, ros_type(name), channel.message_encoding, encoding, bytes(text).decode(errors="replace")
        )

    def _read_summary(self) -> bool:
        """Whether the end of the file repeats all schemas and channels; they are known then."""
        try:
            summary = make_reader(self._file).get_summary()
        except BROKEN:
            return False
        if summary is None or summary.statistics is None:
            return False
        if not summary.channels or len(summary.channels) < summary.statistics.channel_count:
            return False
        self._schemas.update(summary.schemas)
        for channel in summary.channels.values():
            self._add(channel)
        return True

    def _skip(self, length: int) -> None:
        if self._size is not None and self._file.tell() + length > self._size:
            raise EOFError(f"the last record should have {length} bytes")
        self._file.seek(length, io.SEEK_CUR)

    def _read(self, length: int) -> bytes:
        """Up to `length` bytes: a length is not believed beyond the end, nor where the end is not known."""
        if self._size is not None:
            return self._file.read(min(length, max(0, self._size - self._file.tell())))
        if length > MOST_BYTES:
            raise ValueError(f"a record says that it has {length} bytes")
        return self._file.read(length)
