"""Train the published critic end to end from pixels: Cal-QL through a FiLM-ResNet.

Every observation is encoded once a step: s and the wrong-instruction frames in
one pass with gradients, s' in one pass of the target network without. All the
chunks that the loss scores at an observation share its features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.critics import CriticConfig
from vgps_models.critics.base import Batch, target_of
from vgps_models.critics.calql import CalQL, CalQLConfig
from vgps_models.critics.resnet import HEADS, ResNetConfig, ResNetEncoder, fast, resized
from vgps_models.data import EpisodeStore
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.spaces import Image, Normaliser
from vgps_models.training import critic, loop, parallel, provenance
from vgps_models.training.augment import Augment, AugmentConfig
from vgps_models.training.cache import sole
from vgps_models.training.frames import Frames, load_frames
from vgps_models.training.sample_cache import policy_samples

PUBLISHED = CalQLConfig(alpha=5.0, random_chunks=4, policy_chunks=4, backup_chunks=4, backup="min")
MEASURED = 1000  # held-out frames that are encoded for measuring; more would take longer than many training steps


@dataclass(frozen=True)
class PixelTraining(critic.CriticTraining):
    """`vgps train pixels`: some 3 s a step on 2 cores as published; a smaller encoder is quicker."""

    out: Path = Path("runs/pixel_critic.safetensors")  # checkpoint to write
    horizon: int = 1  # actions of a chunk that the critic reads and a transition spans; 0 all
    steps: int = 10_000  # updates
    batch: int = 16  # transitions an update
    wrong_batch: int = 4  # wrong-instruction transitions an update
    save_every: int = 200  # updates between resume points
    encoder: ResNetConfig = field(default_factory=ResNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: CriticConfig = HEADS  # the heads
    calql: CalQLConfig = PUBLISHED  # and a loss on wrong instructions, which V-GPS has not

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"encoder": asdict(self.encoder), "augment": asdict(self.augment)}


class PixelCalQL(CalQL):
    """Cal-QL whose features are learned with it. Batches have images (B, s, s, 3) in the place of features."""

    def __init__(self, encoder: ResNetConfig, heads: CriticConfig, config: CalQLConfig) -> None:
        super().__init__(heads, config)
        self.encoder = ResNetEncoder(encoder)
        self.target_encoder = target_of(self.encoder)

    def pairs(self):
        return [*super().pairs(), (self.encoder, self.target_encoder)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return super().losses(self.encode(batch))

    def encode(self, batch: Batch) -> Batch:
        """The same batch with features for images, each observation encoded once."""
        with torch.no_grad():
            following = self.target_encoder(batch.next_features, batch.sentence)
        features = self.encoder(
            torch.cat([batch.features, batch.wrong_features]), torch.cat([batch.sentence, batch.wrong_sentence])
        )
        here, wrong = features.split([len(batch.features), len(batch.wrong_features)])
        return replace(batch, features=here, next_features=following, wrong_features=wrong)


class PixelTrainer(critic.Trainer):
    """Draws what the critic's trainer draws, with images where that has features."""

    config: PixelTraining
    learner: PixelCalQL

    def __init__(
        self,
        config: PixelTraining,
        frames: Frames,
        images: Image,
        samples: NDArray[np.float32],
        normaliser: Normaliser,
    ) -> None:
        """images: one of every frame. Shape (N, h, h, 3)."""
        super().__init__(config, frames, samples, normaliser)
        self.images = _Images(images)
        self.features = self.wrong_features = self.images
        self.augment = Augment(config.augment)

    def make_learner(self) -> PixelCalQL:
        return PixelCalQL(self.config.encoder, self.config.model, self.config.calql)

    def batch(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        batch = super().batch(random, generator)
        names = ("features", "next_features", "wrong_features")
        return replace(batch, **{name: self._changed(getattr(batch, name), random) for name in names})

    def _changed(self, images: Tensor, random: np.random.Generator) -> Tensor:
        if len(images) == 0:
            return images
        nothing = torch.zeros(len(images), 1, 0, 2)  # no pixel whose place would have to be followed
        changed, _ = self.augment(images[:, None], nothing, random)
        return resized(changed[:, 0], self.config.encoder.image_size)

    @torch.inference_mode()
    def measure(self) -> tuple[dict[str, float], dict[str, Any]]:
        """As every critic is measured, on at most `MEASURED` held-out frames."""
        self.learner.cpu()
        rows = np.flatnonzero(self.test)
        rows = rows[:: max(1, len(rows) // MEASURED)]
        self.test = np.isin(np.arange(len(self.test)), rows)
        encoder, size = fast(self.learner.encoder), self.config.encoder.image_size
        columns = self.frames.columns
        for name, instruction in (
            ("features", columns.instruction),
            ("wrong_features", self.frames.wrong_instruction),
        ):
            made = torch.zeros(len(columns), self.config.encoder.features)
            for some in np.array_split(rows, max(1, len(rows) // self.config.batch)):
                made[some] = encoder(resized(self.images[some], size), self.sentences[instruction[some]])
            setattr(self, name, made)
        return super().measure()


class _Images:
    """Rows of a memory map as tensors."""

    def __init__(self, images: Image) -> None:
        self.images = images

    def __getitem__(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.images[rows])


def train_pixels(config: PixelTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end.

    Action spec and normaliser are the policy's: what it proposes is what is scored.
    """
    if config.algorithm != "calql":
        raise UnknownNameError("algorithm for pixels", config.algorithm, ["calql"])
    torch.set_num_threads(config.threads)
    store = EpisodeStore(config.data)
    critic.split(store.columns(), config)  # refuse what cannot be learned from before all the work
    if config.encoder.camera not in store.cameras:
        raise UnknownNameError("camera", config.encoder.camera, store.cameras)
    policy_card = checkpoint.read_card(config.policy)
    policy = checkpoint.load_policy(config.policy, threads=config.threads)
    spec = policy.spec
    if not 0 <= config.horizon <= spec.horizon:
        raise SpecError(f"--horizon is {config.horizon}; chunks have 1 to {spec.horizon} actions to read, 0 means all")
    frames = load_frames(config.data, policy.perception, config.cache)
    samples = policy_samples(policy, policy_card.weights_sha256, frames, config.samples, config.cache)
    with sole(config.cache / "images"):
        images = store.all_images(config.encoder.camera, config.cache)
    frames.spec.require_equal(spec, mine=f"data {config.data}", theirs=f"policy {config.policy}")
    width = (config.horizon or spec.horizon) * len(spec.names)
    heads = replace(config.model, features=config.encoder.features, words=0, chunk=width, low=config.calql.never)
    config = replace(config, model=heads)
    trainer = PixelTrainer(config, frames, images, samples, policy.normaliser)
    fingerprint = provenance.fingerprint(config, frames.data_sha256, policy_card.weights_sha256)
    reached, numbers = loop.run(
        trainer, title="pixel critic", steps=config.steps, out=config.out, fingerprint=fingerprint,
        save_every=config.save_every, log_every=10, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if parallel.leads():
        measured, _ = trainer.measure()
        language = policy.perception.language
        card = checkpoint.Card(
            kind="critic",
            architecture={"encoder": config.encoder.to_json(), "critic": heads.to_json()},
            spec=spec,
            normaliser=policy.normaliser,
            instructions=language.known,
            data_sha256=frames.data_sha256,
            git=provenance.git_revision(),
            command=provenance.command(),
            settings=provenance.plain(config.settings()) | {"policy_sha256": policy_card.weights_sha256},
            metrics=numbers | measured,
        )
        checkpoint.save(config.out, card, {"encoder": trainer.learner.encoder, "critic": trainer.net}, language)
        loop.finish(config.out)
    return config.out
