"""A small image-text model: what the frozen encoder finds in two views, and a frozen sentence embedding -> one space.

The encoder looks for the things that a sentence names. Here it is asked for the same few things every time, so
that an image's embedding does not depend on the sentence that it will be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.perception.encoder import SENTENCE

SCALE, BIAS = 10.0, -3.0  # of a logit at the beginning of training; about one sentence in six is true


@dataclass(frozen=True)
class ImageTextConfig:
    """Architecture; travels in the checkpoint."""

    looks: int = 364  # numbers of `KeypointEncoder.look`
    probes: tuple[str, ...] = (  # what the encoder is asked to look for in every image
        "put the spoon on the towel",
        "put the carrot on the plate",
        "stack the green block on the yellow block",
        "put the eggplant in the basket",
    )
    found: int = 64  # what is kept of one probe
    width: int = 128  # of all probes together
    words: int = 64  # hidden width of the sentence's head
    space: int = 64  # D, of the embeddings
    dropout: float = 0.2  # of the looks, so that no single cue carries a judgement
    hearing: float = 0.3  # dropout of sentence embeddings, so that no single word does either

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImageTextConfig:
        return cls(**{**data, "probes": tuple(data["probes"])})


class ImageTextNet(nn.Module):
    """Unit embeddings of images and of sentences. No layer mixes the rows of a batch."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageTextConfig) -> None:
        super().__init__()
        self.config = config
        self.find = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.looks, config.found), nn.GELU())
        self.image = nn.Sequential(
            nn.Linear(len(config.probes) * config.found, config.width),
            nn.LayerNorm(config.width),
            nn.GELU(),
            nn.Linear(config.width, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.space),
        )
        self.text = nn.Sequential(
            nn.Dropout(config.hearing),
            nn.Linear(SENTENCE, config.words),
            nn.GELU(),
            nn.Linear(config.words, config.space),
        )
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())
        self.bias = nn.Parameter(torch.tensor(BIAS))
        self.register_buffer("mean", torch.zeros(config.looks))
        self.register_buffer("std", torch.ones(config.looks))

    def see(self, looks: Tensor, noise: float = 0.0) -> Tensor:
        """(B, P, looks) -> (B, D). noise: standard deviation added to the standardised looks, for training."""
        x = (looks - self.mean) / self.std
        found = self.find(x + noise * torch.randn_like(x) if noise else x)
        return F.normalize(self.image(found.flatten(1)), dim=-1)

    def read(self, sentences: Tensor) -> Tensor:
        """Sentence embeddings (S, 384) -> (S, D)."""
        return F.normalize(self.text(sentences * SENTENCE**0.5), dim=-1)  # a unit vector's entries are tiny

    def fit(self, images: Tensor, texts: Tensor) -> Tensor:
        """Logit of "this sentence is true of this image", (B, D), (S, D) -> (B, S) (SigLIP, 2303.15343)."""
        return self.log_scale.exp() * images @ texts.T + self.bias
