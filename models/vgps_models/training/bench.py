"""How long scoring takes: encoder included, for several K within one run, on a set number of threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgps_models import checkpoint
from vgps_models.critics.network import Critic, CriticConfig, QEnsemble
from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder
from vgps_models.perception.language import WIDTH, Language
from vgps_models.perception.runtime import Perception
from vgps_models.selection import Judge, Selection, choose
from vgps_models.spaces import ActionSpec, Normaliser, Observation, noise

SENTENCE = "put the spoon on the towel"


@dataclass(frozen=True)
class ScoreBench:
    """`vgps bench score`"""

    critic: str = ""  # checkpoint: a path or a shipped name; empty measures an untrained critic of the same size
    k: tuple[int, ...] = (1, 10, 50, 100)  # numbers of candidates
    rounds: int = 200  # measurements of each
    threads: int = 1  # torch threads


def bench_score(config: ScoreBench = ScoreBench()) -> dict[str, Any]:
    """Milliseconds from an observation and K candidates to the choice.

    "k": encoder included, for each K, measured in turn so that a busy machine slows all of them alike.
    "candidates_to_choice_ms": the image came first and is encoded, K = 10.
    "ratio": p50 of the K = 50 and of the largest K over that of K = 1.
    """
    torch.set_num_threads(config.threads)
    critic = checkpoint.load_critic(config.critic, threads=config.threads) if config.critic else untrained_critic()
    random = np.random.default_rng(0)
    shape = (critic.spec.horizon, len(critic.spec.names))
    candidates = critic.spec.clip(
        critic.normaliser.denormalise(noise((0, 0), (max(config.k), *shape)).astype(np.float64))
    )
    encoder, full, head = critic.perception.config, {k: [] for k in config.k}, []
    for step in range(config.rounds + 10):
        for k in config.k:
            observation = _observation(encoder, random, step)
            began = time.perf_counter()
            features = critic.encode(observation)
            encoded = time.perf_counter()
            _choose(critic, features, candidates[:k], step)
            done = time.perf_counter()
            if step >= 10:  # the first rounds warm caches up
                full[k].append(1e3 * (done - began))
                if k == 10:
                    head.append(1e3 * (done - encoded))
    table = {str(k): quantiles(ms) for k, ms in full.items()}
    base = table[str(min(config.k))]["p50_ms"]
    return {
        "encoder": f"{len(encoder.cameras)} views, channels {list(encoder.channels)}, {_size(critic)} parameters",
        "critic": Path(config.critic).name if config.critic else "untrained",
        "heads": critic.net.config.heads,
        "image": encoder.image_size,
        "threads": config.threads,
        "rounds": config.rounds,
        "k": table,
        "ratio": {k: row["p50_ms"] / base for k, row in table.items()},
        "candidates_to_choice_ms": {n.removesuffix("_ms"): v for n, v in quantiles(head).items()} if head else {},
    }


def quantiles(ms: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {"p50_ms": float(np.median(ms)), "p99_ms": float(np.quantile(ms, 0.99))}


def untrained_critic(seed: int = 0) -> Critic:
    """A critic of the default size with random weights: as fast as a trained one."""
    torch.manual_seed(seed)
    spec, encoder = ActionSpec(), EncoderConfig()
    known = {SENTENCE: np.full(WIDTH, WIDTH**-0.5, np.float32)}
    perception = Perception(KeypointEncoder(encoder), Language(known))
    net = QEnsemble(CriticConfig(features=encoder.features, chunk=spec.horizon * len(spec.names)))
    return Critic(perception, net, spec, Normaliser(tuple(spec.low.tolist()), tuple(spec.high.tolist())))


def _choose(critic: Critic, features: torch.Tensor, candidates: np.ndarray, step: int) -> None:
    choose(Selection(), candidates, None, Judge.of(critic, features), (0, step))


def _observation(config: EncoderConfig, random: np.random.Generator, step: int) -> Observation:
    shape = (config.image_size, config.image_size, 3)
    images = {name: random.integers(0, 256, shape, dtype=np.uint8) for name in config.cameras}
    return Observation(images, random.normal(size=10).astype(np.float32), SENTENCE, key=(0, step))


def _size(critic: Critic) -> int:
    return sum(p.numel() for p in critic.perception.encoder.parameters())
