"""Ensembles of Q and V heads over one encoding: encode an observation once, score all K chunks at once.

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

from vgps_models.critics.heads import make_head
from vgps_models.errors import SpecError
from vgps_models.perception.encoder import SENTENCE
from vgps_models.perception.runtime import Eyes
from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation


@dataclass(frozen=True)
class CriticConfig:
    """Architecture; travels in the checkpoint."""

    features: int = 91  # length of the encoder's feature vector
    chunk: int = 28  # numbers read of a chunk: 7 for each of its first actions, H * 7 for all
    heads: int = 4
    width: int = 256
    depth: int = 2  # hidden layers
    words: int = 32  # width of the sentence inside a head
    head: str = "scalar"  # how an output says a return: scalar or hl_gauss
    centre: float = -20.0  # [return] what an untrained scalar head says
    scale: float = 10.0  # [return] of one unit of a scalar head's output
    low: float = -50.0  # [return] where the histogram of hl_gauss begins; it ends at 0
    bins: int = 50  # of hl_gauss between low and 0

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


class Ensemble(nn.Module):
    """What Q and V have in common: the condition they read, and all after their first product."""

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.config = config
        self.head = make_head(
            config.head, centre=config.centre, scale=config.scale, low=config.low, bins=config.bins
        )  # fmt: skip
        self.register_buffer("feature_mean", torch.zeros(config.features))
        self.register_buffer("feature_std", torch.ones(config.features))
        self.words = HeadLinear(config.heads, SENTENCE, config.words)
        self.state = HeadLinear(config.heads, config.features + config.words, config.width)
        self.layers = nn.ModuleList(
            HeadLinear(config.heads, config.width, config.width) for _ in range(config.depth - 1)
        )
        self.out = HeadLinear(config.heads, config.width, self.head.outputs)

    def encode(self, features: Tensor, sentence: Tensor) -> Tensor:
        """The state's part of the first layer: features (B, .), sentence (B, 384) -> (E, B, width)."""
        heads = self.config.heads
        standard = ((features - self.feature_mean) / self.feature_std).clamp(-5, 5)
        words = self.words((sentence * SENTENCE**0.5).expand(heads, -1, -1))
        return self.state(torch.cat([standard.expand(heads, -1, -1), words], dim=-1))

    def finish(self, first: Tensor) -> Tensor:
        """All after the first product: (E, N, width) -> raw outputs (E, N, outputs)."""
        width = (self.config.width,)
        hidden = F.relu(F.layer_norm(first, width))
        for layer in self.layers:
            hidden = F.relu(F.layer_norm(layer(hidden), width))
        return self.out(hidden)


class VEnsemble(Ensemble):
    """V_e(s | sentence) for e in heads."""

    def raw(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Outputs for the `head` (E, B, outputs)."""
        return self.finish(self.encode(features, sentence))

    def forward(self, features: Tensor, sentence: Tensor) -> Tensor:
        """V in units of return (E, B)."""
        return self.head.value(self.raw(features, sentence))


class QEnsemble(Ensemble):
    """Q_e(s, chunk | sentence) for e in heads; normalised chunks (B, K, chunk)."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__(config)
        self.action = HeadLinear(config.heads, config.chunk, config.width)

    def score_raw(self, encoded: Tensor, chunks: Tensor) -> Tensor:
        """encoded (E, B, width) -> outputs for the `head` (E, B, K, outputs)."""
        acted = self.action(chunks.flatten(0, 1).expand(self.config.heads, -1, -1))
        first = encoded[:, :, None] + acted.unflatten(1, chunks.shape[:2])
        return self.finish(first.flatten(1, 2)).unflatten(1, chunks.shape[:2])

    def score(self, encoded: Tensor, chunks: Tensor) -> Tensor:
        """encoded (E, B, width) -> Q in units of return (E, B, K)."""
        return self.head.value(self.score_raw(encoded, chunks))

    def raw(self, features: Tensor, sentence: Tensor, chunks: Tensor) -> Tensor:
        """Outputs for the `head` (E, B, K, outputs)."""
        return self.score_raw(self.encode(features, sentence), chunks)

    def forward(self, features: Tensor, sentence: Tensor, chunks: Tensor) -> Tensor:
        """Q in units of return (E, B, K)."""
        return self.score(self.encode(features, sentence), chunks)


class Critic:
    """Scores chunks in metres and radians; higher is better.

    It reads their first `steps` actions, all of them unless it was trained otherwise.
    """

    def __init__(self, perception: Eyes, net: QEnsemble, spec: ActionSpec, normaliser: Normaliser) -> None:
        self.steps, rest = divmod(net.config.chunk, len(spec.names))
        if rest or not 1 <= self.steps <= spec.horizon:
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
        normalised = self.normaliser.normalise(candidates[:, : self.steps]).reshape(1, len(candidates), -1)
        q = self.net.score(features, torch.from_numpy(normalised.astype(np.float32)))[:, 0]
        spread = q.std(0, correction=1 if len(q) > 1 else 0)  # a single head has no doubt
        return q.mean(0).double().numpy(), spread.double().numpy()
