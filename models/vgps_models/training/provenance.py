"""What a checkpoint says about its making."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


def git_revision() -> str:
    """`git describe` of the working tree, or "unknown" outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def command() -> str:
    """What was typed, without the folder the program lies in."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def plain(settings: Any) -> Any:
    """Settings as JSON can hold them; of paths only the last part, which says nothing about the machine."""
    if isinstance(settings, dict):
        return {k: plain(v) for k, v in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [plain(v) for v in settings]
    return settings.name if isinstance(settings, Path) else settings


WITHOUT = ("out", "cache", "data", "threads", "save_every")  # settings that do not change what is learned
RATES = ("rate", "encoder_rate")  # may be lowered to go on with a training that diverged


@dataclass(frozen=True)
class Fingerprint:
    """What a training is, so that an interrupted one is only gone on with by the same.

    fixed: hash of all settings that decide what is learned, and of what they are applied to; without rates and bf16.
    rates: learning rates by the name of their setting; others fit only after a divergence.
    bf16: "on", "off" or "" for trainings without that choice. It rounds otherwise and learns the same, so a training
        that was begun on one machine goes on on another, each computing as is fastest there.
    """

    fixed: str
    rates: Mapping[str, float] = field(default_factory=dict)
    bf16: str = ""

    @property
    def changeable(self) -> dict[str, Any]:
        """Settings that may be changed after a divergence, by name."""
        return {**self.rates, **({"bf16": self.bf16} if self.bf16 else {})}


def fingerprint(config: Any, *more: str, without: Sequence[str] = WITHOUT) -> Fingerprint:
    """Of a frozen config and of what it is applied to."""
    settings = {k: v for k, v in asdict(config).items() if k not in without}
    bf16, rates = settings.pop("bf16", ""), {k: settings.pop(k) for k in RATES if k in settings}
    text = json.dumps([settings, *more], sort_keys=True, default=str)
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:16], rates, bf16)
