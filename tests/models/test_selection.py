"""Rules of choice: properties over scores of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vgps_models.critics import selection
from vgps_models.critics.selection import RULES, SelectionError, select
from vgps_models.errors import UnknownNameError

score = st.floats(-50, 0, allow_subnormal=False)
scores = st.integers(1, 60).flatmap(
    lambda k: st.tuples(arrays(float, k, elements=score), arrays(float, k, elements=st.floats(0, 5)))
)
keys = st.tuples(st.integers(0, 2**31), st.integers(0, 500))


@given(scores, keys, st.sampled_from(sorted(RULES)))
def test_every_rule_gives_a_valid_index_and_the_same_one_again(made, key, rule):
    mean, std = made
    chosen = select(rule, mean, std, beta=0.7, penalty=0.5, key=key)
    assert 0 <= chosen < len(mean)
    assert chosen == select(rule, mean.copy(), std.copy(), beta=0.7, penalty=0.5, key=key)


@given(scores, keys)
def test_what_the_rules_mean(made, key):
    mean, std = made
    assert select("first", mean, std, key=key) == 0
    assert mean[select("argmax", mean, std)] == mean.max()
    assert mean[select("worst", mean, std)] == mean.min()
    assert select("mean_std", mean, std, penalty=0.0) == select("argmax", mean, std)
    if mean.max() > mean.min():
        assert select("worst", mean, std) != select("argmax", mean, std)


@given(scores, keys)
def test_scores_that_are_not_numbers_are_never_chosen(made, key):
    mean, std = made
    mean[0] = np.nan
    for rule in set(RULES) - set(selection.UNSCORED):
        if len(mean) == 1:
            with pytest.raises(SelectionError, match="finite"):
                select(rule, mean, std, key=key)
        else:
            assert select(rule, mean, std, key=key) != 0


@given(scores)
def test_softmax_becomes_argmax_as_beta_vanishes(made):
    mean, std = made
    apart = np.sort(mean)[::-1]
    if len(mean) > 1 and apart[0] - apart[1] > 1e-3:
        assert all(select("softmax", mean, std, beta=1e-6, key=(1, s)) == mean.argmax() for s in range(5))


def test_softmax_draws_with_its_probabilities():
    mean, std = np.array([0.0, -1.0, -3.0]), np.zeros(3)
    drawn = np.bincount([select("softmax", mean, std, key=(0, s)) for s in range(4000)], minlength=3) / 4000
    wanted = np.exp(mean) / np.exp(mean).sum()
    assert np.abs(drawn - wanted).max() < 0.03


@given(st.integers(2, 50))
def test_random_depends_on_the_moment(k):
    blank = selection.unscored(k)
    assert len({select("random", blank, blank, key=(5, s)) for s in range(60)}) > 1


def test_refusals_say_what_is_wrong():
    one = np.zeros(1)
    with pytest.raises(UnknownNameError, match="argmax, first, mean_std, random, softmax, worst"):
        select("best", one, one)
    with pytest.raises(SelectionError, match="K >= 1"):
        select("argmax", np.zeros(0), np.zeros(0))
    with pytest.raises(SelectionError, match="equal shapes"):
        select("argmax", np.zeros(3), np.zeros(2))
    with pytest.raises(SelectionError, match="beta > 0"):
        select("softmax", one, one, beta=0.0)


@given(st.integers(1, 20), st.data())
def test_invalid_candidates_are_dropped_and_counted(k, data):
    candidates = np.arange(k * 28, dtype=float).reshape(k, 4, 7)
    bad = data.draw(st.sets(st.integers(0, k - 1)))
    for i in bad:
        candidates[i, i % 4, i % 7] = np.inf if i % 2 else np.nan
    if len(bad) == k:
        with pytest.raises(SelectionError, match="all"):
            selection.drop_invalid(candidates)
    else:
        kept, dropped = selection.drop_invalid(candidates)
        assert dropped == len(bad) and np.isfinite(kept).all() and len(kept) == k - len(bad)


def test_no_candidates_is_an_error():
    with pytest.raises(SelectionError, match="K >= 1"):
        selection.drop_invalid(np.zeros((0, 4, 7)))
