"""Flow matching over action chunks (Lipman et al. 2210.02747; as a robot policy: pi0, 2410.24164).

x_0 is noise and x_1 a normalised chunk; on the straight path x_t = (1 - t) x_0 + t x_1
the velocity is x_1 - x_0, and the network regresses it. Sampling integrates that
velocity from t = 0 to 1 by Euler, for all K chunks in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vgps_models.policies.denoiser import Denoiser, DenoiserConfig


@dataclass(frozen=True)
class FlowConfig(DenoiserConfig):
    """Architecture; travels in the checkpoint."""

    euler_steps: int = 10


class VelocityNet(Denoiser):
    """v(x, t | features, sentence)."""

    config: FlowConfig

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Flow-matching regression of normalised chunks (B, chunk)."""
        start = torch.randn(chunk.shape, generator=generator)
        t = torch.rand(len(chunk), 1, generator=generator)
        x = (1 - t) * start + t * chunk
        return F.mse_loss(self(x, t, features, sentence).float(), chunk - start)

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, None]:
        """Integrate the velocity from the noise (B, K, chunk); its density would cost far more than the samples."""
        steps = self.config.euler_steps
        modulation = self.schedule(torch.arange(steps) / steps, features, sentence)
        x = noise
        for i in range(steps):
            x = x + self.predict(x, modulation[:, i]) / steps
        return x, None
