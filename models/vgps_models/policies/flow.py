"""Flow matching over action chunks (Lipman et al. 2210.02747; as a robot policy: pi0, 2410.24164).

x_0 is noise and x_1 a normalised chunk; on the straight path x_t = (1 - t) x_0 + t x_1
the velocity is x_1 - x_0, and the network regresses it. Sampling integrates that
velocity from t = 0 to 1 by Euler, for all K chunks in one batch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.errors import SpecError
from vgps_models.perception.encoder import SENTENCE
from vgps_models.perception.runtime import Perception
from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation, noise

TIME = 32  # sines and cosines that tell t


@dataclass(frozen=True)
class FlowConfig:
    """Architecture; travels in the checkpoint."""

    features: int = 91  # length of the encoder's feature vector
    chunk: int = 28  # H * 7
    width: int = 256
    depth: int = 4  # hidden layers
    words: int = 32  # width of the sentence inside the policy
    euler_steps: int = 10

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FlowConfig:
        return cls(**data)


class VelocityNet(nn.Module):
    """v(x, t | features, sentence). The condition is computed once for all chunks and all t."""

    feature_mean: Tensor
    feature_std: Tensor
    frequencies: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", torch.zeros(config.features))
        self.register_buffer("feature_std", torch.ones(config.features))
        self.words = nn.Linear(SENTENCE, config.words)
        self.condition = nn.Sequential(
            nn.Linear(config.features + config.words, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        self.time = nn.Sequential(nn.Linear(TIME, config.width), nn.SiLU(), nn.Linear(config.width, config.width))
        self.first = nn.Linear(config.chunk, config.width)
        self.layers = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth - 1))
        self.film = nn.Linear(config.width, config.width * config.depth)
        self.out = nn.Linear(config.width, config.chunk)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(100.0), TIME // 2)), persistent=False)

    def context(self, features: Tensor, sentence: Tensor) -> Tensor:
        """What stays the same along the path. Shape (B, width)."""
        standard = ((features - self.feature_mean) / self.feature_std).clamp(-5, 5)
        return self.condition(torch.cat([standard, self.words(sentence * SENTENCE**0.5)], dim=-1))

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
    def integrate(self, start: Tensor, features: Tensor, sentence: Tensor) -> Tensor:
        """Noise (B, K, chunk) -> chunks (B, K, chunk), for one row of features (B, .) each."""
        batch, steps = len(start), self.config.euler_steps
        context = self.context(features, sentence).repeat_interleave(steps, dim=0)
        times = (torch.arange(steps) / steps).repeat(batch)[:, None]
        modulation = self.modulation(context, times).unflatten(0, (batch, steps))
        x = start
        for i in range(steps):
            x = x + self.velocity(x, modulation[:, i]) / steps
        return x


class FlowPolicy:
    """A `Policy`: encoder, velocity net and the action they were trained on."""

    def __init__(self, perception: Perception, net: VelocityNet, spec: ActionSpec, normaliser: Normaliser) -> None:
        if net.config.chunk != spec.horizon * len(spec.names):
            raise SpecError(
                f"policy makes {net.config.chunk} numbers, but a chunk has {spec.horizon} x {len(spec.names)}"
            )
        self.perception, self.net = perception, net.eval().requires_grad_(False)
        self.spec, self.normaliser = spec, normaliser

    def sample(self, observation: Observation, k: int) -> Array:
        """K executable chunks. Shape (K, H, 7), metric, gripper 0 or 1."""
        if k < 1:
            raise SpecError(f"a policy samples at least one chunk, not {k}")
        seen = self.perception(observation)
        start = torch.from_numpy(noise(observation.key, (k, self.net.config.chunk)))[None]
        return self.metric(self.net.integrate(start, seen.features, seen.sentence)[0].numpy())

    def metric(self, normalised: np.ndarray) -> Array:
        """Normalised (..., H * 7) -> executable (..., H, 7)."""
        chunks = normalised.astype(np.float64).reshape(*normalised.shape[:-1], self.spec.horizon, -1)
        return self.spec.clip(self.normaliser.denormalise(chunks))
