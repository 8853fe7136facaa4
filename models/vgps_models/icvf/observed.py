"""What was seen to happen, learned along ICVF: the return from s to s+ on the way that the video itself took.

ICVF alone is slow to leave a plateau on which a video's frames are all worth the same. Its value is one inner product
of what s says and what s+ says, and its targets are what it says itself of the next frame, where it cannot tell that
from this one. Neither holds for returns that were observed, read off two frames at once. So a reader of pairs learns
these beside the value, from the same features, to teach the image network what there is to see; it is thrown away
afterwards. The value too may begin with them (returns of the behaviour, which tau = 1/2 would give it) before it
learns what whoever wants z could do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vgps_models.critics.heads import make_head
from vgps_models.icvf.network import MultilinearConfig

WIDTH = 256  # of the layers of the reader


class PairReader(nn.Module):
    """Features of two frames -> the return from one to the other, by the same kind of head as the value's."""

    def __init__(self, config: MultilinearConfig) -> None:
        super().__init__()
        half = config.low / 2
        self.head = make_head(config.head, centre=half, scale=-half, low=config.low, bins=config.bins)
        self.layers = nn.Sequential(
            nn.Linear(4 * config.features, WIDTH), nn.LayerNorm(WIDTH), nn.GELU(),
            nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.GELU(),
            nn.Linear(WIDTH, self.head.outputs),
        )  # fmt: skip

    def forward(self, features: Tensor, s: Tensor, goal: Tensor) -> Tensor:
        """Outputs for the `head` (B, outputs); indices (B,) are rows of features (U, D)."""
        here, there = features[s], features[goal]
        return self.layers(torch.cat([here, there, here - there, here * there], dim=-1))

    def loss(self, features: Tensor, s: Tensor, goal: Tensor, observed: Tensor) -> Tensor:
        """Misfit to the returns that were observed (B,)."""
        return self.head.misfit(self(features, s, goal), observed).mean()
