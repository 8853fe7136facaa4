"""What a checkpoint says about its making."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from dataclasses import asdict
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


WITHOUT = ("out", "cache", "data", "threads", "save_every")  # settings that do not change the weights


def fingerprint(config: Any, *more: str, without: tuple[str, ...] = WITHOUT) -> str:
    """Hash of a frozen config and of what it is applied to; equal hashes train equal weights."""
    settings = {k: v for k, v in asdict(config).items() if k not in without}
    text = json.dumps([settings, *more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
