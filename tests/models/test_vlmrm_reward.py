"""The goal-baseline projection of VLM-RM: its algebra, for any embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import DataError
from vgps_models.progress.vlmrm.reward import reward, rewards

ALPHAS = st.floats(0, 1)
SPACES = st.tuples(st.integers(2, 48), st.integers(0, 2**32 - 1))  # dimension, seed


def units(space: tuple[int, int], count: int) -> np.ndarray:
    """Random unit vectors (count, D)."""
    random = np.random.default_rng(space[1])
    drawn = random.normal(size=(count, space[0]))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@given(SPACES)
def test_without_regularisation_it_is_the_cosine(space):
    g, b, *x = units(space, 8)
    assert np.allclose(reward(np.array(x), g, b, 0.0), np.array(x) @ g, atol=1e-9)


@given(SPACES, ALPHAS)
def test_it_is_the_published_formula(space, alpha):
    """Against projecting points, not differences, by a matrix."""
    g, b, *x = units(space, 6)
    line = (g - b) / np.linalg.norm(g - b)
    on_line = b + (np.array(x) - b) @ np.outer(line, line)
    mixed = alpha * on_line + (1 - alpha) * np.array(x)
    assert np.allclose(reward(np.array(x), g, b, alpha), 1 - 0.5 * ((mixed - g) ** 2).sum(1), atol=1e-9)


@given(SPACES, ALPHAS)
def test_goal_and_baseline_stay_where_they_are(space, alpha):
    g, b = units(space, 2)
    assert reward(g, g, b, alpha) == pytest.approx(1.0)
    assert reward(b, g, b, alpha) == pytest.approx(g @ b)


@given(SPACES, ALPHAS, ALPHAS)
def test_it_rises_with_alpha_and_stays_in_range(space, one, two):
    g, b, *x = units(space, 9)
    low, high = (reward(np.array(x), g, b, alpha) for alpha in sorted((one, two)))
    assert (low <= high + 1e-9).all() and (low >= -1 - 1e-9).all() and (high <= 1 + 1e-9).all()


@given(SPACES)
def test_at_one_only_the_line_counts(space):
    """The mirror image of x in the plane of all directions across the line has the same reward."""
    g, b, x = units(space, 3)
    line = (g - b) / np.linalg.norm(g - b)
    mirrored = 2 * (x @ line) * line - x
    assert reward(mirrored, g, b, 1.0) == pytest.approx(reward(x, g, b, 1.0), abs=1e-9)


@given(SPACES, ALPHAS)
def test_many_at_once_are_each_by_itself(space, alpha):
    e = units(space, 9)
    images, goals, baselines = e[:4].reshape(2, 2, -1), e[4:6], e[6:9]
    found = rewards(images, goals, baselines, alpha)
    assert found.shape == (2 * 2 * 3, 2)
    each = [reward(look, g, b, alpha) for g in goals for b in baselines for look in images]
    assert np.allclose(found, each)


def test_what_has_no_reward_is_refused():
    g, b, x = units((5, 0), 3)
    with pytest.raises(DataError, match="other words"):
        reward(x, g, g, 0.5)
    assert reward(x, g, g, 0.0) == pytest.approx(x @ g)
    with pytest.raises(ValueError, match="alpha"):
        reward(x, g, b, 1.5)
    with pytest.raises(DataError, match="unit"):
        reward(2 * x, g, b, 0.5)
    with pytest.raises(DataError, match="unit"):
        reward(x, g * np.nan, b, 0.5)
    with pytest.raises(DataError, match="one space"):
        reward(x[:4], g, b, 0.5)
