"""Flow matching over action chunks (Lipman et al. 2210.02747; as a robot policy: pi0, 2410.24164).

x_0 is noise and x_1 a normalised chunk; on the straight path x_t = (1 - t) x_0 + t x_1
the velocity is x_1 - x_0, and the network regresses it. Sampling integrates that
velocity from t = 0 to 1 by Euler, for all K chunks in one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet

TIME = 32  # sines and cosines that tell t


@dataclass(frozen=True)
class FlowConfig(ChunkConfig):
    """Architecture; travels in the checkpoint."""

    depth: int = 4  # hidden layers
    euler_steps: int = 10


class VelocityNet(ChunkNet):
    """v(x, t | features, sentence). The condition is computed once for all chunks and all t."""

    config: FlowConfig
    frequencies: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.time = nn.Sequential(nn.Linear(TIME, config.width), nn.SiLU(), nn.Linear(config.width, config.width))
        self.first = nn.Linear(config.chunk, config.width)
        self.layers = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth - 1))
        self.film = nn.Linear(config.width, config.width * config.depth)
        self.out = nn.Linear(config.width, config.chunk)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(100.0), TIME // 2)), persistent=False)

    def modulation(self, context: Tensor, t: Tensor) -> Tensor:
        """Shift of the first layer, scales of the others, at time t (B, 1). Shape (B, depth, width)."""
        angle = t * self.frequencies
        told = self.time(torch.cat([angle.sin(), angle.cos()], dim=-1))
        return self.film(F.silu(context + told)).unflatten(-1, (self.config.depth, self.config.width))

    def velocity(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (B, K, chunk) -> dx/dt (B, K, chunk), with the modulation (B, depth, width) of each row."""
        hidden = F.silu(self.first(x) + modulation[:, None, 0])
        for i, layer in enumerate(self.layers, start=1):
            hidden = hidden + F.silu(layer(hidden) * (1 + modulation[:, None, i]))
        return self.out(hidden)

    def forward(self, x: Tensor, t: Tensor, features: Tensor, sentence: Tensor) -> Tensor:
        """x (B, chunk), t (B, 1) -> dx/dt (B, chunk)."""
        return self.velocity(x[:, None], self.modulation(self.context(features, sentence), t))[:, 0]

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Flow-matching regression of normalised chunks (B, chunk)."""
        start = torch.randn(chunk.shape, generator=generator)
        t = torch.rand(len(chunk), 1, generator=generator)
        x = (1 - t) * start + t * chunk
        return F.mse_loss(self(x, t, features, sentence).float(), chunk - start)

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, None]:
        """Integrate the velocity from the noise (B, K, chunk); its density would cost far more than the samples."""
        batch, steps = len(noise), self.config.euler_steps
        context = self.context(features, sentence).repeat_interleave(steps, dim=0)
        times = (torch.arange(steps) / steps).repeat(batch)[:, None]
        modulation = self.modulation(context, times).unflatten(0, (batch, steps))
        x = noise
        for i in range(steps):
            x = x + self.velocity(x, modulation[:, i]) / steps
        return x, None
