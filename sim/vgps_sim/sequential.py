"""A test that may be looked at after every round of episodes, and stops when the case is clear.

The mean of outcomes is compared with a threshold by betting (Waudby-Smith and Ramdas 2024, JRSS B 86, 1-27). If the
mean is at most m, bets on larger outcomes do not pay: the wealth prod(1 + b (x - m)) of any fixed stake b >= 0 does not
grow on average. So it ever reaches 1 / a with probability at most a (Ville's inequality), however often one looks. A
prior mixes the stakes, because the best one depends on the true mean.

For the difference of paired outcomes (-1, 0 or 1) and m = 0 these are bets on the pairs that differ: without a
difference each is a fair coin, and pairs that end alike change nothing.

Tasks may be of different difficulty. A round holds one pair of every task, in the same order each time. Over a round of
T tasks with means mu_k the wealth of a fixed stake grows on average by prod(1 + b (mu_k - m)), which is at most
(1 + b (average mu - m))^T by the inequality of arithmetic and geometric means. So the claim is about the average over
tasks, and the wealth is looked at after whole rounds only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Stakes as shares of the largest that cannot lose everything, weighted by the density of Beta(2, 2): differences of 10
# to 40 points in success, where a third of the pairs differ, are best bet on with shares around the middle.
SHARES = (np.arange(20) + 0.5) / 20
WEIGHTS = SHARES * (1 - SHARES) / (SHARES * (1 - SHARES)).sum()
HIGH = 1.0  # the largest outcome


@dataclass(frozen=True)
class Counts:
    """How often each outcome was seen: of 0 and 1 for a rate, of -1, 0 and 1 for a difference."""

    low: int  # the smallest outcome, 0 or -1; the largest is 1
    counts: tuple[int, ...]  # of low, low + 1, ..., 1

    @classmethod
    def of(cls, seen: Sequence[int], low: int) -> Counts:
        return cls(low, tuple(int(n) for n in np.bincount(np.asarray(seen, dtype=int) - low, minlength=2 - low)))

    def mirrored(self) -> Counts:
        """Large and small outcomes exchanged."""
        return Counts(self.low, self.counts[::-1])


def log_evidence_above(seen: Counts, mean: float) -> float:
    """Log of the wealth after betting that the true mean is above `mean`."""
    # With a share f of the largest stake, b = f / (mean - low), an outcome x pays 1 - f + f (x - low) / (mean - low).
    room = max(mean - seen.low, 1e-12)
    gains = np.array([np.log1p(SHARES * (step / room - 1)) for step in range(len(seen.counts))])
    return float(np.logaddexp.reduce(np.array(seen.counts) @ gains + np.log(WEIGHTS)))


def log_evidence_below(seen: Counts, mean: float) -> float:
    """Log of the wealth after betting that the true mean is below `mean`."""
    return log_evidence_above(seen.mirrored(), seen.low + HIGH - mean)


def bounds(seen: Sequence[int], low: int, round_size: int, error_rate: float) -> tuple[float, float]:
    """Lower and upper bound of the mean after a look at every round; what a look rules out stays ruled out.

    Each bound holds at all looks at once with probability 1 - error_rate.
    seen: outcomes in the order of the pairs. low: the smallest outcome, 0 or -1.
    """
    lower, upper = float(low), HIGH
    for end in range(round_size, len(seen) + 1, round_size):
        counts = Counts.of(seen[:end], low)
        lower = max(lower, _lower(counts, error_rate))
        upper = min(upper, low + HIGH - _lower(counts.mirrored(), error_rate))
    return lower, upper


def _lower(seen: Counts, error_rate: float) -> float:
    low, high, enough = float(seen.low), HIGH, -np.log(error_rate)
    if log_evidence_above(seen, low) < enough:
        return low
    for _ in range(30):  # evidence falls as the mean in question grows
        middle = (low + high) / 2
        low, high = (middle, high) if log_evidence_above(seen, middle) >= enough else (low, middle)
    return low


def log_evidence_of_pairs(won: NDArray, lost: NDArray, pairs: NDArray, mean: float = 0.0) -> NDArray[np.float64]:
    """`log_evidence_above` for the differences of many comparisons at once.

    won, lost, pairs: arrays of counts that fit together: pairs that only one side solved, and all pairs.
    """
    total = np.full(np.shape(won), -np.inf)
    for share, weight in zip(SHARES, WEIGHTS, strict=True):
        loss, tie, win = (np.log1p(share * (step / (mean + 1) - 1)) for step in range(3))
        total = np.logaddexp(total, won * win + lost * loss + (pairs - won - lost) * tie + np.log(weight))
    return total
