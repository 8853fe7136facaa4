"""TFRecord framing: length (8 bytes), its checksum (4), the data, its checksum (4); little endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vgps_models.errors import DataError
from vgps_models.video.rlds.crc32c import masked

HEAD, FOOT = 12, 4
MOST_BYTES = 1 << 31  # of one record; a length that says more is not believed


@dataclass(frozen=True)
class Record:
    """Where a record's data is in its file. offset, length: [bytes]."""

    path: Path
    offset: int
    length: int

    def read(self) -> bytes:
        """The data; DataError when it is not what its checksum says."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.length + FOOT)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error})") from None
        data = content[: self.length]
        if len(content) < self.length + FOOT:
            raise DataError(f"{self.path} ends within the record at byte {self.offset}")
        if masked(data) != struct.unpack("<I", content[self.length :])[0]:
            raise DataError(f"{self.path} is damaged: the record at byte {self.offset} is not what its checksum says")
        return data


def records(path: Path) -> Iterator[Record]:
    """All records of a file by its lengths alone; the data is not read.

    Raises DataError where a length is damaged, after which no record can be found, or where the file ends too early.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            at = 0
            while at < size:
                file.seek(at)
                head = file.read(HEAD)
                if len(head) < HEAD:
                    raise DataError(f"{path} ends within the head of the record at byte {at}")
                length, check = struct.unpack("<QI", head)
                if masked(head[:8]) != check or length > MOST_BYTES:
                    raise DataError(f"{path} is damaged: the length at byte {at} is not what its checksum says")
                if at + HEAD + length + FOOT > size:
                    raise DataError(f"{path} ends within the record at byte {at + HEAD}")
                yield Record(path, at + HEAD, length)
                at += HEAD + length + FOOT
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error})") from None


def frame(data: bytes) -> bytes:
    """Data as a record of a file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))
