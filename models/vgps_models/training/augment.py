"""Cheap changes of images that must not change what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class AugmentConfig:
    """How far images may change."""

    brightness: float = 0.12  # largest shift, as a fraction of full scale
    contrast: float = 0.2  # largest relative change
    colour: float = 0.08  # largest relative change of one channel
    noise: float = 4.0  # largest standard deviation of pixel noise [0..255]
    shift: int = 1  # largest shift of a whole view [px]; its labels shift along
    shifted: float = 0.25  # fraction of views that are shifted: a nudged camera, at the price of precision


class Augment:
    """Changes a batch in place of a camera that changes."""

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config
        # Drawing fresh noise for every pixel would cost as much as a convolution; slices of this do as well.
        self._noise = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0))

    def __call__(self, images: Tensor, pixels: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """images (B, V, s, s, 3) uint8, pixels (B, V, P, 2) [px] -> the same as floats 0..255, and moved pixels."""
        c = self.config
        batch, views = images.shape[:2]
        images, pixels = self._shift(images, pixels, random)

        def uniform(limit: float, *shape: int) -> Tensor:
            return torch.from_numpy(random.uniform(-limit, limit, (batch, views, 1, 1, *shape)).astype(np.float32))

        gain = (1 + uniform(c.contrast, 1)) * (1 + uniform(c.colour, 3))
        offset = 127.5 * (1 - gain) + 255 * uniform(c.brightness, 1)
        out = images.float().mul_(gain).add_(offset)
        strength = torch.from_numpy(random.uniform(0, c.noise, (batch, views)).astype(np.float32))
        size = out[0, 0].numel()
        for i in range(batch):
            for v in range(views):
                at = int(random.integers(len(self._noise) - size))
                out[i, v].view(-1).add_(self._noise[at : at + size], alpha=float(strength[i, v]))
        return out.clamp_(0, 255), pixels

    def _shift(self, images: Tensor, pixels: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        c = self.config
        batch, views = images.shape[:2]
        moves = random.integers(-c.shift, c.shift + 1, (batch, views, 2)) * (
            random.random((batch, views, 1)) < c.shifted
        )
        if not moves.any():
            return images, pixels
        images = images.clone()
        for i, v in np.argwhere(moves.any(-1)):
            du, dv = (int(m) for m in moves[i, v])
            images[i, v] = torch.roll(images[i, v], (dv, du), dims=(0, 1))  # the border that wraps is a pixel wide
        return images, pixels + torch.from_numpy(moves)[:, :, None].float()
