"""What is asked, as values that can be hashed before they are sent."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vgps_models.progress.estimate import Images, Usage


@dataclass(frozen=True)
class Picture:
    """A JPEG, known by its pixels: another encoder of the same pixels is the same question."""

    jpeg: bytes
    digest: str  # SHA-256 of shape and pixels

    @classmethod
    def of(cls, image: Images, quality: int = 90) -> Picture:
        """image: (H, W, 3) uint8."""
        digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=quality)
        return cls(out.getvalue(), digest)


@dataclass(frozen=True)
class Message:
    """role: system, user or assistant."""

    role: str
    parts: Sequence[str | Picture]

    def content(self, *, hashed: bool) -> str | list[dict[str, Any]]:
        """As the endpoint wants it, or with pictures by their hash."""
        if len(self.parts) == 1 and isinstance(self.parts[0], str):
            return self.parts[0]
        return [_part(part, hashed) for part in self.parts]


@dataclass(frozen=True)
class Prompt:
    """schema: JSON schema of the answer. draw: which of several answers to the same question this is."""

    messages: Sequence[Message]
    schema: Mapping[str, Any]
    name: str  # of the schema
    draw: int = 0

    def body(self, *, hashed: bool = False) -> list[dict[str, Any]]:
        return [{"role": m.role, "content": m.content(hashed=hashed)} for m in self.messages]

    def key(self, settings: Mapping[str, Any]) -> str:
        """The same for the same question to the same model with the same settings, on every machine."""
        whole = {"messages": self.body(hashed=True), "schema": self.schema, "draw": self.draw, **settings}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def tokens(self, per_picture: int) -> int:
        """About how many go in: four characters a token."""
        parts = [part for message in self.messages for part in message.parts]
        letters = sum(len(part) for part in parts if isinstance(part, str))
        return letters // 4 + per_picture * sum(isinstance(part, Picture) for part in parts)

    def then(self, *messages: Message) -> Prompt:
        """The conversation goes on."""
        return Prompt([*self.messages, *messages], self.schema, self.name, self.draw)


@dataclass(frozen=True)
class Answer:
    """What came back.

    finish: stop, length, content_filter or another word of the endpoint; refusal: in the model's words, or empty.
    estimated: whether a number of tokens is an estimate, because the endpoint did not report it.
    """

    text: str
    finish: str
    refusal: str
    input_tokens: int
    output_tokens: int
    cached: bool = False
    cost_usd: float = 0.0
    estimated: bool = False

    @property
    def usage(self) -> Usage:
        """What it has cost; from the cache, nothing."""
        if self.cached:
            return Usage(cached=1)
        return Usage(1, 0, self.input_tokens, self.output_tokens, self.cost_usd, int(self.estimated))


def _part(part: str | Picture, hashed: bool) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if hashed:
        return {"type": "picture", "sha256": part.digest}
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(part.jpeg).decode()}"}}
