"""Does a critic listen? How often what was done is worth more under the instruction followed than under another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models import checkpoint
from vgps_models.critics.network import Critic
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import split_episodes
from vgps_models.errors import SpecError
from vgps_models.perception.runtime import Perception
from vgps_models.training.frames import chunks

Sentences = Mapping[str, Sequence[str]]  # kind of wording -> sentences
ASTRAY = "astray"


def preference(
    name: str, data: Path, right: Mapping[str, Sentences], wrong: Mapping[str, Sequence[str]], *, every: int = 1
) -> dict[str, dict[str, float]]:
    """How often the critic `name` prefers the right instruction, at the steps of episodes it did not learn from.

    data: the episodes it learned from; those that its training held out are asked about, every `every`-th step.
    right: task id -> sentences that name it, by kind. wrong: task id -> sentences that name another thing there.

    By kind the share of (step, right sentence, wrong sentence) at which the critic's mean Q of the chunk that was
    executed is higher under the right one: of all steps under "all"; task by task; and apart, under "astray", of the
    episodes whose demonstrator reached for another thing than it was told, where the instruction was not followed.
    """
    critic, card = checkpoint.load_critic(name), checkpoint.read_card(name)
    store = EpisodeStore(data)
    columns, episodes = store.columns(), store.episodes()
    _, held_out = split_episodes(columns, float(card.settings["held_out"]), int(card.settings["seed"]))
    done = chunks(columns, store.spec, critic.normaliser)
    shares: dict[str, dict[str, list[float]]] = {}
    for episode in track(
        np.unique(columns.episode[held_out]).tolist(), "held-out episodes", console=Console(emoji=False, stderr=True)
    ):
        first, end = columns.bounds[episode], columns.bounds[episode + 1]
        rows, task = np.arange(int(first), int(end), every), str(episodes["task_id"][episode])
        images = store.images(episode)
        views = np.stack([images[c][rows - first] for c in critic.perception.config.cameras], axis=1)

        def scores(sentence: str, rows: NDArray = rows, views: NDArray = views) -> NDArray[np.float32]:
            return _scores(critic, views, columns.state[rows], done[rows], sentence)

        below = np.stack([scores(sentence) for sentence in wrong[task]])
        where = ASTRAY if "wrong_object" in str(episodes["flaw"][episode]) else task
        for kind, sentences in right[task].items():
            above = np.stack([(scores(sentence) > below).mean(0) for sentence in sentences])
            shares.setdefault(kind, {}).setdefault(where, []).extend(above.flatten().tolist())
    return {kind: {"all": _mean(parts.values())} | _each(parts) for kind, parts in shares.items()}


def _each(parts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.mean(parts[name])) for name in sorted(parts)}


def _mean(parts: Iterable[Sequence[float]]) -> float:
    return float(np.mean(np.concatenate([np.asarray(part) for part in parts])))


@torch.inference_mode()
def _scores(critic: Critic, views: NDArray, proprio: NDArray, done: NDArray, sentence: str) -> NDArray[np.float32]:
    """Mean Q of normalised chunks (B, H * 7) under one sentence. Shape (B,)."""
    if not isinstance(critic.perception, Perception):
        raise SpecError("only a critic whose encoder `vgps train` made can be asked about recorded frames")
    words = torch.from_numpy(critic.perception.language(sentence)).expand(len(views), -1)
    seen = critic.perception.batch(torch.from_numpy(views), torch.tensor(proprio), words)
    read = torch.from_numpy(done[:, None, : critic.net.config.chunk])
    return critic.net(seen, words, read).mean(0)[:, 0].numpy()
