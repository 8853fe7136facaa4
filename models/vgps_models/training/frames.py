"""An episode store as the arrays that heads are trained on: what a frozen encoder sees, and chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from vgps_models.data import Columns, EpisodeStore
from vgps_models.data.sampling import action_chunks, wrong_instructions
from vgps_models.errors import DataError
from vgps_models.interrupts import saying
from vgps_models.perception.runtime import Perception
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training.cache import Rows, save, sole

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames of a data set as a frozen encoder sees them. N frames, F features, I instructions."""

    columns: Columns
    features: Floats  # (N, F) under the instruction that was followed
    wrong_features: Floats  # (N, F) under an instruction of another task
    wrong_instruction: Ints  # (N,) which one
    sentences: Floats  # (I, 384)
    spec: ActionSpec
    data_sha256: str


@dataclass(frozen=True, eq=False)
class Looks:
    """All frames of a data set by their images alone, as `Perception.look` tells of them. N frames."""

    columns: Columns
    looks: Floats  # (N, looks) under the instruction that was followed
    wrong_looks: Floats  # (N, looks) under an instruction of another task
    wrong_instruction: Ints  # (N,) which one
    data_sha256: str


# images (n, V, s, s, 3), rows of the frames, sentences (n, 384) -> (n, width)
See = Callable[[Tensor, slice, Tensor], Tensor]


def load_frames(data: Path, perception: Perception, cache: Path, *, batch: int = 64) -> Frames:
    """Encode every frame once; later calls with the same data and encoder read the cache.

    cache: folder; entries are named after the hashes of the data and of the encoder.
    """
    store = open_store(data)
    columns = store.columns()
    proprio = torch.tensor(columns.state)

    def see(images: Tensor, rows: slice, sentence: Tensor) -> Tensor:
        return perception.batch(images, proprio[rows], sentence)

    folder = cache / f"features-{store.data_hash()[:16]}-{perception.sha256[:16]}"
    features, wrong_features, wrong = _kept(store, columns, perception, folder, see, perception.config.features, batch)
    sentences = perception.language.table(columns.instructions)
    return Frames(columns, features, wrong_features, wrong, sentences, store.spec, store.data_hash())


def load_looks(data: Path, perception: Perception, cache: Path, *, batch: int = 64) -> Looks:
    """As `load_frames`, without the arm's own measurements."""
    store = open_store(data)
    columns = store.columns()

    def see(images: Tensor, _: slice, sentence: Tensor) -> Tensor:
        return perception.look(images, sentence)

    folder = cache / f"looks-{store.data_hash()[:16]}-{perception.sha256[:16]}"
    looks, wrong_looks, wrong = _kept(store, columns, perception, folder, see, perception.looks, batch)
    return Looks(columns, looks, wrong_looks, wrong, store.data_hash())


def load_probes(
    data: Path, perception: Perception, sentences: Sequence[str], cache: Path, *, batch: int = 16
) -> tuple[Columns, Floats, str]:
    """Columns, what images alone tell under each of the same sentences (N, P, looks), and the data's hash.

    Cached as `load_frames`.
    """
    store = open_store(data)
    columns, named = store.columns(), hashlib.sha256("\n".join(sentences).encode()).hexdigest()
    folder = cache / f"probes-{store.data_hash()[:16]}-{perception.sha256[:16]}-{named[:8]}"
    words = torch.from_numpy(perception.language.table(sentences))
    require_cameras(store, perception)
    with sole(folder):
        if not (folder / "probes.npy").exists():
            made = Rows(folder / "probes.npy", (len(columns), len(sentences) * perception.encoder.looks))

            def see(images: Tensor, _rows: slice, _sentence: Tensor) -> Tensor:
                return perception.probe(images, words).flatten(1)

            _encode(store, columns, perception, see, ((made, columns.instruction),), batch)
            made.finish()
    probes = np.load(folder / "probes.npy", allow_pickle=False)
    return columns, probes.reshape(len(columns), len(sentences), -1), store.data_hash()


def require_cameras(store: EpisodeStore, perception: Perception) -> None:
    if missing := set(perception.config.cameras) - set(store.cameras):
        raise DataError(f"{store.root} has cameras {list(store.cameras)}; the encoder needs {sorted(missing)} too")


def open_store(data: Path) -> EpisodeStore:
    """The data set; what of it cannot be read, or had to be assumed, is named on the terminal."""
    store = EpisodeStore(data)
    for note in store.notes:
        Console(emoji=False, stderr=True).print(f"[yellow]note:[/yellow] {data}: {note}")
    for problem in store.problems:
        Console(emoji=False, stderr=True).print(f"[yellow]skipped:[/yellow] {problem}")
    return store


def _kept(
    store: EpisodeStore, columns: Columns, perception: Perception, folder: Path, see: See, width: int, batch: int
) -> tuple[Floats, Floats, Ints]:
    """Every frame as `see` tells of it under the right and under a wrong instruction, and which one that is."""
    require_cameras(store, perception)
    wrong = wrong_instructions(columns)
    with sole(folder):
        if not (folder / "done.json").exists():
            wanted = {"features": columns.instruction}
            if perception.encoder.listens:
                wanted["wrong"] = wrong
            made = {name: Rows(folder / f"{name}.npy", (len(columns), width)) for name in wanted}
            _encode(store, columns, perception, see, [(made[name], wanted[name]) for name in made], batch)
            if not perception.encoder.listens:
                save(folder / "wrong.npy", made["features"].array)
            for rows in made.values():
                rows.finish()
            done = {"data": store.data_hash(), "encoder": perception.sha256}
            (folder / "done.json").write_text(json.dumps(done), encoding="utf-8")
    right_out, wrong_out = (np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("features", "wrong"))
    return right_out, wrong_out, wrong


def _encode(
    store: EpisodeStore, columns: Columns, perception: Perception, see: See,
    wanted: Sequence[tuple[Rows, Ints]], batch: int,
) -> None:  # fmt: skip
    """wanted: rows to fill, and the instruction of every frame that they are filled under."""
    size = perception.config.image_size
    words = torch.from_numpy(perception.language.table(columns.instructions))
    done = min(made.done for made, _ in wanted)
    with saying("interrupted while frames were encoded; the episodes that are done are kept"):
        for episode in track(range(len(store)), "encoding", console=Console(emoji=False, stderr=True)):
            first, end = columns.bounds[episode], columns.bounds[episode + 1]
            if end <= done:  # by an earlier run
                continue
            images = store.images(episode)
            views = torch.from_numpy(np.stack([images[c] for c in perception.config.cameras], axis=1))
            if views.shape[2:4] != (size, size):
                raise DataError(f"{store.root} has images of {tuple(views.shape[2:4])} px; the encoder reads {size} px")
            for at in range(first, end, batch):
                rows = slice(at, min(at + batch, end))
                for made, instruction in wanted:
                    seen = see(views[rows.start - first : rows.stop - first], rows, words[instruction[rows]])
                    made.array[rows] = seen.numpy()
            for made, _ in wanted:
                made.keep(int(end))


def chunks(columns: Columns, spec: ActionSpec, normaliser: Normaliser) -> Floats:
    """The H actions from every frame on, executable, normalised and flat. Shape (N, H * 7)."""
    metric = spec.clip(action_chunks(columns, spec.horizon).astype(np.float64))
    return normaliser.normalise(metric).reshape(len(columns), -1).astype(np.float32)


def feature_scale(features: Floats) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of every feature over the data; constants of a network, not of a batch."""
    return torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0).clip(0.05))
