"""Do two rewards want the same? STARC distances on the frames of a data set: `vgps reward compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vgps_models.data import Columns, EpisodeStore, relabelling
from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.starc import Recorded, starc_recorded
from vgps_models.progress import annotation
from vgps_models.spaces import Array
from vgps_sim.arms import get_arm
from vgps_sim.human.tracks import recorded

SUCCESS, RANDOM = "success", "random"
KINDS = (
    SUCCESS,
    RANDOM,
    "<parquet of vgps data progress or vgps reward relabel>",
    "<.safetensors of vgps reward learn>",
)


@dataclass(frozen=True)
class CompareRewards:
    """How far rewards are from wanting the same (STARC): 0 the same, .71 nothing in common, 1 the opposite."""

    data: tyro.conf.Positional[Path]  # data set of `vgps collect`
    rewards: tuple[str, ...]  # success, random, files of progress or rewards of this data, or learned rewards
    gamma: float = 0.98  # discount a step


def compare_rewards(config: CompareRewards) -> dict[str, Any]:
    """Distances between every two of them for every task of the data, and their medians over tasks.

    Values are linear in the geometry of each frame (`tracks.geometry`); every episode stays where it ends.
    """
    if len(config.rewards) < 2:
        raise SpecError("comparing takes two rewards or more")
    store = EpisodeStore(config.data)
    columns = store.columns()
    tracks = list(recorded(columns, get_arm(store.spec.arm)))
    tasks = sorted({track.task for track in tracks})
    # A learned reward speaks of one task only; several of them together are one reward.
    learned = {r.task: r for r in (load_reward(Path(n)) for n in config.rewards if n.endswith(".safetensors"))}
    files = [name for name in config.rewards if not name.endswith(".safetensors") and name != RANDOM]
    given = {name: _frames(name, store, columns) for name in files}
    out: dict[str, Any] = {"data": str(config.data), "gamma": config.gamma, "tasks": {}}
    for task in tasks:
        chosen = [episode for episode, track in enumerate(tracks) if track.task == task]
        rewards = {name: _of_episodes(values, columns, chosen) for name, values in given.items()}
        if task in learned:
            rewards["irl"] = np.concatenate([learned[task].of(tracks[e])[: _length(columns, e)] for e in chosen])
        elif learned:
            raise UnknownNameError("task of a learned reward", task, learned)
        geometry = [tracks[e].geometry[: _length(columns, e)] for e in chosen]
        if RANDOM in config.rewards:  # of what can be seen of a frame, so that it could be somebody's
            rewards[RANDOM] = _any(np.concatenate(geometry))
        frames = _recorded(geometry, config.gamma)
        out["tasks"][task] = {
            "episodes": len(chosen),
            "starc": {
                f"{a} ~ {b}": round(starc_recorded(frames, rewards[a], rewards[b]), 4)
                for a, b in combinations(rewards, 2)
            },
        }
    pairs = list(next(iter(out["tasks"].values()))["starc"])
    out["median"] = {p: round(float(np.median([of["starc"][p] for of in out["tasks"].values()])), 4) for p in pairs}
    return out


def _frames(name: str, store: EpisodeStore, columns: Columns) -> Array:
    """Reward of every frame (N,)."""
    if name == SUCCESS:
        return np.where(columns.success, 0.0, -1.0)
    path = Path(name)
    if path.suffix != ".parquet":
        raise UnknownNameError("reward", name, KINDS)
    if not path.exists() or relabelling.holds_rewards(path):
        return relabelling.relabelled(path, store.data_hash(), len(columns)).astype(np.float64)
    values = annotation.read(path, store).values
    if not np.isfinite(values).all():
        raise DataError(f"{path} has frames without an answer; estimate them all first")
    return values


def _any(geometry: Array) -> Array:
    """A reward (N,) that nobody has in mind."""
    spread = geometry.std(0)
    weights = np.random.default_rng(0).normal(size=geometry.shape[1]) / np.where(spread > 1e-6, spread, np.inf)
    return (geometry - geometry.mean(0)) @ weights


def _length(columns: Columns, episode: int) -> int:
    return int(columns.bounds[episode + 1] - columns.bounds[episode])


def _of_episodes(values: Array, columns: Columns, chosen: Sequence[int]) -> Array:
    return np.concatenate([values[columns.bounds[e] : columns.bounds[e + 1]] for e in chosen])


def _recorded(episodes: Sequence[Array], gamma: float) -> Recorded:
    """Transitions of episodes (T, D) that stay where they end."""
    features = np.concatenate(episodes)
    following = np.concatenate([np.concatenate([rows[1:], rows[-1:]]) for rows in episodes])
    # Only what varies says something; the rest would make values that are not determined.
    varying = features.std(0) > 1e-6
    return Recorded(features[:, varying], following[:, varying], np.zeros(len(features), bool), gamma)
