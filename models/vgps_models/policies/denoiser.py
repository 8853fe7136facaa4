"""The network that flow matching and diffusion share: an MLP over the chunk, told the time by FiLM (1709.07871)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet

TIME = 32  # sines and cosines that tell t


@dataclass(frozen=True)
class DenoiserConfig(ChunkConfig):
    """Sizes of a network that reads a noisy chunk."""

    depth: int = 4  # hidden layers


class Denoiser(ChunkNet):
    """f(x, t | features, sentence), as long as a chunk. The condition is computed once for all chunks and all t."""

    config: DenoiserConfig
    frequencies: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        self.time = nn.Sequential(nn.Linear(TIME, config.width), nn.SiLU(), nn.Linear(config.width, config.width))
        self.first = nn.Linear(config.chunk, config.width)
        self.layers = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth - 1))
        self.film = nn.Linear(config.width, config.width * config.depth)
        self.out = nn.Linear(config.width, config.chunk)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(100.0), TIME // 2)), persistent=False)

    def modulation(self, context: Tensor, t: Tensor) -> Tensor:
        """Shift of the first layer, scales of the others, at time t (B, 1) in [0, 1]. Shape (B, depth, width)."""
        angle = t * self.frequencies
        told = self.time(torch.cat([angle.sin(), angle.cos()], dim=-1))
        return self.film(F.silu(context + told)).unflatten(-1, (self.config.depth, self.config.width))

    def schedule(self, times: Tensor, features: Tensor, sentence: Tensor) -> Tensor:
        """Modulations of a whole sampling run, times (T,), in one batch. Shape (B, T, depth, width)."""
        batch, steps = len(features), len(times)
        context = self.context(features, sentence).repeat_interleave(steps, dim=0)
        return self.modulation(context, times.repeat(batch)[:, None]).unflatten(0, (batch, steps))

    def predict(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (B, K, chunk) -> f (B, K, chunk), with the modulation (B, depth, width) of each row."""
        hidden = F.silu(self.first(x) + modulation[:, None, 0])
        for i, layer in enumerate(self.layers, start=1):
            hidden = hidden + F.silu(layer(hidden) * (1 + modulation[:, None, i]))
        return self.out(hidden)

    def forward(self, x: Tensor, t: Tensor, features: Tensor, sentence: Tensor) -> Tensor:
        """x (B, chunk), t (B, 1) -> f (B, chunk)."""
        return self.predict(x[:, None], self.modulation(self.context(features, sentence), t))[:, 0]
