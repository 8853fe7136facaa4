"""V(s, s+, z): how soon someone who wants z comes by s+, from s; a multilinear form (ICVF, Ghosh et al. 2304.04782).

V = <A(T(psi(z)) * phi(s)), B(T(psi(z)) * psi(s+))>, with A and B linear and
without bias: for one intent z it is linear in phi(s) and linear in psi(s+).
Every head owns its phi, psi, T, A and B; they share an encoder and run as one
batched product.

An inner product learns slowly to compare two states if it begins as one of two
strangers. So phi and psi end in waves, cosines and sines of frequencies that are
learned (random Fourier features, Rahimi & Recht 2007, of Cauchy frequencies, whose
kernel falls exponentially, as gamma^d does), and begin alike, as do A and B, with T
at 1: V begins as never (1 - likeness), and learning bends likeness to nearness.

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

RATES = (1.3, 26.0)  # of waves, slowest and fastest: a frequency's scale times the number of features


@dataclass(frozen=True)
class MultilinearConfig:
    """Architecture; travels in the checkpoint."""

    features: int = 91  # length D of the encoder's feature vector
    heads: int = 2
    widths: tuple[int, ...] = (256, 256)  # of the layers of phi, psi and T, all alike; the last is what they say
    form: int = 256  # numbers of A(.) and of B(.), shared out among the outputs
    head: str = "scalar"  # how an output says a return: scalar or hl_gauss
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


class Tower(nn.Module):
    """phi or psi: features (N, in) -> waves of the features and of what an MLP adds to them, (E, N, widths[-1])."""

    def __init__(self, heads: int, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp = HeadMLP(heads, inputs, widths[:-1])
        self.last = HeadLinear(heads, widths[-2] if len(widths) > 1 else inputs, inputs)
        for parameter in self.last.parameters():  # it begins as the waves of the features themselves
            nn.init.zeros_(parameter)
        slow, fast = (math.log(rate / inputs) for rate in RATES)
        rates = torch.empty(heads, 1, widths[-1] // 2).uniform_(slow, fast).exp()
        cauchy = torch.empty(heads, inputs, widths[-1] // 2).cauchy_().clamp_(-20, 20)
        self.frequencies = nn.Parameter(rates * cauchy)

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x, x.shape[-1:])
        moved = x + self.last(self.mlp(x))
        with torch.autocast(x.device.type, enabled=False):  # a phase of many turns wants all its digits
            phase = torch.bmm(moved.float(), self.frequencies)
            return math.sqrt(2) * torch.cat([phase.cos(), phase.sin()], -1)


class Gate(nn.Module):
    """T: psi(z) (E, N, D) -> what it lets through (E, N, D), at first everything."""

    def __init__(self, heads: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp = HeadMLP(heads, widths[-1], widths)
        self.last = HeadLinear(heads, widths[-1], widths[-1])
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return 1 + self.last(self.mlp(x))


class MultilinearValue(nn.Module):
    """An ensemble of V(s, s+, z) over one encoder: any module, observations (U, ...) -> features (U, D)."""

    def __init__(self, encoder: nn.Module, config: MultilinearConfig) -> None:
        super().__init__()
        if not config.widths or config.widths[-1] % 2:
            raise SpecError("phi, psi and T need at least one layer, the last of even width: give such as (256, 256)")
        self.config, self.encoder = config, encoder
        self.head = make_head(config.head, centre=config.low, scale=-config.low, low=config.low, bins=config.bins)
        if config.form < self.head.outputs:
            raise SpecError(f"form is {config.form}: {self.head.outputs} outputs need at least one number each")
        self.rank = config.form // self.head.outputs
        self.phi, self.psi = (Tower(config.heads, config.features, config.widths) for _ in range(2))
        self.psi.load_state_dict(self.phi.state_dict())
        if config.intents:
            self.t = Gate(config.heads, config.widths)
        said, wide = config.widths[-1], self.rank * self.head.outputs
        gain = math.sqrt(math.sqrt(wide) / min(said, wide))  # of a scalar: the form of a state with itself is 1
        same = torch.stack([nn.init.orthogonal_(torch.empty(said, wide), gain) for _ in range(config.heads)])
        self.a, self.b = nn.Parameter(same), nn.Parameter(same.clone())

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
