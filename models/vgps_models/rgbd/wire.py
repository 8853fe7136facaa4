"""Fields of ROS messages, one after the other, where no definition is needed to know which come."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_BYTES = 1 << 28  # that anything packed is believed to hold


@dataclass
class Fields:
    """Reads on from `at`. aligned: as in CDR of ROS 2 numbers begin at multiples of their size, counted from the fourth
    byte; without, as in ROS 1. Little-endian both. Raises EOFError where the bytes end."""

    data: memoryview
    aligned: bool = False
    at: int = 0

    @classmethod
    def cdr(cls, data: bytes) -> Fields:
        if len(data) < 4 or data[1] != 1:
            raise ValueError("the message is not in little-endian CDR")
        return cls(memoryview(data)[4:], aligned=True)

    def number(self, kind: str) -> float:
        """kind: a letter of `struct`."""
        return self.numbers(kind, 1)[0]

    def numbers(self, kind: str, count: int) -> tuple[float, ...]:
        size = struct.calcsize(f"<{kind}")
        if self.aligned:
            self.at = -(-self.at // size) * size
        return struct.unpack(f"<{count}{kind}", self._next(size * count))

    def whole(self, kind: str = "I") -> int:
        return int(self.number(kind))

    def blob(self) -> memoryview:
        """Bytes after their count."""
        return self._next(self.whole())

    def text(self) -> str:
        return bytes(self.blob()).decode(errors="replace").rstrip("\0")

    def left(self) -> int:
        return len(self.data) - self.at

    def _next(self, size: int) -> memoryview:
        if self.at + size > len(self.data):
            raise EOFError(f"{size} bytes expected, {self.left()} are there")
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken
