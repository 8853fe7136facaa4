"""How many paired seeds notice how large a drop in success, by a test on a fixed number of them or a sequential one.

A comparison is described by the rate of the baseline, the drop of the candidate, and the correlation of the outcomes on
one seed: 0 when a seed says nothing about how hard an episode is, higher the more both sides fail on the same seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from vgps_models.errors import UsageError
from vgps_sim.requirements import ERROR_RATE
from vgps_sim.sequential import log_evidence_of_pairs

MOST = 20_000  # seeds; a drop that needs more is not worth waiting for


@dataclass(frozen=True)
class Comparison:
    """What is true of two sides.

    won, lost: probability that only the candidate, only the baseline solves a seed.
    """

    won: float
    lost: float

    @classmethod
    def of(cls, baseline: float, candidate: float, correlation: float) -> Comparison:
        """From success rates and the correlation of paired outcomes. Raises UsageError when no outcomes have them."""
        if not 0 < baseline < 1 or not 0 < candidate < 1:
            raise UsageError(f"success rates of {baseline:g} and {candidate:g} must lie between 0 and 1")
        both = baseline * candidate + correlation * sqrt(baseline * (1 - baseline) * candidate * (1 - candidate))
        if not max(0.0, baseline + candidate - 1) - 1e-12 <= both <= min(baseline, candidate) + 1e-12:
            raise UsageError(
                f"outcomes with rates of {baseline:g} and {candidate:g} cannot have a correlation of {correlation:g}; "
                "take one closer to 0"
            )
        return cls(candidate - both, baseline - both)


def power(truth: Comparison, seeds: int, level: float = ERROR_RATE) -> float:
    """Probability that McNemar's exact two-sided test finds the difference, in its direction, on so many seeds."""
    differ, share = np.arange(seeds + 1), min(truth.won, truth.lost) / (truth.won + truth.lost)
    # The most pairs that the worse side may win, among those that differ.
    most = binom.ppf(level / 2, differ, 0.5) - 1
    most += binom.cdf(most + 1, differ, 0.5) <= level / 2
    finds = binom.cdf(most, differ, share)
    return float((binom.pmf(differ, seeds, truth.won + truth.lost) * finds).sum())


def fixed_seeds(truth: Comparison, wanted: float, level: float = ERROR_RATE) -> int | None:
    """Fewest seeds from which on that test has the wanted power; None when it takes more than MOST."""
    high = 8
    while power(truth, high, level) < wanted:
        if high >= MOST:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(truth, middle, level) >= wanted else (middle, high)
    # The exact test is a little jagged: one seed more may have less power.
    while high <= MOST and any(power(truth, high + more, level) < wanted for more in range(1, 9)):
        high += 1
    return high


def drawn(truth: Comparison, comparisons: int, seeds: int, random: np.random.Generator) -> NDArray[np.int8]:
    """Paired differences of many comparisons: -1, 0 or 1. Shape (comparisons, seeds)."""
    u = random.random((comparisons, seeds), dtype=np.float32)
    return (u < truth.won).astype(np.int8) - (u >= 1 - truth.lost).astype(np.int8)


def decisions(
    differences: NDArray[np.int8], tasks: int, error_rate: float = ERROR_RATE, threshold: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Seeds after which "the difference is at least `threshold`" is met and is failed; 0 for never.

    differences: -1, 0 or 1, shape (comparisons, seeds). Returns two arrays of shape (comparisons,).
    """
    looks = slice(tasks - 1, None, tasks)
    won = np.cumsum(differences == 1, axis=1, dtype=np.int32)[:, looks]
    lost = np.cumsum(differences == -1, axis=1, dtype=np.int32)[:, looks]
    pairs = np.arange(1, differences.shape[1] + 1)[looks]
    met = log_evidence_of_pairs(won, lost, pairs, threshold) >= -log(error_rate)
    failed = log_evidence_of_pairs(lost, won, pairs, -threshold) >= -log(error_rate)
    return _first(met, tasks), _first(failed, tasks)


def sequential_seeds(
    truth: Comparison,
    tasks: int = 4,
    error_rate: float = ERROR_RATE,
    *,
    threshold: float = 0.0,
    comparisons: int = 1000,
) -> int | None:
    """Median seeds after which "the difference is at least `threshold`" is decided as it is true.

    Over simulated comparisons; None when it takes more than MOST.
    """
    most = 64
    while most <= MOST:
        pairs = drawn(truth, comparisons, most, np.random.default_rng(0))
        met, failed = decisions(pairs, tasks, error_rate, threshold)
        right = met if truth.won - truth.lost >= threshold else failed
        if (right > 0).mean() > 0.5:
            return int(np.sort(np.where(right > 0, right, most + 1))[comparisons // 2])
        most *= 2
    return None


def _first(hits: NDArray[np.bool_], tasks: int) -> NDArray[np.int64]:
    return np.where(hits.any(axis=1), (hits.argmax(axis=1) + 1) * tasks, 0)
