"""Recordings into a folder of shards: by several processes, again and again until all are there."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vgps_models.errors import DataError
from vgps_models.files import require_outside, write_whole
from vgps_models.video.form import FORMAT, Form
from vgps_models.video.reading import BEGINS, read_shard
from vgps_models.video.sources import Recording, SourceOptions, open_sources
from vgps_models.video.workers import in_workers
from vgps_models.video.writing import ShardBusyError, shard_path

PLAN, LOCK = "plan.json", ".lock"
MOST_A_SHARD, LEAST_SHARDS = 256, 16  # recordings; shards, so that several processes have something to do

Hear = Callable[[str, str], None]


@dataclass(frozen=True)
class PackConfig:
    """Decode videos once, into shards that training reads. The same command goes on where it was stopped."""

    sources: tuple[str, ...]  # paths, or KIND:PATH with ego4d, ssv2, lerobot, bags, rlds or files
    out: Path = Path("data/shards")  # folder of shards; more sources may be added to it later
    form: Form = field(default_factory=Form)
    options: SourceOptions = field(default_factory=SourceOptions)
    processes: int = 2  # that decode, one thread each


@dataclass(frozen=True)
class Packed:
    """recordings: in the plan now. busy: shards that another command is writing. problems: of the sources."""

    recordings: int
    busy: int
    problems: tuple[str, ...]


def pack(config: PackConfig, begun: Callable[[int], None] = lambda total: None, hear: Hear = lambda *_: None) -> Packed:
    """Pack what is missing. begun(total) is told how many recordings there are; hear(name, outcome) of each.

    Raises DataError when the folder holds shards of another form.
    """
    require_outside(config.out / PLAN)
    found = open_sources(config.sources, config.options)
    config.out.mkdir(parents=True, exist_ok=True)
    shards = make_plan(config.out, config.form, [recording.name for recording in found.recordings])
    by_name = {recording.name: recording for recording in found.recordings}
    jobs: list[tuple[int, list[Recording]]] = []
    gone = 0
    for number, names in enumerate(shards):
        mine = [by_name[name] for name in names if name in by_name]
        gone += 0 < len(mine) < len(names) and not shard_path(config.out, number, "json").exists()
        if len(mine) == len(names):
            jobs.append((number, mine))
    if gone:
        raise DataError(
            f"{config.out} was begun with recordings that these sources no longer have; give the same sources, or "
            "another --out"
        )
    begun(len(found.recordings))
    busy = _in_turn(config, jobs, hear) if config.processes <= 1 else in_workers(config, jobs, hear)
    return Packed(len(found.recordings), busy, tuple(found.problems))


def make_plan(root: Path, form: Form, names: Sequence[str]) -> list[list[str]]:
    """Which recordings each shard holds: those of the plan that is there, and new shards for those that are new.

    A function of the plan before and the names alone, so that every process and every run makes the same.
    """
    with _locked(root):
        path, shards = root / PLAN, list[list[str]]()
        if path.exists():
            try:
                plan = json.loads(path.read_text())
                shards, made = [list(map(str, shard)) for shard in plan["shards"]], Form(**plan["form"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path} cannot be read ({error!r}); pack into another folder") from None
            if made != form:
                raise DataError(f"{root} holds shards of another form ({_difference(made, form)}); give another --out")
        known = {name for shard in shards for name in shard}
        new = [name for name in names if name not in known]
        size = min(MOST_A_SHARD, max(1, -(-len(new) // LEAST_SHARDS)))
        shards += [list(new[at : at + size]) for at in range(0, len(new), size)]
        if new:
            write_whole(path, json.dumps({"format": FORMAT, "form": asdict(form), "shards": shards}).encode())
    return shards


def _in_turn(config: PackConfig, jobs: Sequence[tuple[int, list[Recording]]], hear: Hear) -> int:
    busy = 0

    def heard(name: str, what: str) -> None:
        if what != BEGINS:
            hear(name, what)

    for number, recordings in jobs:
        try:
            read_shard(config.out, number, recordings, config.form, heard)
        except ShardBusyError:
            busy += 1
    return busy


def _difference(one: Form, other: Form) -> str:
    a, b = asdict(one), asdict(other)
    return ", ".join(f"{key} {a[key]} there, {b[key]} asked for" for key in a if a[key] != b[key])


@contextmanager
def _locked(root: Path) -> Any:
    with (root / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
