"""All views of an observation through one image network that needs no labels, and the arm's own measurements."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vgps_models.perception.encoder import PROPRIO, scaled_proprio
from vgps_models.perception.images import ImageConfig, ImageNet
from vgps_models.precision import for_inference

NAME = "views"  # of this encoder in a checkpoint's card


@dataclass(frozen=True)
class ViewsConfig:
    """Architecture; travels in the checkpoint."""

    cameras: tuple[str, ...] = ("front", "wrist")
    image: ImageConfig = field(default_factory=ImageConfig)

    @property
    def image_size(self) -> int:
        return self.image.size

    @property
    def features(self) -> int:
        """Length of the feature vector."""
        return PROPRIO + len(self.cameras) * self.image.features

    def to_json(self) -> dict[str, Any]:
        return {"name": NAME} | asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ViewsConfig:
        return cls(tuple(data["cameras"]), ImageConfig.from_json(data["image"]))


class ViewsEncoder(nn.Module):
    """Images and tool pose -> features. The sentence is left to whoever reads them: nothing here asks for it."""

    listens = False

    def __init__(self, config: ViewsConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageNet(config.image)

    def encode(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Tensor:
        """images (B, V, s, s, 3) uint8 or float 0..255, proprio (B, 10), sentence of any shape -> (B, features)."""
        return torch.cat([scaled_proprio(proprio), self.look(images, sentence)], dim=-1)

    def forward(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Tensor:
        return self.encode(images, proprio, sentence)

    @property
    def looks(self) -> int:
        """Numbers of `look`."""
        return self.config.features - PROPRIO

    def look(self, images: Tensor, sentence: Tensor) -> Tensor:
        """What images alone tell, for those who know nothing of the arm: (B, V, s, s, 3) -> (B, looks)."""
        return self.image(images.flatten(0, 1)).unflatten(0, images.shape[:2]).flatten(1)

    def probe(self, images: Tensor, sentences: Tensor) -> Tensor:
        """`look` under each of several sentences, always the same: (B, V, s, s, 3), (P, 384) -> (B, P, looks)."""
        return self.look(images, sentences)[:, None].expand(-1, len(sentences), -1)

    def fast(self) -> ViewsEncoder:
        """A copy for inference: bfloat16 convolutions where they are faster."""
        made = copy.deepcopy(self).eval().requires_grad_(False)
        if self.config.image.kind in ("conv", "resnet"):
            for_inference(made.image.trunk.modules())
        return made
