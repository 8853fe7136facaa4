"""Staged episodes -> the data set's files, so that nothing is lost whenever the process dies.

A merge writes the whole next generation into `.next/`, then the marker `READY`,
then swaps folders. Without the marker, `.next/` is thrown away; with it, whoever
opens the data set next finishes the swap.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vgps_models.data import layout
from vgps_models.data.contents import Contents, read_merged, read_waiting
from vgps_models.data.records import Problem, Stored, open_videos
from vgps_models.data.staging import DAMAGED, set_aside, staged_path, sync_folder, write_durably
from vgps_models.errors import DataError

NEXT, OLD, READY, LOCK = ".next", ".old", "READY", ".lock"


@dataclass(frozen=True)
class Merged:
    """What a merge did. problems: episodes that were skipped, each with the reason."""

    episodes: int  # in the data set now
    added: int
    problems: tuple[Problem, ...]


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One merge at a time; writers need no lock."""
    with open(root / LOCK, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_merged(root: Path) -> bool:
    return (root / "meta").is_dir()


def finish_swap(root: Path) -> None:
    """Complete a merge that was interrupted after its files were ready; else nothing."""
    if (root / NEXT / READY).exists():
        with locked(root):
            _swap(root)


def merge(root: Path, *, anew: bool = False) -> Merged:
    """Bring all readable staged episodes into the data set, ordered by (seed, task).

    anew: write the files again even when there is nothing to add or to leave out.
    """
    with locked(root), open_videos() as videos:
        _swap(root)
        old = read_merged(root, videos) if is_merged(root) else Contents()
        staged = read_waiting(root)
        chosen = {stored.record.key: stored for stored in (*staged.episodes, *old.episodes)}
        episodes, odd = _alike(sorted(chosen.values(), key=lambda stored: stored.record.order))
        for problem in (*staged.problems, *odd):
            set_aside(root, problem.name)
        problems = (*old.problems, *staged.problems, *odd)
        if not episodes:
            raise DataError(f"{root} holds no complete episode to merge; record some with EpisodeWriter.write first")
        if staged.episodes or problems or anew:
            shutil.rmtree(root / NEXT, ignore_errors=True)
            (root / NEXT).mkdir()
            writer = layout.LayoutWriter(root / NEXT)
            for stored in episodes:
                writer.add(stored, videos)
            writer.close()
            _mark_ready(root, [stored.record.name for stored in staged.episodes], keep_old=bool(old.problems))
            _swap(root)
        return Merged(len(episodes), len(episodes) - len(old.episodes), problems)


def _alike(episodes: list[Stored]) -> tuple[list[Stored], list[Problem]]:
    """Episodes with the cameras, image sizes, columns and rate of the first, and the odd ones."""
    alike: list[Stored] = []
    odd: list[Problem] = []
    for stored in episodes:
        expected, found = episodes[0].signature(), stored.signature()
        different = [f"{k}: {found[k]}, not {expected[k]}" for k in expected if found[k] != expected[k]]
        if different:
            odd.append(Problem(stored.record.name, f"unlike the data set's first episode ({'; '.join(different)})"))
        else:
            alike.append(stored)
    return alike, odd


def _mark_ready(root: Path, staged: list[str], *, keep_old: bool) -> None:
    for folder, _, files in os.walk(root / NEXT):
        for name in files:
            with open(Path(folder) / name, "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(folder))
    write_durably(root / NEXT / READY, json.dumps({"staged": staged, "keep_old": keep_old}).encode())


def _swap(root: Path) -> None:
    """Put `.next/` in place. Every step may be repeated after being interrupted."""
    following, old = root / NEXT, root / OLD
    if not (following / READY).exists():
        return
    todo = json.loads((following / READY).read_text(encoding="utf-8"))
    old.mkdir(exist_ok=True)
    for part in layout.PARTS:
        if (following / part).exists():
            if (root / part).exists():
                os.replace(root / part, old / part)
            os.replace(following / part, root / part)
    sync_folder(root)
    for name in todo["staged"]:
        staged_path(root, name).unlink(missing_ok=True)
    if todo["keep_old"] and any(old.iterdir()):
        os.replace(old, _aside(root))
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(following)


def set_data_set_aside(root: Path) -> None:
    """Move the data set's files out of the way, when none of their episodes is readable."""
    aside = _aside(root)
    aside.mkdir()
    for part in layout.PARTS:
        if (root / part).exists():
            os.replace(root / part, aside / part)


def _aside(root: Path) -> Path:
    """A new folder name for damaged files, perhaps to be saved by other means."""
    (root / DAMAGED).mkdir(exist_ok=True)
    return root / DAMAGED / f"files-{sum(1 for _ in (root / DAMAGED).glob('files-*'))}"
