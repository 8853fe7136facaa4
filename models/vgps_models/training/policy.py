"""Train a policy on all the data: it plays the frozen generalist, flaws and all."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.data.sampling import split_episodes, success_frames
from vgps_models.errors import DataError
from vgps_models.policies import describe, make_net
from vgps_models.policies.network import ChunkNet
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training import loop, provenance
from vgps_models.training.frames import Frames, chunks, feature_scale, load_frames


@dataclass(frozen=True)
class PolicyTraining:
    """`vgps train policy`: about 2 minutes on 2 cores once the frames are encoded."""

    data: Path = Path("data/mixed")  # episode store
    architecture: str = "flow"  # one of `vgps_models.policies.ARCHITECTURES`
    encoder: str = "runs/encoder.safetensors"  # encoder checkpoint: a path or a shipped name
    out: Path = Path("runs/policy.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames are kept
    like: str = ""  # checkpoint whose normaliser is taken over, so that its critic fits; empty: bounds of this data
    success_only: bool = False  # clone the successful episodes alone (the filtered baseline)
    steps: int = 10_000  # updates
    batch: int = 256  # chunks an update
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    average: float = 0.999  # decay of the moving average of the weights, which is what is kept
    feature_noise: float = 0.0  # standard deviation of noise on standardised features
    held_out: float = 0.05  # fraction of episodes kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 1000  # updates between resume points
    model: dict[str, int] = field(default_factory=dict)  # sizes other than the architecture's own: width 128 ...


class _Trainer:
    def __init__(self, config: PolicyTraining, frames: Frames, normaliser: Normaliser) -> None:
        self.config = config
        train, test = split_episodes(frames.columns, config.held_out, config.seed)
        if config.success_only:
            won = success_frames(frames.columns)
            train, test = train & won, test & won
        self.train, self.test = np.flatnonzero(train), np.flatnonzero(test)
        if len(self.train) == 0:
            raise DataError(f"{config.data} has no {'successful ' * config.success_only}episode to train on")
        self.features = torch.from_numpy(frames.features)
        self.chunks = torch.from_numpy(chunks(frames.columns, frames.spec, normaliser))
        self.sentences = torch.from_numpy(frames.sentences)
        self.instruction = torch.from_numpy(frames.columns.instruction)
        torch.manual_seed(config.seed)
        self.net = make_net({"name": config.architecture} | config.model)
        mean, std = feature_scale(frames.features[self.train])
        self.net.feature_mean.copy_(mean)
        self.net.feature_std.copy_(std)
        self.average = copy.deepcopy(self.net)
        self.modules = {"net": self.net, "average": self.average}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.decay, fused=True)

    def _loss(self, net: ChunkNet, rows: np.ndarray, generator: torch.Generator, noise: float) -> Tensor:
        features = self.features[rows]
        if noise > 0:
            features = features + noise * net.feature_std * torch.randn(features.shape, generator=generator)
        return net.loss(self.chunks[rows], features, self.sentences[self.instruction[rows]], generator)

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        numpy_random, generator = loop.generators(config.seed, step)
        rows = self.train[numpy_random.integers(len(self.train), size=config.batch)]
        loss = self._loss(self.net, rows, generator, config.feature_noise)
        loop.set_rate(self.optimiser, config.rate * loop.cosine(step, config.steps))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        loop.average(self.average, self.net, step, config.average)
        return {"loss": loss.detach()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Flow-matching loss on held-out episodes, averaged network."""
        if len(self.test) == 0:
            return {}
        rows = self.test[:4096]
        loss = self._loss(self.average, rows, torch.Generator().manual_seed(0), 0.0)
        return {"held_out_loss": float(loss), "held_out_frames": float(len(rows))}


def train_policy(config: PolicyTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    _, perception = checkpoint.load_perception(config.encoder)
    frames = load_frames(config.data, perception, config.cache)
    spec = frames.spec
    # Bounds come from ALL the data, also when only successes are cloned: one normaliser a data set.
    normaliser = Normaliser.from_actions(frames.columns.actions.astype(np.float64), spec)
    if config.like:
        normaliser = _normaliser_of(config.like, spec)
    sizes = {"features": perception.config.features, "chunk": spec.horizon * len(spec.names)}
    config = replace(config, model=config.model | sizes)
    trainer = _Trainer(config, frames, normaliser)
    fingerprint = provenance.fingerprint(config, frames.data_sha256, perception.sha256)
    reached, numbers = loop.run(
        trainer, title=f"{config.architecture} policy", steps=config.steps, out=config.out, fingerprint=fingerprint,
        save_every=config.save_every, log_every=200, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    card = checkpoint.Card(
        kind="policy",
        architecture={"encoder": perception.config.to_json(), "policy": describe(trainer.net)},
        spec=spec,
        normaliser=normaliser,
        instructions=tuple(sorted({*perception.language.known, *frames.columns.instructions})),
        data_sha256=frames.data_sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)),
        metrics=numbers | trainer.measure(),
    )
    modules = {"encoder": perception.encoder, "policy": trainer.average}
    checkpoint.save(config.out, card, modules, perception.language)
    loop.finish(config.out)
    return config.out


def _normaliser_of(name: str, spec: ActionSpec) -> Normaliser:
    card = checkpoint.read_card(name)
    if card.spec is None or card.normaliser is None:
        raise DataError(f"checkpoint {name} has no normaliser to take over; name a policy or a critic")
    spec.require_equal(card.spec, mine="the data", theirs=f"checkpoint {name}")
    return card.normaliser
