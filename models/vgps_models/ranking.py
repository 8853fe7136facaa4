"""How well a score tells successes from failures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranking(score: NDArray, won: NDArray) -> float:
    """Probability that a success scores above a failure, ties counting half (AUC; Mann-Whitney U).

    score, won: (N,). A half when there are only successes or only failures.
    """
    if won.all() or not won.any():
        return 0.5
    order = np.sort(score[~won])
    below = np.searchsorted(order, score[won], side="left") + np.searchsorted(order, score[won], side="right")
    return float(below.mean() / 2 / len(order))
