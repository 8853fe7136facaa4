"""Progress of a whole data set in one parquet file: one row a frame, readable by LeRobot.

| column | what |
|---|---|
| index, episode_index, frame_index | the frame, as in the data set's own tables |
| progress_sparse | value in [0, 1]; NaN for an episode without an answer |
| spread | standard deviation over repeated estimates |

The first two names and `progress_sparse` are those that LeRobot's reward-aware behaviour cloning reads
(`progress_path`). The schema's metadata says which data set and which estimator it was.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.errors import DataError
from vgps_models.files import require_outside, write_whole
from vgps_models.progress.clips import Episodes, each, of_episode, require_task
from vgps_models.progress.estimate import Clip, Estimate, Estimator, Floats, Usage, spaced

OWN = b"vgps"  # key of the schema's metadata


@dataclass(frozen=True, eq=False)
class Annotation:
    """values, spread: one a frame of the data set, (N,). threshold: of success, None when the estimator has none."""

    values: Floats
    spread: Floats
    source: str
    data_sha256: str
    threshold: float | None = None
    failures: int = 0

    def finals(self, bounds: np.ndarray) -> Floats:
        """The last value of every episode; bounds as `Columns.bounds`. Shape (M,)."""
        return self.values[bounds[1:] - 1]


def annotate(
    estimator: Estimator,
    store: Episodes,
    out: Path,
    *,
    frames: int = 0,
    cameras: Sequence[str] = (),
    task: str = "",
    progress: Callable[[], None] = lambda: None,
    report: Callable[[str], None] = lambda problem: None,
) -> tuple[Annotation, Usage]:
    """Estimate every episode and write `out`; an interrupted run goes on where it stopped.

    frames: moments of an episode that are judged, evenly spread; what lies between is interpolated. 0 for all.
    cameras, task: as `of_episode` takes them. Returns what was written, and what this call has cost. What is done so
    far is kept in `<out>.part`. report: called with each episode whose images cannot be read; its values are NaN.
    Raises DataError, before anything is judged, when `out` lies within a data set or an episode has no task.
    """
    require_outside(out)
    if out.is_dir():
        raise DataError(f"{out} is a folder; give the path of a parquet file with --out")
    for episode in range(len(store)):
        require_task(store, episode, task)
    part, data_sha256 = out.with_name(out.name + ".part"), store.data_hash()
    head: dict[str, Any] = {"source": estimator.source, "data_sha256": data_sha256, "frames": frames}
    head |= {name: value for name, value in (("cameras", list(cameras)), ("task", task)) if value}
    try:
        done = _resume(part, head)
    except OSError as error:
        raise DataError(f"{part} cannot be written ({error}); give another path with --out") from None
    lengths = store.lengths
    for _ in done:
        progress()

    def clips() -> Iterator[tuple[str, Clip]]:
        for episode in range(len(store)):
            if episode in done:
                continue
            try:
                clip = of_episode(store, episode, frames, cameras, task=task)
            except DataError as error:
                unread[episode] = str(error)
                report(str(error))
                continue
            yield str(episode), clip

    usage, unread = Usage(), dict[int, str]()
    try:
        usage = _judge(part, each(estimator, clips()), done, progress)
    finally:
        if not done:
            part.unlink(missing_ok=True)
    if not done:
        raise DataError(f"no episode of {store.root} can be judged ({next(iter(unread.values()))})")
    values, spread = (
        np.concatenate(
            [
                np.full(length, np.nan) if episode in unread else _filled(done[episode][name], int(length), frames)
                for episode, length in enumerate(lengths)
            ]
        )
        for name in ("values", "spread")
    )
    made = Annotation(
        values, spread, estimator.source, data_sha256, getattr(estimator, "threshold", None),
        len(unread) + sum(d["failures"] for d in done.values()),
    )  # fmt: skip
    write(made, store, out)
    part.unlink()
    return made, usage


def _judge(
    part: Path, answers: Iterator[tuple[str, Estimate]], done: dict[int, dict[str, Any]], progress: Callable[[], None]
) -> Usage:
    """Add every answer to `done` and to the file `part`; what they have cost together."""
    usage = Usage()
    with part.open("a") as lines:
        for name, estimate in answers:
            usage += estimate.usage
            line = {
                "episode": int(name), "values": _plain(estimate.values), "spread": _plain(estimate.spread),
                "failures": len(estimate.failures),
            }  # fmt: skip
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            done[int(name)] = line
            progress()
    return usage


def write(made: Annotation, store: Episodes, out: Path) -> None:
    lengths = store.lengths
    frame = np.concatenate([np.arange(length) for length in lengths])
    table = pa.table(
        {
            "index": pa.array(np.arange(len(frame)), pa.int64()),
            "episode_index": pa.array(np.repeat(np.arange(len(store)), lengths), pa.int64()),
            "frame_index": pa.array(frame, pa.int64()),
            "progress_sparse": pa.array(made.values, pa.float32()),
            "spread": pa.array(made.spread, pa.float32()),
        }
    )
    told = {k: v for k, v in asdict(made).items() if k not in ("values", "spread")}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({OWN: json.dumps(told)}), buffer)
    write_whole(out, buffer.getvalue())


def read(path: Path, store: Episodes) -> Annotation:
    """The annotation of this very data set; DataError says what does not fit."""
    try:
        table = pq.read_table(path)
        told = json.loads((table.schema.metadata or {})[OWN])
        values, spread = (table.column(n).to_numpy().astype(np.float64) for n in ("progress_sparse", "spread"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; make it with: vgps data progress {store.root}") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no progress ({error}); make it with: vgps data progress {store.root}") from None
    if told["data_sha256"] != store.data_hash() or len(values) != store.lengths.sum():
        raise DataError(
            f"{path} is of other data than {store.root}; make it anew with: vgps data progress {store.root}"
        )
    return Annotation(values, spread, **{k: told[k] for k in ("source", "data_sha256", "threshold", "failures")})


def default_path(data: Path, backend: str) -> Path:
    """Beside the data set, so that its own files stay as they are."""
    whole = Path(os.path.abspath(data))  # `.` has no name; a link keeps its own
    return whole.with_name(f"{whole.name}.progress-{backend}.parquet")


def _resume(part: Path, head: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What an interrupted run with the same settings has left; else a fresh file with its head."""
    done: dict[int, dict[str, Any]] = {}
    lines = part.read_text().split("\n") if part.exists() else []
    try:
        if lines and json.loads(lines[0]) == head:
            whole = [json.loads(line) for line in lines[1:-1]]  # what follows the last newline was cut short
            done = {line["episode"]: line for line in whole}
    except ValueError:
        done = {}
    kept = [json.dumps(head), *(json.dumps(line) for line in done.values())]
    write_whole(part, ("\n".join(kept) + "\n").encode())
    return done


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 6) for v in values]


def _filled(values: list[float | None], length: int, frames: int) -> Floats:
    """Values of all frames, interpolated between those that were judged."""
    known = np.array([np.nan if v is None else v for v in values])
    at = spaced(length, frames or length)
    sound = ~np.isnan(known)
    return np.interp(np.arange(length), at[sound], known[sound]) if sound.any() else np.full(length, np.nan)
