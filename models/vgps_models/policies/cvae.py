"""A conditional variational autoencoder of action chunks (ACT, 2304.13705; CVAE: Sohn et al. 2015).

encoder q(z | chunk, s), prior p(z | s), decoder f(z, s); s is the condition. The loss is

    |chunk - f(z, s)| (mean over the chunk's numbers) + beta (log q(z | chunk, s) - log p(z | s)),    z ~ q,

whose second part is a one-sample estimate of KL(q || p). ACT fixes p = N(0, I), weighs the KL by 10 and acts with
z = 0: one chunk for every moment. Guidance needs candidates that differ as the data differ, hence three departures:

- beta is small. As a likelihood the loss is a distribution around f of scale 28 beta; whatever varies by more than that
  must go through z, and so comes back when z is drawn.
- the L1 norm is rounded off below `ROUND` (Huber). The sharp one is flat for a number that f does not yet vary, because
  of its sign alone nothing says how far f is off: of three equal numbers one was often never encoded.
- the prior is learned from s, and is a mixture of Gaussians (as in 1611.02648). What varies differs from moment to
  moment, and comes in kinds: grasp now or later, turn or not. One Gaussian put a tenth of the samples between two
  equally likely places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet, inverse_cdf

ROUND = 0.1  # in normalised units: 3 mm, 25 mrad


@dataclass(frozen=True)
class CVAEConfig(ChunkConfig):
    """Architecture; travels in the checkpoint."""

    depth: int = 3  # hidden layers of encoder, prior and decoder each
    latent: int = 16  # length of z
    modes: int = 8  # Gaussians in the prior
    beta: float = 0.001  # weight of the KL [normalised units a nat]


class Gaussian(NamedTuple):
    """Diagonal, over the last dimension."""

    mean: Tensor
    log_std: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        scaled = (z - self.mean) * (-self.log_std).exp()
        return (-0.5 * scaled**2 - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


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
        self.prior = mlp(width, width, depth, config.modes * (1 + 2 * latent))
        self.decoder = mlp(width + latent, width, depth, config.chunk)

    @property
    def noise_width(self) -> int:
        """One number chooses the prior's mode."""
        return 1 + self.config.latent

    def posterior(self, chunk: Tensor, context: Tensor) -> Gaussian:
        """q(z | chunk, s) for chunks (B, chunk). Over (B, latent)."""
        mean, log_std = self.encoder(torch.cat([context, chunk], dim=-1)).float().chunk(2, dim=-1)
        return Gaussian(mean, log_std.clamp(-6, 3))

    def mixture(self, context: Tensor) -> tuple[Tensor, Gaussian]:
        """p(z | s): log weights (B, M) and Gaussians over (B, M, latent)."""
        sizes = (1, self.config.latent, self.config.latent)
        weight, mean, log_std = self.prior(context).float().unflatten(-1, (self.config.modes, -1)).split(sizes, dim=-1)
        return weight[..., 0].log_softmax(-1), Gaussian(mean, log_std.clamp(-6, 3))

    def log_prior(self, z: Tensor, context: Tensor) -> Tensor:
        """log p(z | s) of z (B, latent). Shape (B,)."""
        log_weight, modes = self.mixture(context)
        return torch.logsumexp(log_weight + modes.log_prob(z[:, None]), dim=-1)

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Reconstruction of normalised chunks (B, chunk) + beta KL."""
        context = F.silu(self.context(features, sentence))
        q = self.posterior(chunk, context)
        z = q.mean + q.log_std.exp() * torch.randn(q.mean.shape, generator=generator)
        made = self.decoder(torch.cat([context, z], dim=-1)).float()
        kl = q.log_prob(z) - self.log_prior(z, context)
        return F.smooth_l1_loss(made, chunk, beta=ROUND) + self.config.beta * kl.mean()

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, None]:
        """z from the prior: the first noise number chooses the mode. A chunk's density would be an integral over z."""
        context = F.silu(self.context(features, sentence))
        log_weight, modes = self.mixture(context)
        pick = inverse_cdf(noise[..., 0], log_weight[:, None].exp())[..., None].expand(-1, -1, self.config.latent)
        z = modes.mean.gather(1, pick) + modes.log_std.gather(1, pick).exp() * noise[..., 1:]
        return self.decoder(torch.cat([context[:, None].expand(-1, noise.shape[1], -1), z], dim=-1)), None
