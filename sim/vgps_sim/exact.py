"""An interval for the difference of two success rates on the same seeds that holds its level with few seeds.

Won and lost counts of n pairs are multinomial. The interval inverts two one-sided exact tests, so each end lies on
the wrong side of the true difference with probability at most half of the error. Outcomes are ordered by Tango's score
statistic (1998, Statistics in Medicine 17, 891-908); the share of lost pairs, which is unknown, is set to where the
test is weakest (Chan and Zhang 1999, Biometrics 55, 1202-1209).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

NUISANCE = (1 - np.cos(np.linspace(0, np.pi, 32))) / 2  # where the unknown share is tried, between its least and most
HALVINGS = 18  # of the interval -1..1: to within 1e-5


def exact_interval(won: int, lost: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of rates; (-1, 1) without pairs.

    won, lost: pairs that only the treatment, only the baseline solved. n: all pairs.
    """
    if min(won, lost) < 0 or won + lost > n:
        raise ValueError(f"{won} won and {lost} lost of {n} pairs do not fit together")
    tail = round((1.0 - confidence) / 2.0, 12)
    return _lower(won, lost, n, tail), -_lower(lost, won, n, tail)


@lru_cache(maxsize=4096)
def _lower(won: int, lost: int, n: int, tail: float) -> float:
    """The largest difference that is too small to explain so many wins."""
    if lost == n:
        return -1.0
    low, high = -1.0, (won - lost) / n
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _p_value(won, lost, n, middle) > tail else (middle, high)
    return low


def _p_value(won: int, lost: int, n: int, difference: float) -> float:
    """Largest probability, over the unknown share of lost pairs, of outcomes at least as good for the treatment."""
    least = _statistic(won, lost, n, difference) - 1e-9
    losses = np.arange(n + 1)
    # For each number of losses the fewest wins that are as good; the statistic grows with wins.
    low, high = np.full(n + 1, -1), n - losses + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        good = _statistic(middle, losses, n, difference) >= least
        open_ = high - low > 1
        low, high = np.where(open_ & ~good, middle, low), np.where(open_ & good, middle, high)
    smallest = max(0.0, -difference)
    losing = (smallest + ((1 - difference) / 2 - smallest) * NUISANCE)[:, None]
    winning = np.clip((losing + difference) / np.maximum(1 - losing, 1e-12), 0, 1)  # among pairs that are not lost
    each = binom.pmf(losses, n, losing) * binom.sf(high - 1, n - losses, winning)
    return float(each.sum(axis=1).max())


def _statistic(won: NDArray | int, lost: NDArray | int, n: int, difference: float) -> NDArray[np.float64]:
    """Observed minus given difference in standard deviations, which are estimated under the given one."""
    b = (2 * n - won + lost) * difference - won - lost
    losing = (np.sqrt(np.maximum(b * b + 8 * n * lost * difference * (1 - difference), 0)) - b) / (4 * n)
    variance = n * (2 * losing + difference * (1 - difference))
    away = np.asarray(won - lost - n * difference, dtype=np.float64)
    return np.where(np.abs(away) < 1e-9 * n, 0.0, away / np.sqrt(np.maximum(variance, 1e-300)))
