"""An episode store as the arrays that policy and critic train on: frozen features and chunks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models.data import Columns, EpisodeStore
from vgps_models.data.sampling import action_chunks, wrong_instructions
from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training.cache import save, sole

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


def load_frames(data: Path, perception: Perception, cache: Path, *, batch: int = 64) -> Frames:
    """Encode every frame once; later calls with the same data and encoder read the cache.

    cache: folder; entries are named after the hashes of the data and of the encoder.
    """
    store = EpisodeStore(data)
    for problem in store.problems:
        Console(stderr=True).print(f"[yellow]skipped:[/yellow] {problem}")
    if missing := set(perception.config.cameras) - set(store.cameras):
        raise DataError(f"{data} has cameras {list(store.cameras)}; the encoder needs {sorted(missing)} too")
    columns, data_hash = store.columns(), store.data_hash()
    sentences = perception.language.table(columns.instructions)
    wrong = wrong_instructions(columns)
    folder = cache / f"features-{data_hash[:16]}-{perception.sha256[:16]}"
    with sole(folder):
        if not (folder / "done.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            right_out, wrong_out = _encode(store, columns, perception, sentences, wrong, batch)
            save(folder / "features.npy", right_out)
            save(folder / "wrong.npy", wrong_out)
            (folder / "done.json").write_text(json.dumps({"data": data_hash, "encoder": perception.sha256}))
    features, wrong_features = (np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("features", "wrong"))
    return Frames(columns, features, wrong_features, wrong, sentences, store.spec, data_hash)


def _encode(
    store: EpisodeStore, columns: Columns, perception: Perception, sentences: Floats, wrong: Ints, batch: int
) -> tuple[Floats, Floats]:
    size = perception.config.image_size
    right_out = np.empty((len(columns), perception.config.features), np.float32)
    wrong_out = np.empty_like(right_out)
    words, proprio = torch.from_numpy(sentences), torch.tensor(columns.state)
    for episode in track(range(len(store)), "encoding", console=Console(stderr=True)):
        images = store.images(episode)
        views = torch.from_numpy(np.stack([images[c] for c in perception.config.cameras], axis=1))
        if views.shape[2:4] != (size, size):
            raise DataError(f"{store.root} has images of {tuple(views.shape[2:4])} px; the encoder reads {size} px")
        first, end = columns.bounds[episode], columns.bounds[episode + 1]
        for at in range(first, end, batch):
            rows = slice(at, min(at + batch, end))
            seen = views[rows.start - first : rows.stop - first]
            for out, instruction in ((right_out, columns.instruction), (wrong_out, wrong)):
                percept = perception.batch(seen, proprio[rows], words[instruction[rows]])
                out[rows] = percept.features.numpy()
    return right_out, wrong_out


def chunks(columns: Columns, spec: ActionSpec, normaliser: Normaliser) -> Floats:
    """The H actions from every frame on, executable, normalised and flat. Shape (N, H * 7)."""
    metric = spec.clip(action_chunks(columns, spec.horizon).astype(np.float64))
    return normaliser.normalise(metric).reshape(len(columns), -1).astype(np.float32)


def feature_scale(features: Floats) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of every feature over the data; constants of a network, not of a batch."""
    return torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0).clip(0.05))
