"""A mixture of Gaussians over the whole chunk (robomimic's BC-GMM, 2108.03298; mixture density networks, Bishop 1994).

p(x | s) = sum_m w_m prod_i N(x_i; mu_mi, sigma_mi), one network pass for all parameters. Two departures:

- means are not squashed by tanh, since normalised actions may lie outside [-1, 1];
- a gripper number is open or closed, so in every mode it is a coin, x_i = +1 with probability p_mi and else -1.
  A Gaussian would shrink onto it without end, and its density would drown all others.

The log density is thus exact: with respect to lengths in 24 of 28 numbers and to counting in the gripper's four.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet, gripper_numbers, inverse_cdf


@dataclass(frozen=True)
class GMMConfig(ChunkConfig):
    """Architecture; travels in the checkpoint."""

    depth: int = 3  # hidden layers
    modes: int = 8
    min_std: float = (
        0.02  # in normalised units: 0.6 mm, 5 mrad. Many actions are exactly 0, and a density has no use for that
    )


class Mixture(NamedTuple):
    """Parameters for B rows. For a gripper number `mean` is the logit of open and `std` means nothing."""

    log_weight: Tensor  # (B, M)
    mean: Tensor  # (B, M, chunk)
    std: Tensor  # (B, M, chunk)


class MixtureNet(ChunkNet):
    """p(chunk | features, sentence) in closed form."""

    config: GMMConfig
    gripper: Tensor

    def __init__(self, config: GMMConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth))
        self.out = nn.Linear(config.width, config.modes * (1 + 2 * config.chunk))
        self.register_buffer("gripper", gripper_numbers(config.chunk), persistent=False)

    @property
    def noise_width(self) -> int:
        """One number chooses the mode."""
        return 1 + self.config.chunk

    def mixture(self, features: Tensor, sentence: Tensor) -> Mixture:
        hidden = F.silu(self.context(features, sentence))
        for layer in self.layers:
            hidden = hidden + F.silu(layer(hidden))
        sizes = (1, self.config.chunk, self.config.chunk)
        weight, mean, spread = self.out(hidden).float().unflatten(-1, (self.config.modes, -1)).split(sizes, dim=-1)
        return Mixture(weight[..., 0].log_softmax(-1), mean, F.softplus(spread) + self.config.min_std)

    def log_prob(self, chunks: Tensor, mixture: Mixture) -> Tensor:
        """Exact log density of chunks (B, K, chunk), gripper numbers -1 or 1. Shape (B, K)."""
        x, mean, std = chunks[:, :, None], mixture.mean[:, None], mixture.std[:, None]
        gaussian = -0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
        coin = F.logsigmoid(mean * x)
        in_mode = torch.where(self.gripper, coin, gaussian).sum(-1)
        return torch.logsumexp(mixture.log_weight[:, None] + in_mode, dim=-1)

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log likelihood of normalised chunks (B, chunk), per number of a chunk."""
        return -self.log_prob(chunk[:, None], self.mixture(features, sentence)).mean() / self.config.chunk

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """The first noise number chooses the mode, the others the chunk within it."""
        mixture = self.mixture(features, sentence)
        mode = inverse_cdf(noise[..., 0], mixture.log_weight[:, None].exp())
        pick = mode[..., None].expand(-1, -1, self.config.chunk)
        mean, std = mixture.mean.gather(1, pick), mixture.std.gather(1, pick)
        is_open = torch.special.ndtr(noise[..., 1:]) < mean.sigmoid()
        chunks = torch.where(self.gripper, 2.0 * is_open - 1.0, mean + std * noise[..., 1:])
        return chunks, self.log_prob(chunks, mixture)
