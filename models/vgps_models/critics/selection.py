"""Rules that pick one of K scored chunks. Pure numpy; random ones depend on the observation's key alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.spaces import Array

STREAM = 7  # keeps these draws apart from the policy's noise for the same moment


class SelectionError(VgpsError):
    """There is nothing to choose from."""


Generator = np.random.Generator
Rule = Callable[[Array, Array, float, float, Generator], int]


def _first(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    return 0


def _random(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    return int(random.integers(len(mean)))


def _worst(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    return int(np.argmin(mean))


def _argmax(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    return int(np.argmax(mean))


def _softmax(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    """Index i with probability exp(mean_i / beta) / Z (V-GPS, 2410.13816), by the Gumbel trick."""
    return int(np.argmax(mean / beta + random.gumbel(size=len(mean))))


def _mean_std(mean: Array, std: Array, beta: float, penalty: float, random: Generator) -> int:
    """Pessimism over the ensemble: argmax of mean - penalty * std."""
    return int(np.argmax(mean - penalty * std))


RULES: dict[str, Rule] = {
    "first": _first,
    "random": _random,
    "worst": _worst,
    "argmax": _argmax,
    "softmax": _softmax,
    "mean_std": _mean_std,
}

UNSCORED = ("first", "random")  # rules that need no critic


def select(
    name: str, mean: Array, std: Array, *, beta: float = 1.0, penalty: float = 1.0, key: tuple[int, int] = (0, 0)
) -> int:
    """Index of the chosen chunk.

    mean, std: scores over the critic's heads. Shape (K,). Chunks whose score is
        not finite are never chosen by a rule that looks at scores.
    beta: temperature of `softmax` [score]; penalty: weight of std in `mean_std`.
    key: the observation's key; the same moment gives the same choice.
    """
    rule = require_rule(name)
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if mean.ndim != 1 or mean.shape != std.shape or len(mean) == 0:
        raise SelectionError(f"scores need two equal shapes (K,) with K >= 1, not {mean.shape} and {std.shape}")
    if name == "softmax" and not beta > 0:
        raise SelectionError(f"softmax needs beta > 0, not {beta}; use argmax for the limit beta -> 0")
    usable = np.arange(len(mean)) if name in UNSCORED else np.flatnonzero(finite(mean, std))
    if len(usable) == 0:
        raise SelectionError(
            f"none of {len(mean)} chunks has a finite score; the critic's weights or inputs are broken"
        )
    seed, step = key
    random = np.random.Generator(np.random.PCG64([abs(int(seed)), int(step), STREAM]))
    return int(usable[rule(mean[usable], std[usable], beta, penalty, random)])


def require_rule(name: str) -> Rule:
    """The rule of that name, or an error that lists them."""
    if name not in RULES:
        raise UnknownNameError("selection rule", name, RULES)
    return RULES[name]


def finite(mean: Array, std: Array) -> NDArray[np.bool_]:
    """Which chunks have a usable score. Shape (K,)."""
    return np.isfinite(mean) & np.isfinite(std)


def unscored(k: int) -> Array:
    """Scores of k chunks that nobody scored; only `first` and `random` can use them. Shape (k,)."""
    return np.full(k, np.nan)


def drop_invalid(candidates: Array) -> tuple[Array, int]:
    """Chunks (K, H, 7) without those that hold NaN or infinity, and how many were dropped."""
    candidates = np.asarray(candidates, np.float64)
    if candidates.ndim != 3 or len(candidates) == 0:
        raise SelectionError(f"candidates need shape (K, H, 7) with K >= 1, not {candidates.shape}")
    good = np.isfinite(candidates).all(axis=(1, 2))
    if not good.any():
        raise SelectionError(f"all {len(candidates)} candidates hold NaN or infinity; the policy is broken")
    return candidates[good], int((~good).sum())
