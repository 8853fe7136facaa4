"""Diffusion over action chunks (DDPM 2006.11239, DDIM 2010.02502; as a robot policy: Diffusion Policy, 2303.04137).

Training: x_t = a x + s e with e ~ N(0, I), a = sqrt(abar_t), s = sqrt(1 - abar_t), t uniform in (0, 1), and abar the
cosine schedule (2102.09672). The network regresses v = a e - s x (2202.00512): at t = 1 nothing of x is left in x_t,
and the noise, which Diffusion Policy predicts, would no longer say what x is.

Sampling: DDIM with eta = 0. From x_t and v follow x = a x_t - s v and e = s x_t + a v; the next, less noisy point is
a' x + s' e. No fresh noise is drawn on the way, so the noise at t = 1 decides the chunk. The times are quadratic (their
appendix D.2), dense near 0: of a true spread of .08 ten even steps leave 42 %, ten quadratic ones 80 %, and guidance
lives from spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from vgps_models.policies.denoiser import Denoiser, DenoiserConfig

OFFSET = 0.008  # s of the cosine schedule: keeps the first steps from being too small to see


@dataclass(frozen=True)
class DDIMConfig(DenoiserConfig):
    """Architecture; travels in the checkpoint."""

    ddim_steps: int = 10


def signal_and_noise(t: Tensor) -> tuple[Tensor, Tensor]:
    """a and s of the cosine schedule at t in [0, 1]; a^2 + s^2 = 1, a(0) = 1, a(1) = 0 (eq. 17 of 2102.09672)."""
    start = math.pi / 2 * OFFSET / (1 + OFFSET)
    a = torch.cos(math.pi / 2 * (t + OFFSET) / (1 + OFFSET)) / math.cos(start)
    return a, (1 - a**2).clamp(min=0).sqrt()


def ddim_step(x: Tensor, v: Tensor, t: Tensor, following: Tensor) -> Tensor:
    """From time t to the earlier time `following`, given v at t (eq. 12 of 2010.02502 with sigma = 0)."""
    (a, s), (next_a, next_s) = signal_and_noise(t), signal_and_noise(following)
    return next_a * (a * x - s * v) + next_s * (s * x + a * v)


class DiffusionNet(Denoiser):
    """v(x_t, t | features, sentence)."""

    config: DDIMConfig

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Regression of v for normalised chunks (B, chunk)."""
        noise = torch.randn(chunk.shape, generator=generator)
        t = torch.rand(len(chunk), 1, generator=generator)
        a, s = signal_and_noise(t)
        return F.mse_loss(self(a * chunk + s * noise, t, features, sentence).float(), a * noise - s * chunk)

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, None]:
        """Follow the DDIM steps from the noise (B, K, chunk); its density would cost far more than the samples."""
        times = torch.linspace(1, 0, self.config.ddim_steps + 1) ** 2
        modulation = self.schedule(times[:-1], features, sentence)
        x = noise
        for i, (t, following) in enumerate(pairwise(times)):
            x = ddim_step(x, self.predict(x, modulation[:, i]), t, following)
        return x, None
