"""Points over a recording: strays go, gaps are bridged, and nothing lags."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError
from vgps_models.keypoints.paths import PathConfig, carried, cleaned, gaps, without_strays

SECONDS = np.arange(60) / 30


def moving(speed: float = 0.3) -> np.ndarray:
    """One point along a wave, one at rest (60, 2, 3) [m]."""
    points = np.zeros((60, 2, 3))
    points[:, 0, 0] = speed / (2 * np.pi) * np.sin(2 * np.pi * SECONDS)
    points[:, 1] = (0.1, 0.2, 0.3)
    return points


def test_what_is_seen_whole_is_hardly_changed_and_does_not_lag():
    points = moving()
    made, long = cleaned(points, SECONDS)
    assert not long and np.abs(made - points)[5:-5].max() < 0.008
    shifts = [np.abs(made[10:50, 0, 0] - points[10 + s : 50 + s, 0, 0]).mean() for s in (-2, -1, 0, 1, 2)]
    assert np.argmin(shifts) == 2


@settings(max_examples=40)
@given(st.integers(2, 57), st.floats(0.1, 2.0), st.integers(0, 1))
def test_a_single_stray_changes_nothing(at, far, which):
    points = moving()
    points[at, which, 1] += far
    kept = without_strays(points, SECONDS, PathConfig())
    assert np.isnan(kept[at, which]).all() and np.isfinite(np.delete(kept[:, which], at, 0)).all()
    clean, _ = cleaned(moving(), SECONDS)
    assert np.abs(cleaned(points, SECONDS)[0] - clean).max() < 0.01


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 18))
def test_gaps_are_bridged_and_long_ones_told(begin, length):
    points = moving(0.05)
    points[begin : begin + length] = np.nan
    made, long = cleaned(points, SECONDS)
    assert np.isfinite(made).all()
    assert bool(long) == (length > 30 * PathConfig().bridged)
    if long:
        assert long[0] == pytest.approx((SECONDS[begin], length / 30))


def carrying(begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """A point (60, 1, 3) that a hand (60, 3) takes at one frame and leaves at another, 30 cm further on, 2 cm below the
    fingertips; the hand comes from above and goes there again."""
    hand, point = np.zeros((60, 3)), np.zeros((60, 1, 3))
    share = np.clip((np.arange(60) - begin) / (end - begin), 0, 1)
    hand[:, 0] = point[:, 0, 0] = 0.3 * share
    away = np.clip(np.maximum(begin - np.arange(60), np.arange(60) - end), 0, None)
    hand[:, 2] = 0.02 + 0.02 * away + 0.1 * np.sin(np.pi * share)
    point[:, 0, 2] = 0.1 * np.sin(np.pi * share)
    return point, hand


@settings(max_examples=40)
@given(st.integers(5, 20), st.integers(30, 50), st.integers(0, 3), st.integers(0, 3))
def test_what_vanishes_in_one_place_and_is_found_in_another_went_with_the_hand(begin, end, before, after):
    point, hand = carrying(begin, end)
    hidden = point.copy()
    hidden[begin - before : end + after + 1] = np.nan
    made = carried(hidden, hand, 0.06)
    assert np.abs(made - point).max() < 0.015
    seen = np.isfinite(hidden)
    assert (made[seen] == hidden[seen]).all()


def test_what_the_hand_was_not_at_is_left_unknown():
    point, hand = carrying(15, 40)
    point[15:41] = np.nan
    assert np.isnan(carried(point, hand + [0.0, 0.2, 0.0], 0.06)[15:41]).all()
    point[41:] = point[0]  # and what is found where it was lost, too
    assert np.isnan(carried(point, hand, 0.06)[15:41]).all()


def test_a_point_that_is_never_seen_is_an_error():
    points = moving()
    points[:, 1] = np.nan
    with pytest.raises(DataError, match="point 1 is seen in none of 60"):
        cleaned(points, SECONDS)


def test_a_gap_at_the_end_counts():
    known = np.array([True] * 50 + [False] * 10)
    assert gaps(known, SECONDS) == [(pytest.approx(50 / 30), pytest.approx(9 / 30))]
