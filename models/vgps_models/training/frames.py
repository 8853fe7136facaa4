"""An episode store as the arrays that policy and critic train on: frozen features, chunks, transitions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models.data import Columns, EpisodeStore
from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.spaces import GRIPPER, ActionSpec, Normaliser

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


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

    @property
    def succeeded(self) -> Bools:
        """Whether each episode ended in success. Shape (M,)."""
        return self.columns.success[self.columns.bounds[1:] - 1]


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
    if not (folder / "done.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        right_out, wrong_out = _encode(store, columns, perception, sentences, wrong, batch)
        np.save(folder / "features.npy", right_out, allow_pickle=False)
        np.save(folder / "wrong.npy", wrong_out, allow_pickle=False)
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


def wrong_instructions(columns: Columns, seed: int = 0) -> Ints:
    """For every frame one instruction of another task; the same one throughout an episode. Shape (N,).

    With a single task there is none: then the right one comes back, and no frame may be used as a negative.
    """
    random = np.random.Generator(np.random.PCG64([seed, 5]))
    tasks = np.array(columns.instruction_tasks)
    out = np.empty(len(columns), np.int64)
    for first, end in pairwise(columns.bounds):
        own = columns.instruction[first]
        others = np.flatnonzero(tasks != tasks[own])
        out[first:end] = random.choice(others) if len(others) else own
    return out


def chunks(columns: Columns, spec: ActionSpec, normaliser: Normaliser) -> Floats:
    """The H actions from every frame on, normalised and flat. Shape (N, H * 7).

    Past the end of the episode the arm stays where it is and the gripper as it was.
    """
    steps = np.arange(len(columns))[:, None] + np.arange(spec.horizon)
    last = columns.bounds[1:][columns.episode][:, None] - 1
    actions = columns.actions[np.minimum(steps, last)].astype(np.float64)
    actions[..., :GRIPPER] *= (steps <= last)[..., None]
    return normaliser.normalise(spec.clip(actions)).reshape(len(columns), -1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Transitions:
    """What followed the chunk of every frame. N frames; see `calql.Batch` for the meaning."""

    usable: Bools  # (N,) false where nothing is known of what followed
    reward: Floats  # (N,)
    discount: Floats  # (N,)
    following: Ints  # (N,) the frame that is s'
    mc_return: Floats  # (N,)


def transitions(columns: Columns, succeeded: Bools, horizon: int, gamma: float) -> Transitions:
    """n-step transitions of whole chunks: -1 a step, 0 on the step that succeeds, failures cut off, not ended.

    A success that comes within the chunk ends it (discount 0). An episode that
    did not succeed ran out of time: its chunks bootstrap from its last frame.
    """
    index = np.arange(len(columns))
    last = columns.bounds[1:][columns.episode] - 1
    won = succeeded[columns.episode]
    left = last - index + 1  # actions from here to the end
    ends = won & (left <= horizon)
    n = np.where(ends, left - 1, np.minimum(horizon, last - index))  # steps that cost -1
    to_go = (1 - gamma ** (left - 1.0)) / (1 - gamma)
    return Transitions(
        usable=ends | (n > 0),
        reward=(-(1 - gamma ** n.astype(np.float64)) / (1 - gamma)).astype(np.float32),
        discount=np.where(ends, 0.0, gamma ** n.astype(np.float64)).astype(np.float32),
        following=np.minimum(index + horizon, last),
        mc_return=np.where(won, -to_go, -1 / (1 - gamma)).astype(np.float32),
    )


def split_episodes(columns: Columns, fraction: float, seed: int) -> tuple[Bools, Bools]:
    """Frames to train on and frames of held-out episodes. Shapes (N,), (N,)."""
    count = len(columns.bounds) - 1
    held = max(1, round(count * fraction)) if count > 1 else 0
    order = np.random.Generator(np.random.PCG64([seed, 3])).permutation(count)
    out = np.isin(columns.episode, order[:held])
    return ~out, out


def feature_scale(features: Floats) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of every feature over the data; constants of a network, not of a batch."""
    return torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0).clip(0.05))
