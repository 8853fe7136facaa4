"""Train a critic and the encoder it reads together; what is drawn and measured is what `training.critic` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vgps_models.critics.base import Batch
from vgps_models.critics.end_to_end import EndToEnd, Sights
from vgps_models.spaces import Image, Normaliser
from vgps_models.training import critic
from vgps_models.training.augment import Augment
from vgps_models.training.frames import Frames

MEASURED = 1000  # held-out frames that are encoded for measuring; more would take longer than many training steps


class EndToEndTrainer(critic.Trainer):
    """Draws what the critic's trainer draws, with images where that has features."""

    learner: EndToEnd

    def __init__(
        self,
        config: critic.CriticTraining,
        frames: Frames,
        images: Sequence[Image],
        samples: NDArray[np.float32],
        normaliser: Normaliser,
        encoder: Any,
    ) -> None:
        """images: of every view, one of every frame (N, h, h, 3). encoder: what training begins with."""
        self.encoder = encoder
        super().__init__(config, frames, samples, normaliser)
        self.sights = _Recorded(images, torch.tensor(frames.columns.state))
        self.features: Any = self.sights
        self.wrong_features: Any = self.sights
        self.augment = Augment(config.augment)
        learned = {id(p) for p in self.learner.encoder.parameters()}
        own = [p for p in self.trained if id(p) in learned]
        rest = [p for p in self.trained if id(p) not in learned]
        groups = [{"params": rest}, {"params": own, "share": config.encoder_rate / config.rate}]
        self.trained = [*rest, *own]
        self.optimiser = torch.optim.AdamW(groups, config.rate, weight_decay=config.decay, fused=True)

    def make_learner(self) -> EndToEnd:
        return EndToEnd(self.algorithm(), self.encoder)

    def batch(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        batch = super().batch(random, generator)
        names = ("features", "next_features", "wrong_features", "option_features")
        return replace(batch, **{name: self._changed(getattr(batch, name), random) for name in names})

    def _changed(self, sights: Sights, random: np.random.Generator) -> Sights:
        if len(sights) == 0:
            return sights
        nothing = torch.zeros(*sights.images.shape[:2], 0, 2)  # no pixel whose place would have to be followed
        changed, _ = self.augment(sights.images, nothing, random)
        return Sights(changed, sights.proprio)

    @torch.inference_mode()
    def measure(self) -> tuple[dict[str, float], dict[str, Any]]:
        """As every critic is measured, on at most `MEASURED` held-out frames."""
        self.learner.cpu()
        rows = np.flatnonzero(self.test)
        rows = rows[:: max(1, len(rows) // MEASURED)]
        self.test = np.isin(np.arange(len(self.test)), rows)
        encoder, columns = self.learner.encoder.fast(), self.frames.columns
        told = {"features": columns.instruction, "wrong_features": self.frames.wrong_instruction}
        for name, instruction in told.items():
            made = torch.zeros(len(columns), self.config.model.features)
            for some in np.array_split(rows, max(1, len(rows) // self.config.batch)):
                seen = self.sights[some]
                made[some] = encoder.encode(seen.images, seen.proprio, self.sentences[instruction[some]])
            setattr(self, name, made)
        return super().measure()


class _Recorded:
    """Rows of memory maps as sights."""

    def __init__(self, images: Sequence[Image], proprio: Tensor) -> None:
        self.images, self.proprio = images, proprio

    def __getitem__(self, rows: NDArray[np.int64]) -> Sights:
        views = np.stack([images[rows] for images in self.images], axis=1)
        return Sights(torch.from_numpy(views), self.proprio[rows])
