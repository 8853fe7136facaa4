"""Episode results as lines of a file, so that an evaluation that was cut short goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vgps_sim.results import EpisodeResult, EvaluationError, Job

FILE = "episodes.jsonl"


class Journal:
    """Append-only JSON lines {"key", "git", "result"} in a run folder.

    A line that cannot be read (a writer died half-way) is named, skipped and counted; its episode is
    played again. Results of other settings stay in the file and are not used.
    """

    def __init__(self, folder: Path, git: str = "") -> None:
        self.path, self.git = folder / FILE, git
        self.notes: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvaluationError(f"cannot write into {folder}: {error}; give another folder") from error

    def load(self, jobs: Iterable[Job]) -> dict[str, EpisodeResult]:
        """Finished episodes among `jobs`, by their keys, each under the name of its job's side."""
        wanted = {job.key: job.condition.name for job in jobs}
        found: dict[str, EpisodeResult] = {}
        if not self.path.exists():
            return found
        revisions, skipped = set(), []
        text = self.path.read_text(errors="replace", encoding="utf-8")
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                row = json.loads(line)
                if row["key"] in wanted and row["result"]["error"] is None:
                    result = EpisodeResult.from_json(row["result"])
                    found[row["key"]] = replace(result, condition=wanted[row["key"]])
                    revisions.add(row["git"])
            except (ValueError, KeyError, TypeError):
                skipped.append(str(number))
        if text and not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as file:  # the next result begins on a line of its own
                file.write("\n")
        if skipped:
            self.notes.append(
                f"{self.path.name}: {len(skipped)} unreadable line(s) skipped ({', '.join(skipped[:5])}); "
                "those episodes were played again"
            )
        if others := sorted(r or "unknown" for r in revisions - {self.git}):
            self.notes.append(f"some episodes were played by revision {', '.join(others)} of this code")
        return found

    def append(self, job: Job, result: EpisodeResult) -> None:
        line = json.dumps({"key": job.key, "git": self.git, "result": result.to_json()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
