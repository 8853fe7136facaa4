"""The critic of the V-GPS paper by its published sizes: a FiLM-ResNet-34 that sees pixels (2410.13816).

ResNet (He et al. 1512.03385) with group normalisation (1803.08494) and swish; the
sentence scales and shifts the channels after every block (FiLM, 1709.07871). The
action meets the pooled features only in the heads (`network.QEnsemble`, which own
all their layers), so an observation is encoded once, however many chunks there are.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.critics.network import CriticConfig
from vgps_models.errors import SpecError
from vgps_models.perception.encoder import SENTENCE
from vgps_models.perception.language import Language
from vgps_models.perception.runtime import Seen, weights_sha256
from vgps_models.precision import for_inference
from vgps_models.spaces import Image, Observation

NAME = "resnet"  # of this encoder in a checkpoint's card
# The published heads: two of 256-256 that read one action beside the features. The sentence is in those already.
HEADS = CriticConfig(features=512, chunk=7, heads=2, width=256, depth=2, words=0)


@dataclass(frozen=True)
class ResNetConfig:
    """Architecture; travels in the checkpoint. As it stands it is the published one."""

    camera: str = "front"  # the only view; there is no proprioception either
    image_size: int = 256  # [px], square; images of another size are resized
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks a stage; every stage but the first halves the grid
    channels: int = 64  # of the first stage; every further stage has twice as many
    groups: int = 4  # of every group normalisation
    sentence: int = 512  # numbers that FiLM reads; a shorter embedding is filled up with zeros

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.camera,)

    @property
    def features(self) -> int:
        """Length of the pooled feature vector."""
        return self.channels * 2 ** (len(self.blocks) - 1)

    def to_json(self) -> dict[str, Any]:
        return {"name": NAME} | asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ResNetConfig:
        sizes = {k: v for k, v in data.items() if k != "name"}
        return cls(**{**sizes, "blocks": tuple(sizes["blocks"])})


class Block(nn.Module):
    """Two 3x3 convolutions round a short cut, then FiLM; its scales start at one and its shifts at zero."""

    def __init__(self, inputs: int, outputs: int, stride: int, config: ResNetConfig) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(config.groups, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(config.groups, outputs)
        self.short = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            self.short = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(config.groups, outputs)
            )
        self.film = nn.Linear(config.sentence, 2 * outputs)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, sentence: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.first(x)))
        y = F.silu(self.norm2(self.second(y)) + self.short(x))
        scale, shift = self.film(sentence).to(y.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, y, 1 + scale)


class ResNetEncoder(nn.Module):
    """Pixels and a sentence -> pooled features. No layer mixes the rows of a batch."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        if config.sentence < SENTENCE:
            raise SpecError(f"sentence embeddings have {SENTENCE} numbers; FiLM cannot read only {config.sentence}")
        self.config = config
        self.stem = nn.Conv2d(3, config.channels, 7, 2, padding=3, bias=False)
        self.norm = nn.GroupNorm(config.groups, config.channels)
        blocks, inputs = [], config.channels
        for stage, count in enumerate(config.blocks):
            for i in range(count):
                outputs = config.channels * 2**stage
                blocks.append(Block(inputs, outputs, 2 if stage > 0 and i == 0 else 1, config))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, sentence: Tensor) -> Tensor:
        """images (B, s, s, 3) uint8 or float 0..255, sentence (B, .) -> (B, features) float32."""
        words = F.pad(sentence * SENTENCE**0.5, (0, self.config.sentence - sentence.shape[1]))  # entries of order one
        x = images.permute(0, 3, 1, 2).to(self.stem.weight.dtype) / 127.5 - 1
        x = F.max_pool2d(F.silu(self.norm(self.stem(x))), 3, 2, padding=1)
        for block in self.blocks:
            x = block(x, words)
        return x.float().mean((2, 3))

    def encode(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Tensor:
        """As the other encoders are asked: its one view of (B, 1, h, h, 3), at its own size; proprio is not read."""
        return self(resized(images[:, 0], self.config.image_size), sentence)

    def fast(self) -> ResNetEncoder:
        """A copy for inference: bfloat16 convolutions where they are faster (1.9 times, on CPUs that have them)."""
        made = copy.deepcopy(self).eval().requires_grad_(False)
        for_inference(made.modules())
        return made


class PixelPerception:
    """A frozen ResNet and its sentences: what `perception.Perception` is for the keypoint encoder."""

    def __init__(self, encoder: ResNetEncoder, language: Language) -> None:
        self.sha256 = weights_sha256(encoder)
        self.config = encoder.config
        self.language = language
        self.encoder = encoder  # as it was trained
        self._encoder = encoder.fast()  # as it runs
        self._last: tuple[Observation, Seen] | None = None

    @torch.inference_mode()
    def __call__(self, observation: Observation) -> Seen:
        if self._last is not None and self._last[0] is observation:
            return self._last[1]
        images = resized(torch.from_numpy(view(observation, self.config))[None], self.config.image_size)
        sentence = torch.from_numpy(self.language(observation.instruction))[None]
        seen = Seen(self._encoder(images, sentence), sentence)
        self._last = (observation, seen)
        return seen


def view(observation: Observation, config: ResNetConfig) -> Image:
    """The one image that is read (h, h, 3) uint8. Refuses others."""
    image = observation.images.get(config.camera)
    if image is None:
        raise SpecError(f"observation has cameras {sorted(observation.images)}, but the critic needs '{config.camera}'")
    if image.ndim != 3 or image.shape[0] != image.shape[1] or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SpecError(f"camera '{config.camera}' gives {image.dtype} {image.shape}; the critic reads uint8 (h, h, 3)")
    return image


def resized(images: Tensor, size: int) -> Tensor:
    """Square images (B, h, h, 3) of any type -> (B, size, size, 3)."""
    if images.shape[1] == size:
        return images
    planes = images.permute(0, 3, 1, 2)
    return F.interpolate(planes, (size, size), mode="bilinear", antialias=True).permute(0, 2, 3, 1)
