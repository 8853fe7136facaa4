"""What a curve of progress is worth: rank correlation with time, and the numbers that tell success from a stall.

Value-Order Correlation (VOC, 2411.04549) is Spearman's rank correlation of the values with time. It does not
detect success: a straight climb that stops at 30 % has VOC 1. So the final value, the maximum and the drawdown
go with it. Below some 15 frames a random curve often has a high VOC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

from vgps_models.progress.estimate import Floats
from vgps_models.ranking import ranking


def voc(values: Floats) -> float:
    """Spearman's rank correlation of the values with time; ties share their mean rank. In [-1, 1].

    NaN values are left out. A curve without two different values is ordered in no way: 0. With fewer than two
    values there is nothing to order: NaN.
    """
    values = np.asarray(values, np.float64)
    at = np.flatnonzero(~np.isnan(values))
    if len(at) < 2:
        return float("nan")
    ranks = rankdata(values[at])
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(ranks, np.arange(len(at)))[0, 1], -1, 1))


@dataclass(frozen=True)
class Curve:
    """Numbers of one curve; NaN when it has no value at all.

    voc: in [-1, 1]. final: the last value. maximum: the highest. drawdown: the deepest fall from any earlier
    maximum. answered: share of frames that have a value.
    """

    voc: float
    final: float
    maximum: float
    drawdown: float
    answered: float

    @classmethod
    def of(cls, values: Floats) -> Curve:
        values = np.asarray(values, np.float64)
        known = values[~np.isnan(values)]
        answered = len(known) / len(values) if len(values) else 0.0
        if not len(known):
            return cls(np.nan, np.nan, np.nan, np.nan, answered)
        fall = np.maximum.accumulate(known) - known
        return cls(voc(values), float(known[-1]), float(known.max()), float(fall.max()), answered)

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def bootstrap(
    values: Sequence[float] | Floats,
    statistic: Callable[..., np.ndarray] = np.median,
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, tuple[float, float]]:
    """A statistic of independent episodes and its percentile interval. NaN entries (failures) take no part.

    statistic: takes `axis`.
    """
    data = np.asarray(values, np.float64)
    data = data[~np.isnan(data)]
    if not len(data):
        return float("nan"), (float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    drawn = statistic(data[random.integers(0, len(data), (draws, len(data)))], axis=1)
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return float(statistic(data, axis=0)), (float(low), float(high))


@dataclass(frozen=True)
class Threshold:
    """Success is called at or above `value`. Balanced accuracy is of the data that it was chosen on."""

    value: float
    balanced_accuracy: float


def auc(scores: Sequence[float] | Floats, success: Sequence[bool] | np.ndarray) -> float:
    """Probability that a success scores above a failure, ties counting half (area under the ROC). NaN without both."""
    won = np.asarray(success, bool)
    return ranking(np.asarray(scores, np.float64), won) if won.any() and not won.all() else float("nan")


def roc(scores: Sequence[float] | Floats, success: Sequence[bool] | np.ndarray) -> tuple[Floats, Floats, Floats]:
    """(thresholds, false positive rate, true positive rate), from calling nothing to calling everything a success."""
    scores, won = np.asarray(scores, np.float64), np.asarray(success, bool)
    thresholds = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    called = scores[None] >= thresholds[:, None]
    with np.errstate(invalid="ignore"):
        return thresholds, (called & ~won).sum(1) / (~won).sum(), (called & won).sum(1) / won.sum()


def precision_recall(
    scores: Sequence[float] | Floats, success: Sequence[bool] | np.ndarray
) -> tuple[Floats, Floats, Floats]:
    """(thresholds, precision, recall), the strictest threshold first."""
    scores, won = np.asarray(scores, np.float64), np.asarray(success, bool)
    thresholds = np.unique(scores)[::-1]
    called = scores[None] >= thresholds[:, None]
    right = (called & won).sum(1)
    return thresholds, right / called.sum(1), right / max(int(won.sum()), 1)


def choose_threshold(scores: Sequence[float] | Floats, success: Sequence[bool] | np.ndarray) -> Threshold:
    """The threshold of the best balanced accuracy, half-way between the scores that it parts.

    Choose it on episodes that the report does not use. Raises ValueError without successes or failures.
    """
    scores, won = np.asarray(scores, np.float64), np.asarray(success, bool)
    if won.all() or not won.any():
        raise ValueError("a threshold of success needs both successes and failures")
    thresholds, false, true = roc(scores, won)
    balanced = (true + 1 - false) / 2
    best = int(np.argmax(balanced))
    below = scores[scores < thresholds[best]]
    value = float(thresholds[best]) if not len(below) else float((thresholds[best] + below.max()) / 2)
    return Threshold(value, float(balanced[best]))
