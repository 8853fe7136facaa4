"""V(s, s+, z): how soon someone who wants z comes by s+, from s; a multilinear form (ICVF, Ghosh et al. 2304.04782).

V = <A(T(psi(z)) * phi(s)), B(T(psi(z)) * psi(s+))>, with A and B linear and
without bias: for one intent z it is linear in phi(s) and linear in psi(s+).
Every head owns its phi, psi, T, A and B; they share an encoder and run as one
batched product.

As a histogram (`hl_gauss`) the form cannot be the value: what a softmax says is
no linear function. Nor may it be the mean of a histogram of fixed shape, which
would leave nothing of the cross-entropy but a warped square. So every bin has a
bilinear form of its own, of low rank, and the forms are the logits: phi(s) still
enters each output linearly, and a state's likelihood of a return is log-linear
in phi(s) and in psi(s+).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.critics.heads import make_head
from vgps_models.critics.network import HeadLinear
from vgps_models.errors import SpecError


@dataclass(frozen=True)
class MultilinearConfig:
    """Architecture; travels in the checkpoint."""

    features: int = 91  # length D of the encoder's feature vector
    heads: int = 2
    widths: tuple[int, ...] = (256, 256)  # of the layers of phi, psi and T, all alike; the last is what they say
    form: int = 256  # numbers of A(.) and of B(.), shared out among the outputs
    head: str = "scalar"  # how an output says a return: scalar or hl_gauss
    scale: float = 10.0  # [return] of one unit of a scalar head's output
    low: float = -100.0  # [return] of never coming by: -1 / (1 - gamma); hl_gauss has its bins from here to 0
    bins: int = 50  # of hl_gauss
    intents: bool = True  # without: T = 1, and the value is that of wanting s+ itself

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MultilinearConfig:
        return cls(**{**data, "widths": tuple(data["widths"])})


class HeadMLP(nn.Module):
    """E MLPs side by side, each layer normalised: (N, in) or (E, N, in) -> (E, N, widths[-1])."""

    def __init__(self, heads: int, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = heads
        sizes = zip([inputs, *widths], widths, strict=False)
        self.layers = nn.ModuleList(HeadLinear(heads, before, after) for before, after in sizes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(self.heads, -1, -1)
        for layer in self.layers:
            x = layer(x)
            x = F.gelu(F.layer_norm(x, x.shape[-1:]))
        return x


class MultilinearValue(nn.Module):
    """An ensemble of V(s, s+, z) over one encoder: any module, observations (U, ...) -> features (U, D)."""

    def __init__(self, encoder: nn.Module, config: MultilinearConfig) -> None:
        super().__init__()
        if not config.widths:
            raise SpecError("phi, psi and T need at least one layer: give widths such as (256, 256)")
        self.config, self.encoder = config, encoder
        self.head = make_head(config.head, centre=0.0, scale=config.scale, low=config.low, bins=config.bins)
        if config.form < self.head.outputs:
            raise SpecError(f"form is {config.form}: {self.head.outputs} outputs need at least one number each")
        self.rank = config.form // self.head.outputs
        wide, bound = self.rank * self.head.outputs, 1 / math.sqrt(config.widths[-1])
        self.phi = HeadMLP(config.heads, config.features, config.widths)
        self.psi = HeadMLP(config.heads, config.features, config.widths)
        if config.intents:
            self.t = HeadMLP(config.heads, config.widths[-1], config.widths)
        self.a, self.b = (
            nn.Parameter(torch.empty(config.heads, config.widths[-1], wide).uniform_(-bound, bound)) for _ in "ab"
        )

    def encode(self, observations: Tensor) -> Tensor:
        """(U, ...) -> features (U, D)."""
        features = self.encoder(observations)
        if features.ndim != 2 or features.shape[1] != self.config.features:
            raise SpecError(
                f"the encoder gives features of shape {tuple(features.shape)}; this network reads (U, "
                f"{self.config.features}): set `features` to what the encoder gives"
            )
        return features

    def sides(self, features: Tensor, starts: Tensor, ends: Tensor, intent: Tensor) -> tuple[Tensor, Tensor]:
        """A(T * phi) of the states `starts` (n, B) and B(T * psi) of `ends` (m, B), all under `intent` (B,).

        Indices are rows of features (U, D). phi, psi and T run once on every row that is asked for,
        however often. Shapes (E, n, B, form), (E, m, B, form).
        """
        phi = _once(self.phi, features, starts)
        rows, where = torch.cat([ends, intent[None]]).unique(return_inverse=True)
        seen = self.psi(features[rows])
        psi = seen[:, where[:-1]]
        if self.config.intents:
            t = _once(self.t, seen, where[-1:])
            phi, psi = t * phi, t * psi
        return _product(phi, self.a), _product(psi, self.b)

    def join(self, left: Tensor, right: Tensor) -> Tensor:
        """The inner product of both sides (..., form), one for every output of the `head`: (..., outputs)."""
        shape = (self.head.outputs, self.rank)
        return (left * right).unflatten(-1, shape).sum(-1) / math.sqrt(self.rank)

    def raw(self, features: Tensor, s: Tensor, goal: Tensor, intent: Tensor) -> Tensor:
        """Outputs for the `head` (E, B, outputs); indices (B,) are rows of features (U, D)."""
        left, right = self.sides(features, s[None], goal[None], intent)
        return self.join(left[:, 0], right[:, 0])

    def forward(self, features: Tensor, s: Tensor, goal: Tensor, intent: Tensor) -> Tensor:
        """V in units of return (E, B)."""
        return self.head.value(self.raw(features, s, goal, intent))

    @torch.inference_mode()
    def value(self, s: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """V(s, z, z), how soon someone who wants z gets there: mean and standard deviation over heads.

        s (B, ...) observations, z (B, ...) or (1, ...) for all of them, as is the final frame of a clip
        for its frames. Shapes (B,), (B,), in units of return.
        """
        if len(z) not in (1, len(s)):
            raise SpecError(f"{len(z)} intents for {len(s)} states; give one for each, or one for all")
        features = self.encode(torch.cat([s, z]))
        at = torch.arange(len(s), device=features.device)
        to = len(s) + (at if len(z) == len(s) else torch.zeros_like(at))
        v = self(features, at, to, to)
        return v.mean(0), v.std(0, correction=1 if len(v) > 1 else 0)  # a single head has no doubt


def _once(net: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    """net(x)[:, index], run on the rows that occur. x (..., U, in), index any shape -> (E, *index.shape, out)."""
    rows, where = index.unique(return_inverse=True)
    return net(x[..., rows, :])[:, where]


def _product(x: Tensor, weight: Tensor) -> Tensor:
    """(E, n, B, in) by (E, in, out) -> (E, n, B, out)."""
    return torch.bmm(x.flatten(1, 2), weight).unflatten(1, x.shape[1:3])
