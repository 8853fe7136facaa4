"""Unpacking with a limit, so that no file can ask for more memory than a recording needs."""

from __future__ import annotations

import bz2
from typing import IO

from vgps_models.bags.records import MOST_BYTES
from vgps_models.errors import MissingDependencyError

try:
    import lz4.frame
    import zstandard
except ImportError as error:
    raise MissingDependencyError(
        "reading bags needs a few small packages; install them with: pip install 'vgps[bags]'"
    ) from error

PACKINGS = ("bz2", "lz4", "zstd")
ZstdError = zstandard.ZstdError


def unpack(packing: str, data: bytes | memoryview, most: int | None = None) -> bytes:
    """most: bytes that may come out. Raises ValueError where the data are damaged or hold more than that."""
    most = MOST_BYTES if most is None else most
    try:
        if packing == "zstd":
            return _of_zstd(bytes(data), most)
        made, whole = _of_stream(packing, data, most)
    except (OSError, RuntimeError, ZstdError) as error:
        raise ValueError(f"packed data are damaged ({error})") from error
    if not whole:
        raise ValueError(f"packed data are damaged, or of more than {most} bytes when they are unpacked")
    return made


def _of_zstd(data: bytes, most: int) -> bytes:
    size = zstandard.frame_content_size(data)
    if size > most:
        raise ValueError(f"packed data are damaged, or of more than {most} bytes when they are unpacked")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)


def _of_stream(packing: str, data: bytes | memoryview, most: int) -> tuple[bytes, bool]:
    unpacker = bz2.BZ2Decompressor() if packing == "bz2" else lz4.frame.LZ4FrameDecompressor()
    made = unpacker.decompress(data, most)
    return made, bool(unpacker.eof)


def unpacked_file(file: IO[bytes]) -> IO[bytes]:
    """What a file that is packed as a whole with Zstandard holds, to be read from front to back."""
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)  # type: ignore[return-value]
