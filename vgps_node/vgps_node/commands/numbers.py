"""What was measured, as JSON that says how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from vgps_models.files import require_outside, write_whole

T = TypeVar("T")


@dataclass(frozen=True)
class Measured(Generic[T]):
    """A command that measures: its settings, and where the numbers go."""

    settings: Annotated[T, tyro.conf.arg(name="")]
    json: Path | None = None  # file to write the numbers to


def made(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """With the command and the revision that they come from."""
    from vgps_models.training import provenance

    return {**numbers, "command": provenance.command(), "git": provenance.git_revision()}


def write_json(path: Path | None, content: Mapping[str, Any]) -> None:
    """Keep it, where that was asked for."""
    if path is not None:
        require_outside(path)
        write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def tell(numbers: Mapping[str, Any], path: Path | None) -> None:
    """Print numbers, and keep them."""
    content = made(numbers)
    print(json.dumps(content, indent=2))
    write_json(path, content)
