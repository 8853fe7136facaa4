"""Output in any encoding: a terminal or a pipe that lacks a character gets the nearest one that it has."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

HANDLER = "vgps_plain"
PLAIN = {
    "±": "+-", "×": "x", "·": "*", "–": "-", "—": "-", "…": "...", "→": "->", "←": "<-", "≥": ">=", "≤": "<=",
    "≈": "~", "°": " deg", "µ": "u", "μ": "u", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "•": "*", "✓": "ok",
    "─": "-", "━": "-", "═": "=", "│": "|", "┃": "|", "║": "|", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip


def degrade() -> None:
    """From now on no character makes writing to stdout or stderr fail. Safe to call again."""
    codecs.register_error(HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not what tests and notebooks put there
            stream.reconfigure(errors=HANDLER)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The handler of what an encoding cannot express."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    if all("\udc80" <= c <= "\udcff" for c in missing):  # bytes of a file name, which were no text to begin with
        return bytes(ord(c) - 0xDC00 for c in missing), error.end
    return "".join(map(_nearest, missing)), error.end


def _nearest(c: str) -> str:
    """In ASCII, which every encoding of a terminal has."""
    if c in PLAIN:
        return PLAIN[c]
    if "\u2500" <= c <= "\u257f":  # corners and crossings of boxes
        return "+"
    if "\u2580" <= c <= "\u259f":  # parts of bars
        return "#"
    if "\u2800" <= c <= "\u28ff":  # a spinner
        return "*"
    return unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() or "?"
