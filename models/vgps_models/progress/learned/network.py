"""What a frame looks like -> how far along it is, by several heads that were trained apart.

Every head says two things. `progress` is the fraction of the episode that is over, learned from successes
alone: of a failure nobody knows how far along it was. `success` is whether the task is done, learned from the
last frames of successes against failures and against other instructions. The value is mostly the first; the
rest has to be earned with the second, so that a hand that only went through the motions ends below one that
brought it off.

There is no memory, so no frame can be judged by how long the clip already lasts, and a clip played backwards
goes back to where it began. The sentence is not an input either: it has already told the encoder what to look
for. A head that also reads it learns which sentences it knows, and gives every frame of a task that it was
not trained on a flat zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

OUTPUTS = ("progress", "success")


@dataclass(frozen=True)
class ProgressConfig:
    """Architecture; travels in the checkpoint."""

    looks: int = 364  # numbers of `KeypointEncoder.look`
    heads: int = 3  # whose standard deviation is the spread
    width: int = 256
    dropout: float = 0.3  # of the looks, so that no single cue carries a judgement
    earned: float = 0.2  # part of the value that only success gives, in (0, 1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProgressConfig:
        return cls(**data)


class ProgressNet(nn.Module):
    """Looks (B, looks) -> logits (heads, B, 2) of `OUTPUTS`."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ProgressConfig) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.ModuleList(_head(config) for _ in range(config.heads))
        self.register_buffer("mean", torch.zeros(config.looks))
        self.register_buffer("std", torch.ones(config.looks))

    def forward(self, looks: Tensor, noise: float = 0.0) -> Tensor:
        """noise: standard deviation of what is added to the standardised looks, for training."""
        x = (looks - self.mean) / self.std
        return torch.stack([head(x + noise * torch.randn_like(x) if noise else x) for head in self.heads])

    def values(self, looks: Tensor) -> Tensor:
        """What every head says. (B, looks) -> (heads, B), in [0, 1]."""
        progress, success = self(looks).sigmoid().unbind(-1)
        return (1 - self.config.earned) * progress + self.config.earned * success


def _head(config: ProgressConfig) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(config.dropout),
        nn.Linear(config.looks, config.width),
        nn.LayerNorm(config.width),
        nn.GELU(),
        nn.Linear(config.width, config.width),
        nn.GELU(),
        nn.Linear(config.width, len(OUTPUTS)),
    )
