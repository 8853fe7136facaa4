"""Rules that pick one of K scored candidates, and the one that mixes all of them."""

from __future__ import annotations

import numpy as np

from vgps_models.selection.settings import Selection
from vgps_models.spaces import ActionSpec, Array

Generator = np.random.Generator


def pick(selection: Selection, mean: Array, std: Array, log_prob: Array, random: Generator) -> int:
    """Index of the chosen candidate. All (K,) and finite; log_prob counts in `pessimistic` alone."""
    match selection.rule:
        case "first":
            return 0
        case "random":
            return int(random.integers(len(mean)))
        case "worst":
            return int(np.argmin(mean))
        case "argmax" | "weighted_mean":  # a mean of one candidate is that candidate
            return int(np.argmax(mean))
        case "softmax":  # by the Gumbel trick
            return int(np.argmax(mean / selection.beta + random.gumbel(size=len(mean))))
        case "mean_std":
            return int(np.argmax(mean - selection.penalty * std))
        case "pessimistic":
            return int(np.argmax(mean - selection.penalty * std + selection.likelihood * log_prob))
    raise AssertionError(selection.rule)  # Selection lets no other through


def weighted_mean(candidates: Array, mean: Array, beta: float, spec: ActionSpec) -> Array:
    """sum_k softmax(mean / beta)_k chunk_k, executable. Shape (H, 7).

    The gripper follows the weighted majority of every step.
    """
    weight = np.exp((mean - mean.max()) / beta)
    return spec.clip(np.average(candidates, axis=0, weights=weight))
