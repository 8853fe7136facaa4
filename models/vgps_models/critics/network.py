"""An ensemble of Q heads over one encoding: encode an observation once, score all K chunks at once.

Every head owns all its layers (heads that share a last layer agree too much to
tell their doubt), yet all heads run as one batched product.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.errors import SpecError
from vgps_models.perception.encoder import SENTENCE
from vgps_models.perception.runtime import Perception
from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation


@dataclass(frozen=True)
class CriticConfig:
    """Architecture; travels in the checkpoint."""

    features: int = 91  # length of the encoder's feature vector
    chunk: int = 28  # H * 7
    heads: int = 4
    width: int = 256
    depth: int = 2  # hidden layers
    words: int = 32  # width of the sentence inside a head
    centre: float = -20.0  # [return] what an untrained head says
    scale: float = 10.0  # [return] of one unit of a head's output

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CriticConfig:
        return cls(**data)


class HeadLinear(nn.Module):
    """E linear layers side by side: (E, N, in) -> (E, N, out)."""

    def __init__(self, heads: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(heads, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(heads, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class QEnsemble(nn.Module):
    """Q_e(s, chunk | sentence) for e in heads, in units of return."""

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", torch.zeros(config.features))
        self.register_buffer("feature_std", torch.ones(config.features))
        self.words = HeadLinear(config.heads, SENTENCE, config.words)
        self.state = HeadLinear(config.heads, config.features + config.words, config.width)
        self.action = HeadLinear(config.heads, config.chunk, config.width)
        self.layers = nn.ModuleList(
            HeadLinear(config.heads, config.width, config.width) for _ in range(config.depth - 1)
        )
        self.out = HeadLinear(config.heads, config.width, 1)

    def encode(self, features: Tensor, sentence: Tensor) -> Tensor:
        """The state's part of the first layer: features (B, .), sentence (B, 384) -> (E, B, width)."""
        heads = self.config.heads
        standard = ((features - self.feature_mean) / self.feature_std).clamp(-5, 5)
        words = self.words((sentence * SENTENCE**0.5).expand(heads, -1, -1))
        return self.state(torch.cat([standard.expand(heads, -1, -1), words], dim=-1))

    def score(self, encoded: Tensor, chunks: Tensor) -> Tensor:
        """encoded (E, B, width), normalised chunks (B, K, chunk) -> Q (E, B, K)."""
        heads, batch, width = encoded.shape
        k = chunks.shape[1]
        acted = self.action(chunks.flatten(0, 1).expand(heads, -1, -1)).unflatten(1, (batch, k))
        hidden = F.relu(F.layer_norm(encoded[:, :, None] + acted, (width,))).flatten(1, 2)
        for layer in self.layers:
            hidden = F.relu(F.layer_norm(layer(hidden), (width,)))
        q = self.out(hidden).unflatten(1, (batch, k))[..., 0].float()
        return self.config.centre + self.config.scale * q

    def forward(self, features: Tensor, sentence: Tensor, chunks: Tensor) -> Tensor:
        return self.score(self.encode(features, sentence), chunks)


class Critic:
    """Scores chunks in metres and radians; higher is better."""

    def __init__(self, perception: Perception, net: QEnsemble, spec: ActionSpec, normaliser: Normaliser) -> None:
        if net.config.chunk != spec.horizon * len(spec.names):
            raise SpecError(
                f"critic reads {net.config.chunk} numbers, but a chunk has {spec.horizon} x {len(spec.names)}"
            )
        self.perception, self.net = perception, net.eval().requires_grad_(False)
        self.spec, self.normaliser = spec, normaliser

    @torch.inference_mode()
    def encode(self, observation: Observation) -> Tensor:
        """All that does not depend on the chunks; pass it to `score`."""
        seen = self.perception(observation)
        return self.net.encode(seen.features, seen.sentence)

    @torch.inference_mode()
    def score(self, features: Tensor, candidates: Array) -> tuple[Array, Array]:
        """Mean and standard deviation over heads for executable chunks (K, H, 7). Shapes (K,), (K,)."""
        shape = (self.spec.horizon, len(self.spec.names))
        if candidates.ndim != 3 or candidates.shape[1:] != shape:
            raise SpecError(f"candidates have shape {candidates.shape}; this critic scores (K, {shape[0]}, {shape[1]})")
        normalised = self.normaliser.normalise(candidates).reshape(1, len(candidates), -1)
        q = self.net.score(features, torch.from_numpy(normalised.astype(np.float32)))[:, 0]
        return q.mean(0).double().numpy(), q.std(0).double().numpy()
