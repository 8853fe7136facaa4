"""CRC-32C (Castagnoli), as TFRecord files carry it; fast enough in numpy to check every record that is read.

The data is cut into equal lanes whose checksums advance side by side. The checksum of two parts joined is that of the
first, advanced over as many zero bytes as the second is long, exclusive-or that of the second.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # reversed
LANES = 2048
FULL = 0xFFFFFFFF
Table = NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """Checksum of some bytes, as in RFC 3720."""
    array = np.frombuffer(data, np.uint8)
    width = len(array) // LANES
    head = array[: width * LANES].reshape(LANES, width)
    state = np.uint32(FULL)
    if width:
        lanes: Table = np.zeros(LANES, np.uint32)
        lanes[0] = state  # all others begin at 0, because they are joined to what comes before
        table = _bytes()
        for column in head.T:
            lanes = table[(lanes ^ column) & 0xFF] ^ (lanes >> np.uint32(8))
        distance = width
        while len(lanes) > 1:
            lanes = _apply(_zeros(distance), lanes[0::2]) ^ lanes[1::2]
            distance *= 2
        state = lanes[0]
    value, small = int(state), _plain()
    for byte in array[width * LANES :].tolist():
        value = small[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ FULL


def masked(data: bytes | memoryview) -> int:
    """As TFRecord stores it: rotated and shifted, so that a checksum of checksums is not trivial."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & FULL


@cache
def _bytes() -> Table:
    """Checksum of a single byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _plain() -> list[int]:
    return _bytes().tolist()


@cache
def _zeros(count: int) -> Table:
    """Advancing over `count` zero bytes, which is linear: by the value of each of four bytes. Shape (4, 256)."""
    if count == 1:
        return np.stack([_advance(np.arange(256, dtype=np.uint32) << np.uint32(8 * i)) for i in range(4)])
    half = _zeros(count // 2)
    twice = np.stack([_apply(half, row) for row in half])
    return np.stack([_apply(_zeros(1), row) for row in twice]) if count % 2 else twice


def _advance(states: Table) -> Table:
    return _bytes()[states & 0xFF] ^ (states >> np.uint32(8))


def _apply(operator: Table, states: Table) -> Table:
    out = operator[0][states & 0xFF]
    for i in range(1, 4):
        out = out ^ operator[i][states >> np.uint32(8 * i) & 0xFF]
    return out
