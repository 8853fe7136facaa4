"""Train the critic: Cal-QL on all the data, with the frozen policy's own samples."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.critics import calql
from vgps_models.critics.network import CriticConfig, QEnsemble
from vgps_models.data.sampling import split_episodes, success_frames, transitions
from vgps_models.spaces import Normaliser
from vgps_models.training import loop, provenance
from vgps_models.training.frames import Frames, chunks, feature_scale, load_frames
from vgps_models.training.sample_cache import policy_samples


@dataclass(frozen=True)
class CriticTraining:
    """`vgps train critic`: 2-4 minutes on 2 cores once frames and policy samples are cached."""

    data: Path = Path("data/mixed")  # episode store
    policy: str = "runs/policy.safetensors"  # the frozen policy: a path or a shipped name
    out: Path = Path("runs/critic.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames and policy samples are kept
    samples: int = 8  # cached policy chunks a frame
    success_only: bool = False  # train on the successful episodes alone (an ablation)
    steps: int = 6000  # updates
    batch: int = 256  # transitions an update
    wrong_batch: int = 64  # wrong-instruction transitions an update
    rate: float = 3e-4  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    held_out: float = 0.1  # fraction of episodes kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 1000  # updates between resume points
    bf16: bool = True  # autocast the matrix products
    loss: calql.CalQLConfig = field(default_factory=calql.CalQLConfig)
    model: CriticConfig = field(default_factory=CriticConfig)


class _Trainer:
    def __init__(
        self, config: CriticTraining, frames: Frames, samples: NDArray[np.float32], normaliser: Normaliser
    ) -> None:
        self.config, self.frames = config, frames
        columns = frames.columns
        made = transitions(columns, frames.spec.horizon, config.loss.gamma)
        train, self.test = split_episodes(columns, config.held_out, config.seed)
        if config.success_only:
            train &= success_frames(columns)
        self.train = np.flatnonzero(train & made.usable)
        self.wrong = np.flatnonzero(train & (frames.wrong_instruction != columns.instruction))
        self.features = torch.from_numpy(frames.features)
        self.wrong_features = torch.from_numpy(frames.wrong_features)
        self.sentences = torch.from_numpy(frames.sentences)
        self.chunks = torch.from_numpy(chunks(columns, frames.spec, normaliser))
        self.samples = torch.from_numpy(samples)
        self.reward, self.discount, self.mc_return = (
            torch.from_numpy(a) for a in (made.reward, made.discount, made.mc_return)
        )
        self.following = made.following
        torch.manual_seed(config.seed)
        self.net = QEnsemble(config.model)
        mean, std = feature_scale(frames.features[self.train])
        self.net.feature_mean.copy_(mean)
        self.net.feature_std.copy_(std)
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        self.modules = {"net": self.net, "target": self.target}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.decay, fused=True)

    def batch(self, random: np.random.Generator) -> calql.Batch:
        config, columns = self.config, self.frames.columns
        rows = self.train[random.integers(len(self.train), size=config.batch)]
        count = config.wrong_batch if config.loss.wrong_weight > 0 and len(self.wrong) else 0
        wrong = self.wrong[random.integers(len(self.wrong), size=count)] if count else rows[:0]
        following = self.following[rows]
        some = torch.from_numpy(random.permuted(np.tile(np.arange(self.samples.shape[1]), (2, 1)), axis=1))
        return calql.Batch(
            features=self.features[rows],
            sentence=self.sentences[columns.instruction[rows]],
            chunk=self.chunks[rows],
            reward=self.reward[rows],
            discount=self.discount[rows],
            next_features=self.features[following],
            next_chunks=self.samples[following][:, some[0, : config.loss.backup_chunks]],
            policy_chunks=self.samples[rows][:, some[1, : config.loss.policy_chunks]],
            mc_return=self.mc_return[rows],
            wrong_features=self.wrong_features[wrong],
            wrong_sentence=self.sentences[self.frames.wrong_instruction[wrong]],
            wrong_chunk=self.chunks[wrong],
        )

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        numpy_random, generator = loop.generators(config.seed, step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.bf16):
            parts = calql.losses(self.net, self.target, self.batch(numpy_random), config.loss, generator)
        loop.set_rate(self.optimiser, config.rate * loop.cosine(step, config.steps))
        self.optimiser.zero_grad(set_to_none=True)
        parts["loss"].backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.optimiser.step()
        calql.polyak(self.net, self.target, config.loss.polyak)
        return {name: value.detach() for name, value in parts.items()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Held-out episodes: does a higher Q mean success, and is the data's chunk above others?"""
        rows = np.flatnonzero(self.test)
        if len(rows) == 0:
            return {}
        columns = self.frames.columns
        words = self.sentences[columns.instruction[rows]]
        encoded = self.net.encode(self.features[rows], words)
        q = self.net.score(encoded, self.chunks[rows][:, None]).mean(0)[:, 0].numpy()
        q_policy = self.net.score(encoded, self.samples[rows]).mean(0).numpy()
        wrong_words = self.sentences[self.frames.wrong_instruction[rows]]
        q_wrong = self.net(self.wrong_features[rows], wrong_words, self.chunks[rows][:, None]).mean(0).numpy()
        won = success_frames(columns)[rows]
        return {
            "held_out_auc": ranking(q, won),
            "held_out_q_success": float(q[won].mean()) if won.any() else 0.0,
            "held_out_q_failure": float(q[~won].mean()) if (~won).any() else 0.0,
            "held_out_q_policy": float(q_policy.mean()),
            "held_out_q_wrong": float(q_wrong.mean()),
            "held_out_policy_spread": float(q_policy.std(-1).mean()),
        }


def ranking(score: NDArray, won: NDArray) -> float:
    """Probability that a frame of a success scores above one of a failure (AUC; Mann-Whitney U)."""
    if won.all() or not won.any():
        return 0.5
    order = np.sort(score[~won])
    below = np.searchsorted(order, score[won], side="left") + np.searchsorted(order, score[won], side="right")
    return float(below.mean() / 2 / len(order))


def train_critic(config: CriticTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end.

    Encoder, action spec and normaliser are the policy's: what it proposes is what is scored.
    """
    torch.set_num_threads(config.threads)
    policy_card = checkpoint.read_card(config.policy)
    policy = checkpoint.load_policy(config.policy, threads=config.threads)
    perception = policy.perception
    frames = load_frames(config.data, perception, config.cache)
    frames.spec.require_equal(policy.spec, mine=f"data {config.data}", theirs=f"policy {config.policy}")
    samples = policy_samples(policy, policy_card.weights_sha256, frames, config.samples, config.cache)
    model = replace(config.model, features=perception.config.features, chunk=policy.net.config.chunk)
    config = replace(config, model=model)
    trainer = _Trainer(config, frames, samples, policy.normaliser)
    fingerprint = provenance.fingerprint(config, frames.data_sha256, policy_card.weights_sha256)
    reached, numbers = loop.run(
        trainer, title="critic", steps=config.steps, out=config.out, fingerprint=fingerprint,
        save_every=config.save_every, log_every=200, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    card = checkpoint.Card(
        kind="critic",
        architecture={"encoder": perception.config.to_json(), "critic": model.to_json()},
        spec=policy.spec,
        normaliser=policy.normaliser,
        instructions=perception.language.known,
        data_sha256=frames.data_sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)) | {"policy_sha256": policy_card.weights_sha256},
        metrics=numbers | trainer.measure(),
    )
    checkpoint.save(config.out, card, {"encoder": perception.encoder, "critic": trainer.net}, perception.language)
    loop.finish(config.out)
    return config.out
