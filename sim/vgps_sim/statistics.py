"""Intervals and tests for success rates on paired seeds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from vgps_sim.exact import exact_interval


@dataclass(frozen=True)
class Pair:
    """A treatment against a baseline on the same seeds.

    difference: success rate of the treatment minus that of the baseline, -1..1.
    ci95: 95 % interval of the difference, by `paired_interval`; (-1, 1) without pairs.
    method: which of the two made it, "bootstrap" or "exact".
    mcnemar_p: exact two-sided p of the discordant pairs.
    won, lost: labels of the pairs that only the treatment, only the baseline solved.
    n: number of pairs.
    """

    difference: float
    ci95: tuple[float, float]
    mcnemar_p: float
    won: tuple[Any, ...]
    lost: tuple[Any, ...]
    n: int
    method: str = "bootstrap"


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate; (0, 1) when nothing was tried."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    # At 0/n and n/n one end is 0 or 1 exactly; rounding may leave it 1e-17 off.
    return (float(interval.low) if successes else 0.0, float(interval.high) if successes < n else 1.0)


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p that as lop-sided a split of discordant pairs comes from a fair coin."""
    return float(binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0


def paired_bootstrap(
    treatment: Sequence[bool],
    baseline: Sequence[bool],
    strata: Sequence[Hashable] | None = None,
    *,
    resamples: int = 20_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the difference of two success rates on the same seeds.

    Pairs are resampled with replacement inside each stratum (task), so every resample has the same
    number of seeds a task as the experiment. A pair differs by -1, 0 or 1, so a resample of a
    stratum is a multinomial draw of three counts: exact, and independent of the number of seeds.

    treatment, baseline: success of pair i under either side. Length N.
    strata: the task of pair i. Length N; one stratum when None.
    """
    difference = np.asarray(treatment, dtype=int) - np.asarray(baseline, dtype=int)
    if not len(difference):
        return -1.0, 1.0
    groups = np.unique(
        [str(s) for s in strata] if strata is not None else np.zeros(len(difference)), return_inverse=True
    )[1]
    rng = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for group in range(groups.max() + 1):
        d = difference[groups == group]
        counts = np.array([(d == value).sum() for value in (-1, 0, 1)])
        drawn = rng.multinomial(len(d), counts / len(d), size=resamples)
        total += drawn[:, 2] - drawn[:, 0]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(total / len(difference), [tail, 1.0 - tail])
    return float(low), float(high)


ENOUGH_SEEDS = 20  # of each task; with n, the stratified bootstrap is too narrow by a factor of sqrt(1 - 1/n)
ENOUGH_CHANGES = 10  # pairs that ended otherwise than most of their task; with fewer, resamples are nearly alike


def paired_interval(
    treatment: Sequence[bool], baseline: Sequence[bool], strata: Sequence[Hashable] | None = None
) -> tuple[tuple[float, float], str]:
    """95 % interval of the difference on the same seeds, and how it was made: "bootstrap" or "exact".

    The bootstrap knows only outcomes that it has seen: of four seeds that all ended alike it says that nothing
    else can happen. With few seeds a task, or few outcomes that differ, Tango's score interval stands in its place.
    """
    difference = np.asarray(treatment, dtype=int) - np.asarray(baseline, dtype=int)
    if not len(difference):
        return (-1.0, 1.0), "exact"
    tasks = np.array([str(s) for s in strata] if strata is not None else [""] * len(difference))
    counts = [np.bincount(difference[tasks == task] + 1, minlength=3) for task in np.unique(tasks)]
    changes = sum(count.sum() - count.max() for count in counts)
    if min(count.sum() for count in counts) < ENOUGH_SEEDS or changes < ENOUGH_CHANGES:
        lost, _, won = np.sum(counts, axis=0).tolist()
        return exact_interval(won, lost, len(difference)), "exact"
    return paired_bootstrap(treatment, baseline, strata), "bootstrap"


def compare(
    treatment: Sequence[bool],
    baseline: Sequence[bool],
    *,
    strata: Sequence[Hashable] | None = None,
    labels: Sequence[Any] | None = None,
) -> Pair:
    """All that is said about one pair of conditions. Sequences of length N, one entry a paired seed."""
    a, b = np.asarray(treatment, dtype=bool), np.asarray(baseline, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired outcomes must be two equal sequences; got shapes {a.shape} and {b.shape}")
    labels = labels if labels is not None else range(len(a))
    won = tuple(label for label, w in zip(labels, a & ~b, strict=True) if w)
    lost = tuple(label for label, w in zip(labels, b & ~a, strict=True) if w)
    ci95, method = paired_interval(treatment, baseline, strata)
    return Pair(
        difference=(len(won) - len(lost)) / max(len(a), 1),
        ci95=ci95,
        method=method,
        mcnemar_p=mcnemar(len(won), len(lost)),
        won=won,
        lost=lost,
        n=len(a),
    )


def percentile(values: Sequence[float], q: float) -> float:
    """Percentile `q` (0..100) of the values; zero when there are none."""
    return float(np.percentile(values, q)) if len(values) else 0.0


@dataclass(frozen=True)
class Gain:
    """A treatment against a baseline over several policies, each trained several times.

    difference, difference_ci95: mean over policies of the difference of success rates.
    relative, relative_ci95: mean treatment over mean baseline, minus one.
    """

    difference: float
    difference_ci95: tuple[float, float]
    relative: float
    relative_ci95: tuple[float, float]


def crossed_gain(
    treatment: NDArray[np.float64],
    baseline: NDArray[np.float64],
    strata: Sequence[Hashable],
    *,
    resamples: int = 4000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Gain:
    """Gain with an interval that holds the spread over layouts AND over training seeds (crossed bootstrap).

    Policy seeds, critic seeds and layouts (inside each task) are resampled with replacement, each on its
    own, as in Owen's pigeonhole bootstrap (0712.1111), which errs on the wide side. Policies are fixed: they
    are the ones the claim is about.

    treatment: success of policy a, trained from seed p, under the critic of seed c, on layout n. Shape (A, P, C, N).
    baseline: the same without a critic. Shape (A, P, N).
    strata: the task of every layout. Length N.
    """
    policies, policy_seeds, critic_seeds, layouts = treatment.shape
    if baseline.shape != (policies, policy_seeds, layouts) or len(strata) != layouts:
        raise ValueError(f"shapes {treatment.shape}, {baseline.shape} and {len(strata)} strata do not fit together")
    groups = np.unique([str(s) for s in strata], return_inverse=True)[1]
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, 2))
    for i in range(resamples):
        p, c = rng.integers(policy_seeds, size=policy_seeds), rng.integers(critic_seeds, size=critic_seeds)
        n = np.concatenate([rng.choice(member, len(member)) for member in members])
        drawn[i] = treatment[:, p][:, :, c][..., n].mean(), baseline[:, p][..., n].mean()
    tail = 100 * (1.0 - confidence) / 2.0

    def interval(values: NDArray[np.float64]) -> tuple[float, float]:
        low, high = np.percentile(values, [tail, 100 - tail])
        return float(low), float(high)

    relative = drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9) - 1
    return Gain(
        difference=float(treatment.mean() - baseline.mean()),
        difference_ci95=interval(drawn[:, 0] - drawn[:, 1]),
        relative=float(treatment.mean() / max(baseline.mean(), 1e-9) - 1),
        relative_ci95=interval(relative),
    )
