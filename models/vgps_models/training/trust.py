"""Calibrate when guidance lets go, on episodes that neither policy nor critic has learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models import checkpoint
from vgps_models.checkpoint import Card
from vgps_models.data import Columns, EpisodeStore
from vgps_models.data.sampling import split_episodes
from vgps_models.errors import DataError
from vgps_models.interrupts import saying
from vgps_models.selection import Selection
from vgps_models.selection.trust import Trust, conformal_threshold, measured_coverage
from vgps_models.spaces import Observation
from vgps_models.steering import Steering
from vgps_models.training import provenance
from vgps_models.training.cache import Rows


@dataclass(frozen=True)
class TrustCalibration:
    """`vgps train trust`: about 2 minutes on one core for 120 episodes."""

    data: Path = Path("data/mixed")  # episode store
    policy: str = "policy"  # checkpoint that proposes: a path or a shipped name
    critic: str = "critic"  # checkpoint that judges
    out: Path = Path("runs/trust.json")  # file to write
    alpha: float = 0.1  # share of undisturbed episodes in which guidance may let go
    k: int = 10  # chunks to choose from
    selection: Selection = field(default_factory=Selection)  # how
    threads: int = 1  # torch threads: networks that decide for one robot gain nothing from more


def calibrate_trust(config: TrustCalibration) -> Path:
    """Decide at every step of every held-out episode as at run time, and take the threshold from the doubts."""
    cards = [checkpoint.verify(config.policy, "policy"), checkpoint.verify(config.critic, "critic")]
    store = EpisodeStore(config.data)
    columns, data_sha256 = store.columns(), store.data_hash()
    episodes = held_out(columns, data_sha256, cards)
    steering = Steering.from_checkpoints(
        config.policy, config.critic, k=config.k, selection=config.selection, threads=config.threads
    )
    hashes = (data_sha256, *(card.weights_sha256 for card in cards))
    settings = provenance.fingerprint(config, *hashes, without=(*provenance.WITHOUT, "alpha")).fixed
    made = Rows(config.out.with_name(f".{config.out.name}-{settings}"), (len(episodes),), np.float64)
    with saying("interrupted while episodes were decided; those that are done are kept"):
        for i in track(range(made.done, len(episodes)), "deciding", console=Console(emoji=False, stderr=True)):
            seen = observations(store, columns, int(episodes[i]))
            made.array[i] = max(steering(one).doubt for one in seen)
            made.keep(i + 1)
    doubts = made.array.tolist()
    coverage = measured_coverage(doubts, config.alpha)
    trust = Trust(
        threshold=conformal_threshold(doubts, config.alpha),
        alpha=config.alpha,
        policy_sha256=cards[0].weights_sha256,
        critic_sha256=cards[1].weights_sha256,
        k=config.k,
        selection=config.selection,
        doubts=tuple(doubts),
        coverage=coverage,
        data_sha256=data_sha256,
        command=provenance.command(),
        git=provenance.git_revision(),
    )
    trust.save(config.out)
    made.drop()
    print(
        f"guidance lets go above {trust.threshold:.3f}; promised for {1 - config.alpha:.0%} of {len(doubts)} episodes, "
        f"measured {coverage[0]:.1%} ({coverage[1]:.0%} to {coverage[2]:.0%} over random halves)"
    )
    return config.out


def held_out(columns: Columns, data_sha256: str, cards: Sequence[Card]) -> NDArray[np.intp]:
    """Episodes that no card's training has used. Shape (M,)."""
    kept = np.ones(len(columns.bounds) - 1, bool)
    for card in cards:
        if card.data_sha256 == data_sha256:  # all of another data set is new to it
            settings: dict[str, Any] = dict(card.settings)
            trained, _ = split_episodes(columns, settings["held_out"], settings["seed"])
            kept[columns.episode[trained]] = False
    if not kept.any():
        raise DataError("no episode was held out from training; nothing can vouch for a threshold")
    return np.flatnonzero(kept)


def observations(store: EpisodeStore, columns: Columns, episode: int) -> Iterator[Observation]:
    """What a controller would have seen at every step of a recorded episode."""
    images, first = store.images(episode), columns.bounds[episode]
    for step in range(columns.bounds[episode + 1] - first):
        row = first + step
        yield Observation(
            images={name: frames[step] for name, frames in images.items()},
            proprio=columns.state[row],
            instruction=columns.instructions[columns.instruction[row]],
            key=(episode, step),
        )
