"""Answers by the hash of their question, one small file each: whatever was paid for is never asked again."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from vgps_models.files import write_whole
from vgps_models.progress.chat.prompt import Answer


class AnswerCache:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Answer | None:
        """None for what was never answered, or whose file is damaged."""
        try:
            return replace(Answer(**json.loads(self._path(key).read_text())), cached=True, cost_usd=0.0)
        except (OSError, ValueError, TypeError):
            return None

    def put(self, key: str, answer: Answer) -> None:
        """Whole or not at all."""
        write_whole(self._path(key), json.dumps(asdict(answer)).encode())

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
