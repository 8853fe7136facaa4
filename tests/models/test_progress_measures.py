"""Measures of progress curves: known values, agreement with scipy, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from vgps_models.errors import DataError
from vgps_models.progress.estimate import spaced
from vgps_models.progress.measures import Curve, auc, bootstrap, choose_threshold, precision_recall, roc, voc

CURVES = st.lists(st.integers(0, 20).map(lambda v: v / 20), min_size=3, max_size=30).map(np.array)


@given(CURVES)
def test_voc_is_spearmans_rank_correlation_also_with_ties(values):
    assume(np.ptp(values) > 0)
    assert voc(values) == pytest.approx(spearmanr(values, np.arange(len(values)))[0])


@given(CURVES, st.floats(0.1, 5), st.floats(-3, 3))
def test_voc_sees_order_alone(values, scale, shift):
    assert voc(values * scale + shift) == pytest.approx(voc(values), abs=1e-9)
    assert voc(values[::-1]) == pytest.approx(-voc(values), abs=1e-9)


def test_voc_at_the_edges():
    assert voc(np.linspace(0, 1, 9)) == pytest.approx(1.0) and voc(np.ones(9)) == 0.0
    assert np.isnan(voc(np.array([0.5]))) and np.isnan(voc(np.array([np.nan, np.nan])))
    assert voc(np.array([0.0, np.nan, 0.5, np.nan, 1.0])) == pytest.approx(1.0)


def test_a_climb_that_stops_has_full_voc_and_a_low_final_value():
    stalled, fallen = Curve.of(np.linspace(0, 0.3, 20)), Curve.of(np.array([0.0, 0.5, 0.9, 0.4]))
    assert stalled.voc == pytest.approx(1.0) and stalled.final == pytest.approx(0.3)
    assert fallen.maximum == pytest.approx(0.9) and fallen.drawdown == pytest.approx(0.5)
    nothing = Curve.of(np.full(4, np.nan))
    assert nothing.answered == 0 and np.isnan(nothing.final)


def test_the_bootstrap_covers_and_leaves_failures_out():
    random = np.random.default_rng(0)
    hits = 0
    for i in range(100):
        value, (low, high) = bootstrap(np.append(random.normal(1.0, 1.0, 40), np.nan), np.mean, seed=i, draws=400)
        assert low <= value <= high
        hits += low <= 1.0 <= high
    assert hits >= 85
    assert np.isnan(bootstrap([np.nan])[0])


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_chance_that_a_success_scores_higher(pairs):
    scores, won = np.array([s for s, _ in pairs], float), np.array([w for _, w in pairs])
    assume(won.any() and not won.all())
    chance = np.mean([(a > b) + 0.5 * (a == b) for a in scores[won] for b in scores[~won]])
    assert auc(scores, won) == pytest.approx(chance)
    _, false, true = roc(scores, won)
    assert np.trapezoid(true, false) == pytest.approx(chance)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_a_threshold_parts_what_can_be_parted():
    scores, won = [0.1, 0.2, 0.8, 0.9], [False, False, True, True]
    chosen = choose_threshold(scores, won)
    assert chosen.value == pytest.approx(0.5) and chosen.balanced_accuracy == 1.0
    _, precision, recall = precision_recall(scores, won)
    assert precision[:2].tolist() == [1, 1] and recall[-1] == 1
    with pytest.raises(ValueError, match="both"):
        choose_threshold([0.1], [True])


@given(st.integers(2, 300), st.integers(2, 40))
def test_spaced_moments_hold_the_first_and_the_last(frames, count):
    at = spaced(frames, count)
    assert at[0] == 0 and at[-1] == frames - 1 and len(at) == min(count, frames) and (np.diff(at) > 0).all()
    with pytest.raises(DataError):
        spaced(1, count)
