"""What pages have in common: complete in themselves, readable in light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib import resources

from PIL import Image as Picture

from vgps_models.spaces import Image

SIDE = 88  # [px] height of a picture in a strip


def document(title: str, parts: Sequence[str]) -> str:
    style = resources.files("vgps_models").joinpath("page.css").read_text(encoding="utf-8")
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
    return f"<!doctype html><html lang=en><head>{head}<style>{style}</style></head><body><main>{''.join(parts)}</main>"


def section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head."""
    head, *others = rows
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}" for cell in head)]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in others]
    return f"<table>{''.join(lines)}</table>"


def listed(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def strip(pictures: Sequence[bytes], kind: str = "strip") -> str:
    """Pictures (JPEG) side by side."""
    sources = (f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in pictures)
    return f"<div class={kind}>" + "".join(f"<img alt='' src='{source}'>" for source in sources) + "</div>"


def jpeg(image: Image, side: int = SIDE) -> bytes:
    """A small copy of a picture, at most `side` pixels high."""
    small = Picture.fromarray(image)
    small.thumbnail((4 * side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
