"""Intervals cover what they promise, treat both sides alike, and survive empty and one-sided data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from vgps_sim.statistics import (
    compare,
    crossed_gain,
    mcnemar,
    paired_bootstrap,
    paired_interval,
    percentile,
    wilson,
)

counts = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
outcomes = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("ab")), min_size=1, max_size=60)


@given(counts)
def test_wilson_holds_the_rate_and_stays_in_range(count: tuple[int, int]) -> None:
    successes, n = count
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / max(n, 1) <= high <= 1
    assert low < high


@given(counts)
def test_wilson_treats_success_and_failure_alike(count: tuple[int, int]) -> None:
    successes, n = count
    low, high = wilson(successes, n)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("n", [1, 10, 200])
def test_wilson_at_none_and_all(n: int) -> None:
    assert wilson(0, n)[0] == 0.0 and wilson(n, n)[1] == 1.0
    assert wilson(0, n)[1] == pytest.approx(3.8415 / (n + 3.8415), abs=1e-4)  # z^2 / (n + z^2)


@pytest.mark.parametrize("n", [20, 50, 200])
def test_wilson_covers_on_average(n: int) -> None:
    """Exact coverage, averaged over true rates, is close to 95 %."""
    intervals = np.array([wilson(k, n) for k in range(n + 1)])
    rates = np.linspace(0.05, 0.95, 91)
    covers = (intervals[:, :1] <= rates) & (rates <= intervals[:, 1:])
    coverage = (binom.pmf(np.arange(n + 1)[:, None], n, rates) * covers).sum(axis=0)
    assert coverage.mean() == pytest.approx(0.95, abs=0.012)
    assert coverage.min() > 0.88


def test_bootstrap_covers_the_true_difference() -> None:
    """Of 400 experiments with known rates, about 95 % of the intervals hold the difference."""
    rng = np.random.default_rng(7)
    tasks = np.repeat(np.arange(4), 25)
    bare, guided = np.array([0.2, 0.4, 0.5, 0.7])[tasks], np.array([0.5, 0.6, 0.8, 0.85])[tasks]
    truth = (guided - bare).mean()
    hits = 0
    for i in range(400):
        layout = rng.random(100)  # the same seed is as hard for both sides, so the outcomes are correlated
        own = rng.random((2, 100)) < 0.5
        a = np.where(own[0], layout, rng.random(100)) < guided
        b = np.where(own[1], layout, rng.random(100)) < bare
        low, high = paired_bootstrap(a.tolist(), b.tolist(), tasks.tolist(), resamples=1500, seed=i)
        hits += low <= truth <= high
    assert 0.91 < hits / 400 < 0.98


@given(outcomes)
def test_bootstrap_holds_the_difference_and_turns_round_with_the_sides(rows: list[tuple[bool, bool, str]]) -> None:
    a, b, strata = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    low, high = paired_bootstrap(a, b, strata, resamples=4000)
    assert low <= np.mean(np.subtract(a, b, dtype=int)) <= high
    back = paired_bootstrap(b, a, strata, resamples=4000)
    assert (-back[1], -back[0]) == pytest.approx((low, high), abs=2.5 / len(rows) + 1e-9)


@pytest.mark.parametrize("value", [0, 1])
def test_four_seeds_that_all_ended_alike_prove_nothing(value: int) -> None:
    one, other = bool(value), not value
    pair = compare([one] * 4, [other] * 2 + [one] * 2, strata=list("abcd"))
    assert pair.method == "exact" and pair.ci95[0] < 0 < pair.ci95[1] and pair.ci95[1] - pair.ci95[0] > 1


@pytest.mark.parametrize(
    ("won", "lost", "equal", "tasks", "method"),
    [
        (10, 5, 65, 4, "bootstrap"),
        (10, 5, 61, 4, "exact"),  # 19 seeds a task
        (7, 2, 191, 4, "exact"),  # few outcomes differ
        (194, 2, 4, 4, "exact"),  # few outcomes are equal
        (0, 0, 200, 4, "exact"),
        (10, 5, 65, 1, "bootstrap"),
        (0, 0, 1, 1, "exact"),
    ],
)
def test_the_exact_interval_is_used_where_resampling_has_too_little(won, lost, equal, tasks, method) -> None:
    differences = [1] * won + [-1] * lost + [0] * equal
    strata = [i % tasks for i in range(len(differences))]
    pair = compare([d > 0 for d in differences], [d < 0 for d in differences], strata=strata)
    assert pair.method == method and pair.ci95[0] < pair.difference < pair.ci95[1]


def test_tasks_in_which_nothing_varies_leave_nothing_to_resample() -> None:
    """One task is always won and the other always lost: resampled within tasks, the difference is always 0."""
    won = [True, False] * 40
    lost = [not w for w in won]
    assert paired_bootstrap(won, lost, list("ab") * 40) == (0.0, 0.0)
    pair = compare(won, lost, strata=list("ab") * 40)
    assert pair.method == "exact" and pair.ci95[0] < -0.1 < 0.1 < pair.ci95[1]


@pytest.mark.parametrize(
    "n", [4, 8, 16, 40, pytest.param(80, marks=pytest.mark.evidence), pytest.param(200, marks=pytest.mark.evidence)]
)
def test_intervals_of_differences_cover_at_every_number_of_seeds(n: int) -> None:
    """Four tasks of different difficulty, 400 experiments: fewer than 95 % by no more than chance explains."""
    rng = np.random.default_rng(n)
    shares = np.array([[0.45, 0.05, 0.5], [0.2, 0.2, 0.6], [0.2, 0.05, 0.75], [0.15, 0.15, 0.7]])  # won, lost, equal
    truth = (shares[:, 0] - shares[:, 1]).mean()
    hits = 0
    for _ in range(400):
        counts = [rng.multinomial(n // 4, share) for share in shares]
        differences = [d for won, lost, equal in counts for d in [1] * won + [-1] * lost + [0] * equal]
        strata = [task for task in range(4) for _ in range(n // 4)]
        interval, _ = paired_interval([d > 0 for d in differences], [d < 0 for d in differences], strata)
        hits += interval[0] <= truth <= interval[1]
    assert hits >= binom.ppf(1e-4, 400, 0.95)


def test_bootstrap_is_deterministic_and_stratified() -> None:
    a, b = [True] * 10 + [False] * 10, [False] * 10 + [False] * 10
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
    assert paired_bootstrap(a, b, ["x"] * 10 + ["y"] * 10) == (0.5, 0.5)  # within a task nothing varies
    low, high = paired_bootstrap(a, b)
    assert low < 0.5 < high


@pytest.mark.parametrize("value", [True, False])
def test_bootstrap_of_equal_sides_is_zero(value: bool) -> None:
    assert paired_bootstrap([value] * 12, [value] * 12, list("abcdefabcdef")) == (0.0, 0.0)


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert paired_bootstrap([], []) == (-1.0, 1.0)
    assert mcnemar(0, 0) == 1.0
    assert percentile([], 99) == 0.0
    assert compare([], []).n == 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_symmetric_and_the_exact_binomial_tail(won: int, lost: int) -> None:
    p = mcnemar(won, lost)
    assert p == pytest.approx(mcnemar(lost, won))
    n, least = won + lost, min(won, lost)
    expected = 1.0 if won == lost else 2 * binom.cdf(least, n, 0.5)
    assert p == pytest.approx(expected)


@given(outcomes)
def test_compare_names_every_discordant_pair(rows: list[tuple[bool, bool, str]]) -> None:
    a, b, strata = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    pair = compare(a, b, strata=strata)
    assert set(pair.won) == {i for i, row in enumerate(rows) if row[0] and not row[1]}
    assert set(pair.lost) == {i for i, row in enumerate(rows) if row[1] and not row[0]}
    assert pair.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert pair.ci95[0] <= pair.difference <= pair.ci95[1]


def test_unpaired_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal sequences"):
        compare([True, False], [True])


def _outcomes(rng: np.random.Generator, rate: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.random(shape) < rate).astype(float)


def test_a_gain_over_several_policies_is_the_mean_of_theirs():
    treatment, baseline = np.ones((2, 2, 3, 4)), np.zeros((2, 2, 4))
    treatment[1], baseline[:, :, :2] = 0.5, 1.0
    gain = crossed_gain(treatment, baseline, ["a", "a", "b", "b"])
    assert gain.difference == pytest.approx(0.75 - 0.5) and gain.relative == pytest.approx(0.5)
    assert gain.difference_ci95[0] <= gain.difference <= gain.difference_ci95[1]


def test_no_spread_anywhere_leaves_no_interval():
    gain = crossed_gain(np.ones((1, 2, 2, 6)), np.zeros((1, 2, 6)), ["a"] * 6)
    assert gain.difference_ci95 == (1.0, 1.0)


def test_critics_that_disagree_widen_the_interval_and_layouts_alone_do_not_hide_it():
    rng = np.random.default_rng(0)
    baseline, tasks = _outcomes(rng, np.array(0.5), (1, 1, 200)), ["a"] * 200
    same = np.repeat(_outcomes(rng, np.array(0.7), (1, 1, 1, 200)), 3, axis=2)
    apart = _outcomes(rng, np.array([0.5, 0.7, 0.9])[None, None, :, None], (1, 1, 3, 200))

    def width(treatment: np.ndarray) -> float:
        low, high = crossed_gain(treatment, baseline, tasks).difference_ci95
        return high - low

    assert width(apart) > 1.2 * width(same)


def test_the_crossed_interval_covers_what_it_promises():
    """Seeds and layouts of a known model: the true difference lies inside at least as often as said."""
    rng, inside = np.random.default_rng(1), 0
    for _ in range(60):
        skill = rng.normal(0.0, 0.05, (1, 2, 3, 1))
        layout = rng.normal(0.0, 0.1, 120)
        baseline = _outcomes(rng, 0.4 + layout, (1, 2, 120))
        treatment = _outcomes(rng, 0.6 + layout + skill, (1, 2, 3, 120))
        low, high = crossed_gain(treatment, baseline, ["a"] * 120, resamples=300).difference_ci95
        inside += low <= 0.2 <= high
    assert inside >= 54


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="fit together"):
        crossed_gain(np.ones((1, 1, 1, 3)), np.ones((1, 1, 4)), ["a"] * 3)
