"""Any critic's algorithm with the encoder learned along: every observation is encoded once a step.

s and the wrong-instruction frames in one pass with gradients, s' in one pass of the target encoder without. All
chunks that the loss scores at an observation share its features, so they get the gradients that an encoder pass for
every chunk would give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgps_models.critics.base import Batch, Learner, target_of
from vgps_models.critics.network import QEnsemble


@dataclass(frozen=True, eq=False)
class Sights:
    """What an encoder looks at, in the place of a batch's features.

    images (B, V, h, h, 3) uint8 or float 0..255, proprio (B, 10).
    """

    images: Tensor
    proprio: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | NDArray) -> Sights:
        return Sights(self.images[rows], self.proprio[rows])

    def to(self, device: torch.device) -> Sights:
        return Sights(self.images.to(device), self.proprio.to(device))


class EndToEnd(Learner):
    """An algorithm and its encoder. Batches have `Sights` where its own have features."""

    def __init__(self, learner: Learner, encoder: nn.Module) -> None:
        """encoder: has `encode(images, proprio, sentence)`."""
        nn.Module.__init__(self)
        self.learner, self.config = learner, learner.config
        self.encoder: Any = encoder
        self.target_encoder: Any = target_of(encoder)

    @property
    def net(self) -> QEnsemble:  # type: ignore[override]
        return self.learner.net

    def pairs(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        return [*self.learner.pairs(), (self.encoder, self.target_encoder)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.learner.losses(self.encode(batch))

    def encode(self, batch: Batch) -> Batch:
        """The same batch with features for sights, each observation encoded once."""
        here: Any = batch.features
        there: Any = batch.next_features
        wrong: Any = batch.wrong_features
        option: Any = batch.option_features
        with torch.no_grad():
            following = self.target_encoder.encode(there.images, there.proprio, batch.sentence)
            later = option
            if len(option):
                later = self.target_encoder.encode(option.images, option.proprio, batch.sentence)
        seen = self.encoder.encode(
            torch.cat([here.images, wrong.images]),
            torch.cat([here.proprio, wrong.proprio]),
            torch.cat([batch.sentence, batch.wrong_sentence]),
        )
        features, wrong_features = seen.split([len(here), len(wrong)])
        return replace(
            batch, features=features, next_features=following, wrong_features=wrong_features, option_features=later
        )
