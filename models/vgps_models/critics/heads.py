"""Output heads: how the last layer of a network says a return, and what it costs to miss one.

scalar: one number, squared error.
hl_gauss: a histogram over the possible returns, cross-entropy with a blurred
target ("Stop Regressing", Farebrother et al. 2403.03950); its mean is the value.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from vgps_models.errors import SpecError, UnknownNameError

BLUR = 0.75  # sigma of a blurred target in widths of a bin, 2403.03950 sec. 4
MARGIN = 4  # bins beyond either end: one that `pull` may enter, and 4 sigma, so that every target is the labels' mean


class Head(nn.Module, ABC):
    """Raw outputs (..., outputs) <-> returns (...). Has no weights of its own."""

    outputs: int
    step: float  # [return] by which `pull` pulls

    @abstractmethod
    def value(self, raw: Tensor) -> Tensor:
        """The return that the outputs say."""

    @abstractmethod
    def misfit(self, raw: Tensor, target: Tensor) -> Tensor:
        """Loss of every output against its target return; smallest on average where `value` is the targets' mean."""

    def pull(self, raw: Tensor, direction: int) -> Tensor:
        """Loss (...) that moves the value up (direction 1) or down (-1): the misfit to a value one step away.

        On squared error it has the gradient of -direction * value. And since what fits several targets
        best is their weighted mean, it balances against a misfit at the same value with either head.
        """
        return self.misfit(raw, self.value(raw).detach() + direction * self.step) / (2 * self.step)


class Scalar(Head):
    """value = centre + scale * raw; squared error in units of return."""

    outputs = 1
    step = 1.0  # any would do

    def __init__(self, centre: float, scale: float) -> None:
        super().__init__()
        self.centre, self.scale = centre, scale

    def value(self, raw: Tensor) -> Tensor:
        return self.centre + self.scale * raw[..., 0].float()

    def misfit(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.value(raw) - target).square()


class HLGauss(Head):
    """softmax(raw) over bins of equal width between `low` and 0, and `MARGIN` bins more at either end."""

    edges: Tensor
    centres: Tensor

    def __init__(self, low: float, bins: int) -> None:
        super().__init__()
        if not low < 0 or bins < 2:
            raise SpecError(f"a histogram of returns needs low < 0 and at least 2 bins, not {low} and {bins}")
        self.low, self.outputs = low, bins + 2 * MARGIN
        self.step = width = -low / bins
        edges = low + width * torch.arange(-MARGIN, bins + MARGIN + 1)
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("centres", (edges[1:] + edges[:-1]) / 2, persistent=False)

    def value(self, raw: Tensor) -> Tensor:
        return raw.float().softmax(-1) @ self.centres

    def misfit(self, raw: Tensor, target: Tensor) -> Tensor:
        return -(self.labels(target) * raw.float().log_softmax(-1)).sum(-1)

    def labels(self, target: Tensor) -> Tensor:
        """Mass of N(target, sigma) in every bin, 2403.03950 eq. 4: differences of its CDF, which is an erf.

        Targets (...), clipped to a bin around [low, 0] -> (..., outputs).
        """
        target = target.clamp(self.low - self.step, self.step)
        away = (self.edges - target[..., None]) / (BLUR * self.step * math.sqrt(2))
        cdf = torch.erf(away)  # up to a factor and an offset that the normalisation removes
        return cdf.diff(dim=-1) / (cdf[..., -1:] - cdf[..., :1])


HEADS = ("scalar", "hl_gauss")


def make_head(name: str, *, centre: float, scale: float, low: float, bins: int) -> Head:
    """The head of that name. centre, scale: of `Scalar`. low, bins: of `HLGauss`."""
    if name == "scalar":
        return Scalar(centre, scale)
    if name == "hl_gauss":
        return HLGauss(low, bins)
    raise UnknownNameError("head", name, HEADS)


__all__ = ["HEADS", "HLGauss", "Head", "Scalar", "make_head"]
