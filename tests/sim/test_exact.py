"""The exact interval keeps its promise at every number of seeds, also where all outcomes were alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from vgps_sim.exact import exact_interval

counts = st.integers(1, 30).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda won: st.tuples(st.just(won), st.integers(0, n - won), st.just(n)))
)


@pytest.mark.parametrize("n", [1, 4, 8, 12])
def test_each_end_is_wrong_with_at_most_half_of_the_error(n: int) -> None:
    """Exact probabilities of all outcomes, over a grid of true shares of won and lost pairs."""
    outcomes = np.array([(won, lost) for won in range(n + 1) for lost in range(n + 1 - won)])
    intervals = np.array([exact_interval(int(won), int(lost), n) for won, lost in outcomes])
    cells = np.c_[outcomes, n - outcomes.sum(axis=1)]
    ways = gammaln(n + 1) - gammaln(cells + 1).sum(axis=1)
    for won in np.linspace(0.003, 0.99, 30):
        for lost in np.linspace(0.003, 0.99, 30):
            if won + lost < 0.995:
                chance = np.exp(ways + cells @ np.log([won, lost, 1 - won - lost]))
                # The unknown share is maximized over a grid of 32, hence a little more than 2.5 %.
                assert chance[intervals[:, 0] > won - lost].sum() < 0.0255
                assert chance[intervals[:, 1] < won - lost].sum() < 0.0255


@given(counts)
def test_it_holds_what_was_observed_and_turns_round_with_the_sides(count: tuple[int, int, int]) -> None:
    won, lost, n = count
    low, high = exact_interval(won, lost, n)
    assert -1 <= low <= (won - lost) / n <= high <= 1
    assert high - low > 0.1
    assert exact_interval(lost, won, n) == (-high, -low)


def test_four_seeds_that_all_ended_alike_leave_much_open() -> None:
    low, high = exact_interval(0, 4, 4)
    assert low == -1 and high > 0  # one in sixteen times without any difference
    low, high = exact_interval(0, 2, 4)
    assert low < -0.85 and high > 0.2
    low, high = exact_interval(0, 0, 4)
    assert low < -0.5 and high > 0.5


def test_more_seeds_say_more() -> None:
    widths = [high - low for low, high in (exact_interval(n // 4, n // 8, n) for n in (8, 32, 128, 512))]
    assert widths == sorted(widths, reverse=True) and widths[-1] < 0.12


def test_what_cannot_be_is_refused() -> None:
    assert exact_interval(0, 0, 0) == (-1.0, 1.0)
    for won, lost, n in ((3, 2, 4), (-1, 0, 4), (0, -1, 4), (5, 0, 4)):
        with pytest.raises(ValueError, match="do not fit"):
            exact_interval(won, lost, n)
