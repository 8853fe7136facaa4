"""What all policy architectures share: the condition they read, and how they are asked for chunks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vgps_models.perception.encoder import SENTENCE
from vgps_models.spaces import ACTION_NAMES, GRIPPER

C = TypeVar("C", bound="ChunkConfig")


@dataclass(frozen=True)
class ChunkConfig:
    """Sizes of any policy network; travels in the checkpoint."""

    features: int = 91  # length of the encoder's feature vector
    chunk: int = 28  # H * 7
    width: int = 256
    words: int = 32  # width of the sentence inside the policy

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls: type[C], data: dict[str, Any]) -> C:
        return cls(**data)


class ChunkNet(nn.Module):
    """p(chunk | features, sentence) over normalised chunks: how to learn it and how to draw from it."""

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: ChunkConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", torch.zeros(config.features))
        self.register_buffer("feature_std", torch.ones(config.features))
        self.words = nn.Linear(SENTENCE, config.words)
        self.condition = nn.Sequential(
            nn.Linear(config.features + config.words, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )

    @property
    def noise_width(self) -> int:
        """Standard normal numbers that one chunk is drawn from."""
        return self.config.chunk

    def context(self, features: Tensor, sentence: Tensor) -> Tensor:
        """The condition, computed once for all chunks. Shape (B, width)."""
        standard = ((features - self.feature_mean) / self.feature_std).clamp(-5, 5)
        return self.condition(torch.cat([standard, self.words(sentence * SENTENCE**0.5)], dim=-1))

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of normalised chunks (B, chunk)."""
        raise NotImplementedError

    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor | None]:
        """Noise (B, K, noise_width) -> chunks (B, K, chunk) and their log density (B, K), or None.

        Row k of the chunks depends on row k of the noise alone, for one row of features (B, .) each.
        """
        raise NotImplementedError


def gripper_numbers(chunk: int) -> Tensor:
    """Which numbers of a chunk are the gripper's. Shape (chunk,), bool."""
    return torch.arange(chunk) % len(ACTION_NAMES) == GRIPPER


def inverse_cdf(noise: Tensor, probability: Tensor) -> Tensor:
    """Standard normal numbers (...) -> choices (...) drawn from probabilities (..., C); never one of probability 0.

    The shapes before C may broadcast.
    """
    cdf = probability.cumsum(-1)
    below = torch.special.ndtr(noise).clamp(max=1 - 1e-6)[..., None] * cdf[..., -1:]
    return (cdf <= below).sum(-1)
