"""Answers by the hash of their question, one small file each: a question that was paid for is never asked again."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, fields, replace
from pathlib import Path

from vgps_models.files import write_whole
from vgps_models.progress.chat.prompt import Answer

LOG = logging.getLogger(__name__)
KINDS = {"str": str, "int": int, "float": (int, float), "bool": bool}


class AnswerCache:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unwritten: dict[str, Answer] = {}  # answers of this run that could not be written

    def get(self, key: str) -> Answer | None:
        """None for a question without an answer, or whose file is damaged."""
        answer = self._unwritten.get(key) or self._read(self._path(key))
        return answer and replace(answer, cached=True, cost_usd=0.0)

    def put(self, key: str, answer: Answer) -> None:
        """Whole or not at all. An answer that cannot be written is kept in memory, and a warning says so once."""
        try:
            write_whole(self._path(key), json.dumps(asdict(answer)).encode())
        except OSError as error:
            if not self._unwritten:
                LOG.warning(
                    "answers cannot be written to %s (%s); they are kept in memory, and a later run pays for them "
                    "again. Make the folder writable, or name another as the cache.",
                    self.folder, error,
                )  # fmt: skip
            self._unwritten[key] = answer

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    @staticmethod
    def _read(path: Path) -> Answer | None:
        try:
            answer = Answer(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        sound = all(isinstance(getattr(answer, f.name), KINDS[str(f.type)]) for f in fields(answer))
        return answer if sound else None
