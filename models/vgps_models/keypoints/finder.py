"""Named points in a picture, by one small network with a heat-map for each: a person's arm, things on a table.

A map says in which cell of a coarse grid its point is, or that it is nowhere to be seen; within the grid's cells the
mean over the highest one and its neighbours tells where (soft-argmax, as in 1504.00702). `vgps train points` trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Picture
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.errors import UnknownNameError
from vgps_models.keypoints.camera import require_picture
from vgps_models.keypoints.located import Located
from vgps_models.spaces import Array, Image

STRIDE = 4  # pixels a cell
AROUND = 2  # cells to each side of the highest one that say where in it a point is


@dataclass(frozen=True)
class PointConfig:
    """Architecture; travels in the checkpoint."""

    points: tuple[str, ...] = ()
    width: int = 256  # [px] of the picture that the network sees; others are scaled to fit
    height: int = 192  # [px]
    channels: tuple[int, ...] = (40, 64, 96, 128)  # at a quarter, an eighth, a 16th and a 32nd of the resolution
    merged: int = 48  # channels on the grid, where all of these are added up

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return self.height // STRIDE, self.width // STRIDE

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PointConfig:
        lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
        return cls(**{**data, **lists})


class PointNet(nn.Module):
    """Pictures (B, height, width, 3) in 0..255 -> logits of the cells and of nowhere (B, K, rows * columns + 1).

    under (K,): how far below the surface that is seen each point usually lies [m]; measured, not learned.
    """

    under: Tensor

    def __init__(self, config: PointConfig) -> None:
        super().__init__()
        self.config = c = config
        self.stem = nn.Sequential(_conv(12, 32), _conv(32, c.channels[0], stride=2))
        self.stages = nn.ModuleList(nn.Sequential(_conv(w, w), _conv(w, w)) for w in c.channels)
        self.down = nn.ModuleList(_conv(a, b, stride=2) for a, b in zip(c.channels, c.channels[1:], strict=False))
        self.across = nn.ModuleList(nn.Conv2d(width, c.merged, 1) for width in c.channels)
        self.last = nn.Sequential(_conv(c.merged, c.merged), nn.Conv2d(c.merged, len(c.points), 1))
        self.nowhere = nn.Linear(c.channels[-1], len(c.points))
        self.register_buffer("under", torch.zeros(len(c.points)))

    def forward(self, images: Tensor) -> Tensor:
        dtype = self.nowhere.weight.dtype
        x = self.stem(F.pixel_unshuffle(images.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1, 2))
        seen: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            x = stage(self.down[number - 1](x) if number else x)
            seen.append(x)
        merged = self.across[-1](seen[-1])
        for across, at in zip(list(self.across)[-2::-1], seen[-2::-1], strict=True):
            merged = across(at) + F.interpolate(merged, size=at.shape[-2:], mode="bilinear", align_corners=False)
        where = self.last(F.relu(merged)).flatten(2)
        return torch.cat([where, self.nowhere(seen[-1].mean((2, 3)))[..., None]], -1).float()


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU(inplace=True)
    )


def read_maps(logits: Tensor, config: PointConfig) -> tuple[Tensor, Tensor]:
    """Where each point is [px] (B, K, 2), and how probable it is that it is to be seen (B, K)."""
    rows, columns = config.grid
    shares = logits.softmax(-1)
    maps = shares[..., :-1].unflatten(-1, (rows, columns))
    best = maps.flatten(2).argmax(-1)
    row, column = best // columns, best % columns
    reach = torch.arange(-AROUND, AROUND + 1)
    # Cells beyond the edge are given the edge's place, and no weight.
    r, c = row[..., None] + reach, column[..., None] + reach
    inside = ((r >= 0) & (r < rows))[..., :, None] & ((c >= 0) & (c < columns))[..., None, :]
    index = r.clamp(0, rows - 1)[..., :, None] * columns + c.clamp(0, columns - 1)[..., None, :]
    weights = maps.flatten(2).gather(-1, index.flatten(2)).unflatten(-1, index.shape[-2:]) * inside
    total = weights.sum((-1, -2)).clamp(min=1e-9)
    at_row = (weights.sum(-1) * r).sum(-1) / total
    at_column = (weights.sum(-2) * c).sum(-1) / total
    pixels = (torch.stack([at_column, at_row], -1) + 0.5) * STRIDE - 0.5
    return pixels, 1 - shares[..., -1]


@checkpoint.refusing
def _load_net(name: str | Path) -> PointNet:
    card, tensors = checkpoint.read(name, "points")
    net = PointNet(PointConfig.from_json(dict(card.architecture["encoder"])))
    return checkpoint.module(name, net, tensors, "encoder")


class PointFinder:
    """A trained network ready to run. names: of the points that it is asked for, in that order."""

    def __init__(self, net: PointNet, names: tuple[str, ...] | None = None) -> None:
        self.net, points = net.eval(), net.config.points
        self.names = points if names is None else names
        for name in self.names:
            if name not in points:
                raise UnknownNameError("point", name, points)
        self._rows = [points.index(name) for name in self.names]
        self.under: Array = net.under.numpy()[self._rows].astype(np.float64)

    @classmethod
    def load(cls, name: str | Path, names: tuple[str, ...] | None = None) -> PointFinder:
        """Of a checkpoint of `vgps train points`, or of the name of a shipped one."""
        return cls(_load_net(name), names)

    def __call__(self, image: Image) -> Located:
        """In a picture (height, width, 3) uint8 RGB of any size."""
        return self.every([image])[0]

    @torch.inference_mode()
    def every(self, images: Sequence[Image]) -> list[Located]:
        """In each of one picture or more, looked at together."""
        for image in images:
            require_picture(image)
        small, scales, corners = zip(*(_fitted(image, self.net.config) for image in images), strict=True)
        pixels, confidence = read_maps(self.net(torch.from_numpy(np.stack(small))), self.net.config)
        pixels, confidence = (made[:, self._rows].numpy().astype(np.float64) for made in (pixels, confidence))
        return [
            Located((at + 0.5 - corner) / scale - 0.5, sure)
            for at, sure, scale, corner in zip(pixels, confidence, scales, corners, strict=True)
        ]


def _fitted(image: Image, config: PointConfig) -> tuple[Image, float, Array]:
    """The picture scaled to fit, grey around; its scale, and where its corner is [px]."""
    height, width = image.shape[:2]
    scale = min(config.width / width, config.height / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    corner = ((config.width - size[0]) // 2, (config.height - size[1]) // 2)
    out = np.full((config.height, config.width, 3), 127, np.uint8)
    scaled = np.asarray(Picture.fromarray(image).resize(size, Picture.Resampling.BILINEAR))
    out[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = scaled
    return out, scale, np.array(corner, np.float64)
