"""A conditional variational autoencoder of action chunks (ACT, 2304.13705; CVAE: Sohn et al. 2015).

encoder q(z | chunk, s), prior p(z | s), decoder f(z, s), all Gaussian or deterministic; s is the condition. The loss is
|chunk - f(z, s)|_1 (mean over the chunk's numbers) + beta KL(q || p) (sum over z's), z ~ q.

ACT fixes p(z) = N(0, I), weighs the KL by 10 and acts with z = 0: one chunk for every moment. Guidance needs candidates
that differ as the data differ, hence two departures: the prior is learned from s (what varies in the data differs from
moment to moment), and beta is small. As a likelihood, the loss is a Laplace distribution around f of scale beta x 28:
whatever varies by more than that has to go through z, and so comes back when z is drawn from the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet


@dataclass(frozen=True)
class CVAEConfig(ChunkConfig):
    """Architecture; travels in the checkpoint."""

    depth: int = 3  # hidden layers of encoder, prior and decoder each
    latent: int = 16  # length of z
    beta: float = 0.002  # weight of the KL [normalised units a nat]


def kl_divergence(mean: Tensor, log_std: Tensor, other_mean: Tensor, other_log_std: Tensor) -> Tensor:
    """KL(N(mean, std) || N(other)) of diagonal Gaussians (B, Z), summed over Z. Shape (B,)."""
    ratio = (2 * (log_std - other_log_std)).exp()
    distance = ((mean - other_mean) / other_log_std.exp()) ** 2
    return 0.5 * (ratio + distance - 1 - ratio.log()).sum(-1)


def mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """`depth` hidden layers of SiLU."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else inputs, width), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class CVAENet(ChunkNet):
    """Draws z from the learned prior and decodes it."""

    config: CVAEConfig

    def __init__(self, config: CVAEConfig) -> None:
        super().__init__(config)
        width, depth, latent = config.width, config.depth, config.latent
        self.encoder = mlp(width + config.chunk, width, depth, 2 * latent)
        self.prior = mlp(width, width, depth, 2 * latent)
        self.decoder = mlp(width + latent, width, depth, config.chunk)

    @property
    def noise_width(self) -> int:
        return self.config.latent

    def gaussian(self, net: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation, the latter kept where its exponential is a number."""
        mean, log_std = net(inputs).float().chunk(2, dim=-1)
        return mean, log_std.clamp(-6, 3)

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """L1 reconstruction of normalised chunks (B, chunk) + beta KL."""
        context = F.silu(self.context(features, sentence))
        mean, log_std = self.gaussian(self.encoder, torch.cat([context, chunk], dim=-1))
        z = mean + log_std.exp() * torch.randn(mean.shape, generator=generator)
        made = self.decoder(torch.cat([context, z], dim=-1)).float()
        kl = kl_divergence(mean, log_std, *self.gaussian(self.prior, context))
        return F.l1_loss(made, chunk) + self.config.beta * kl.mean()

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, None]:
        """z from the prior by the noise (B, K, latent); a chunk's density would be an integral over z."""
        context = F.silu(self.context(features, sentence))
        mean, log_std = self.gaussian(self.prior, context)
        z = mean[:, None] + log_std.exp()[:, None] * noise
        return self.decoder(torch.cat([context[:, None].expand(-1, noise.shape[1], -1), z], dim=-1)), None
