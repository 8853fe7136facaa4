"""Choosing: rules over candidates of any number, with a critic that is a formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import UnknownNameError
from vgps_models.selection import (
    DENSITIES,
    REFINEMENTS,
    RULES,
    UNSCORED,
    Choice,
    Judge,
    Selection,
    SelectionError,
    choose,
)
from vgps_models.spaces import GRIPPER, ActionSpec, Normaliser

SPEC = ActionSpec()
NORMALISER = Normaliser(tuple((SPEC.low * 1.1 - 1e-3).tolist()), tuple((SPEC.high * 1.1 + 1e-3).tolist()))
ALL = [Selection(rule, beta=0.7, penalty=0.5) for rule in RULES] + [
    Selection("argmax", refine="cem"),
    Selection("pessimistic", refine="gradient", expand=7),
    Selection("weighted_mean", expand=5, abstain=0.4),
]
keys = st.tuples(st.integers(0, 2**31), st.integers(0, 500))


def propose(k: int, seed: int = 0, spread: float = 0.5) -> np.ndarray:
    """K executable chunks."""
    return SPEC.clip(np.random.default_rng([seed, 1]).normal(size=(k, 4, 7)) * SPEC.high * spread)


def goal(seed: int = 0) -> np.ndarray:
    return propose(1, seed + 1000)[0]


def judge(mean: Callable, std: Callable = lambda x: np.zeros(len(x))) -> Judge:
    """A critic by formulas over normalised chunks (N, H, 7)."""

    def score(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = NORMALISER.normalise(chunks)
        return np.asarray(mean(x), float), np.asarray(std(x), float)

    return Judge(score, SPEC, NORMALISER)


def near(target: np.ndarray) -> Judge:
    """Higher the nearer to a chunk; the more doubtful the larger the first displacement."""
    want = NORMALISER.normalise(target)
    return judge(lambda x: -((x - want) ** 2).sum((1, 2)), lambda x: np.abs(x[:, 0, 0]))


def given_scores(candidates: np.ndarray, mean: np.ndarray, std: np.ndarray | None = None) -> Judge:
    """A critic that knows these candidates alone."""
    spread = np.zeros(len(mean)) if std is None else std
    table = {chunk.tobytes(): (m, s) for chunk, m, s in zip(candidates, mean, spread, strict=True)}

    def score(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.array([table.get(chunk.tobytes(), (0.0, 0.0)) for chunk in chunks])
        return rows[:, 0], rows[:, 1]

    return Judge(score, SPEC, NORMALISER)


def executable(chunk: np.ndarray) -> bool:
    return bool(np.allclose(SPEC.clip(chunk), chunk, rtol=0, atol=1e-12))


def same(a: Choice, b: Choice) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ("chunk", "mean", "std", "doubt"))


@pytest.mark.parametrize("selection", ALL, ids=lambda s: f"{s.rule}-{s.refine}-{s.expand}")
@given(k=st.integers(1, 30), seed=st.integers(0, 99), key=keys)
@settings(max_examples=20)
def test_every_choice_is_executable_and_the_same_again(selection: Selection, k: int, seed: int, key: tuple) -> None:
    candidates, critic = propose(k, seed), near(goal(seed))
    choice = choose(selection, candidates, None, critic, key)
    assert executable(choice.chunk) and choice.dropped == 0
    assert len(choice.mean) == len(choice.std) == (0 if selection.rule in UNSCORED else k)
    if choice.chosen >= 0:
        assert np.array_equal(choice.chunk, candidates[choice.chosen])
    else:
        assert not any(np.array_equal(choice.chunk, c) for c in candidates)
    assert same(choice, choose(selection, candidates.copy(), None, critic, key))


@given(k=st.integers(1, 40), seed=st.integers(0, 99), key=keys)
def test_what_the_rules_mean(k: int, seed: int, key: tuple) -> None:
    random, candidates = np.random.default_rng(seed), propose(k, seed)
    mean, std, log_prob = random.uniform(-50, 0, k), random.uniform(0, 5, k), random.normal(size=k)

    def chosen(rule: str, **settings: Any) -> int:
        selection = Selection(rule, **settings)
        return choose(selection, candidates, log_prob, given_scores(candidates, mean, std), key).chosen

    assert chosen("first") == 0
    assert chosen("argmax") == mean.argmax() == chosen("mean_std", penalty=0.0) == chosen("softmax", beta=1e-9)
    assert chosen("worst") == mean.argmin()
    assert chosen("mean_std", penalty=2.0) == (mean - 2 * std).argmax()
    pessimist: dict[str, Any] = {"penalty": 2.0, "density": "policy"}
    assert chosen("pessimistic", likelihood=3.0, **pessimist) == (mean - 2 * std + 3 * log_prob).argmax()
    assert chosen("pessimistic", likelihood=0.0, **pessimist) == chosen("mean_std", penalty=2.0)


def test_softmax_draws_with_its_probabilities() -> None:
    candidates, mean = propose(3), np.array([0.0, -1.0, -3.0])
    critic = given_scores(candidates, mean)
    drawn = [choose(Selection("softmax"), candidates, None, critic, (0, s)).chosen for s in range(4000)]
    wanted = np.exp(mean) / np.exp(mean).sum()
    assert np.abs(np.bincount(drawn, minlength=3) / 4000 - wanted).max() < 0.03


def test_random_depends_on_the_moment_alone() -> None:
    candidates = propose(5)
    drawn = [choose(Selection("random"), candidates, None, None, (5, s)).chosen for s in range(60)]
    assert set(drawn) == set(range(5))
    assert drawn == [choose(Selection("random"), candidates * 0.5, None, None, (5, s)).chosen for s in range(60)]


def test_the_weighted_mean_by_hand() -> None:
    """Weights 1/4 and 3/4; the gripper follows the heavier one, step by step."""
    candidates = np.zeros((2, 4, 7))
    candidates[0, :, 0], candidates[1, :, 1] = 0.02, 0.02
    candidates[0, :, GRIPPER], candidates[1, 2:, GRIPPER] = 1.0, 1.0
    critic = given_scores(candidates, np.log([1.0, 3.0]))
    choice = choose(Selection("weighted_mean", beta=1.0), candidates, None, critic, (0, 0))
    assert choice.chosen == -1
    np.testing.assert_allclose(choice.chunk[:, :3], np.tile([0.005, 0.015, 0.0], (4, 1)), atol=1e-12)
    assert choice.chunk[:, GRIPPER].tolist() == [0, 0, 1, 1]
    cold = choose(Selection("weighted_mean", beta=1e-3), candidates, None, critic, (0, 0))
    np.testing.assert_allclose(cold.chunk, candidates[1], atol=1e-9)


@given(seed=st.integers(0, 99))
def test_typical_candidates_win_where_the_critic_is_indifferent(seed: int) -> None:
    """With the kernel density the outlier of a crowd is never chosen for a small promise, but for a large one."""
    crowd = propose(20, seed, spread=0.05)
    crowd[..., GRIPPER] = 1.0
    outlier = SPEC.clip(np.tile([0.02, 0.02, 0.0, 0.0, 0.0, 0.1, 1.0], (1, 4, 1)))
    candidates = np.concatenate([crowd, outlier])
    for promise, wins in ((0.1, False), (100.0, True)):
        mean = np.zeros(21)
        mean[20] = promise
        critic = given_scores(candidates, mean)
        assert (choose(Selection("pessimistic"), candidates, None, critic, (0, 0)).chosen == 20) == wins
        assert choose(Selection("argmax"), candidates, None, critic, (0, 0)).chosen == 20


@given(k=st.integers(2, 12), seed=st.integers(0, 99))
def test_expansion_adds_to_the_candidates_and_never_does_worse(k: int, seed: int) -> None:
    candidates, critic = propose(k, seed), near(goal(seed))
    plain = choose(Selection("argmax"), candidates, None, critic, (0, 0))
    wide = choose(Selection("argmax", expand=50), candidates, None, critic, (0, 0))
    assert critic.score(wide.chunk[None])[0] >= critic.score(plain.chunk[None])[0]
    np.testing.assert_array_equal(wide.mean, plain.mean)
    if wide.chosen == -1:
        votes = candidates[..., GRIPPER].mean(axis=0)
        assert np.array_equal(wide.chunk[:, GRIPPER], votes >= 0.5)


@pytest.mark.parametrize("refine", [r for r in REFINEMENTS if r != "none"])
@given(seed=st.integers(0, 99))
@settings(max_examples=20)
def test_refinement_improves_within_its_trust_region(refine: str, seed: int) -> None:
    candidates, critic = propose(3, seed, spread=0.2), near(goal(seed))
    plain = choose(Selection("argmax"), candidates, None, critic, (seed, 0))
    better = choose(
        Selection("argmax", refine=refine, trust_region=0.05, refine_steps=5), candidates, None, critic, (seed, 0)
    )
    moved = NORMALISER.normalise(better.chunk) - NORMALISER.normalise(plain.chunk)
    assert better.chosen == -1 and executable(better.chunk)
    assert np.abs(moved).max() <= 0.05 * 3**0.5 and not moved[:, GRIPPER].any()

    def value(chunk: np.ndarray) -> float:
        mean, std = critic.score(chunk[None])
        return float(mean[0] - std[0])

    assert value(better.chunk) > value(plain.chunk)


def test_refinement_that_finds_nothing_better_changes_nothing() -> None:
    candidates = propose(4)
    flat = judge(lambda x: np.zeros(len(x)))
    for refine in ("cem", "gradient"):
        assert choose(Selection("argmax", refine=refine), candidates, None, flat, (0, 0)).chosen == 0


@given(threshold=st.floats(0.01, 2.0), seed=st.integers(0, 99))
def test_guidance_abstains_exactly_when_the_chosen_chunk_is_too_doubtful(threshold: float, seed: int) -> None:
    candidates, critic = propose(8, seed), near(goal(seed))
    trusting = choose(Selection(), candidates, None, critic, (0, 0))
    careful = choose(Selection(abstain=threshold), candidates, None, critic, (0, 0))
    assert careful.doubt == trusting.doubt == trusting.std[trusting.chosen]
    assert careful.abstained == (careful.doubt > threshold)
    assert careful.chosen == (0 if careful.abstained else trusting.chosen)
    np.testing.assert_array_equal(careful.chunk, candidates[careful.chosen])
    np.testing.assert_array_equal(careful.mean, trusting.mean)


@pytest.mark.parametrize("selection", ALL, ids=lambda s: f"{s.rule}-{s.refine}-{s.expand}")
@given(k=st.integers(1, 12), bad=st.sets(st.integers(0, 11)), key=keys)
@settings(max_examples=20)
def test_broken_candidates_are_dropped_and_counted_and_change_nothing_else(
    selection: Selection, k: int, bad: set[int], key: tuple
) -> None:
    candidates, critic, bad = propose(k), near(goal()), {i for i in bad if i < k}
    broken = candidates.copy()
    for i in bad:
        broken[i, i % 4, i % 7] = np.inf if i % 2 else np.nan
    if len(bad) == k:
        with pytest.raises(SelectionError, match=f"all {k}"):
            choose(selection, broken, None, critic, key)
        return
    kept = [i for i in range(k) if i not in bad]
    choice, without = (choose(selection, c, None, critic, key) for c in (broken, candidates[kept]))
    assert choice.dropped == len(bad)
    np.testing.assert_array_equal(choice.chunk, without.chunk)
    assert choice.chosen == (kept[without.chosen] if without.chosen >= 0 else -1)
    if selection.scored:
        assert set(np.flatnonzero(np.isnan(choice.mean))) == bad


@pytest.mark.parametrize("rule", sorted(set(RULES) - set(UNSCORED)))
def test_scores_that_are_not_numbers_are_never_chosen(rule: str) -> None:
    candidates = propose(4)
    mean = np.array([np.nan, -1.0, np.nan, np.nan])
    assert choose(Selection(rule), candidates, None, given_scores(candidates, mean), (0, 0)).chosen == 1
    with pytest.raises(SelectionError, match="finite score"):
        choose(Selection(rule), candidates, None, given_scores(candidates, mean * np.nan), (0, 0))


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_few_or_equal_candidates_are_no_special_case(density: str, k: int) -> None:
    candidates, mean = np.repeat(propose(1), k, axis=0), np.arange(k, dtype=float)
    selection = Selection("pessimistic", density=density)
    choice = choose(selection, candidates, np.zeros(k), given_scores(candidates, mean), (0, 0))
    assert np.array_equal(choice.chunk, candidates[0])


def test_refusals_say_what_is_wrong() -> None:
    with pytest.raises(UnknownNameError, match="argmax, first, mean_std, pessimistic, random"):
        Selection("best")
    with pytest.raises(UnknownNameError, match="kernel, policy"):
        Selection(density="mine")
    with pytest.raises(UnknownNameError, match="cem, gradient, none"):
        Selection(refine="more")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"rule": "softmax", "beta": 0.0}, "beta > 0"),
        ({"penalty": -1.0}, "penalty"),
        ({"abstain": float("nan")}, "abstain"),
        ({"refine": "cem", "refine_steps": 0}, "refine_steps"),
        ({"rule": "random", "abstain": 1.0}, "looks at no scores"),
        ({"rule": "pessimistic", "density": "policy", "expand": 5}, "density kernel"),
    ]
    for wrong, reason in refused:
        with pytest.raises(SelectionError, match=reason):
            Selection(**wrong)
    with pytest.raises(SelectionError, match="K >= 1"):
        choose(Selection("first"), np.zeros((0, 4, 7)), None, None, (0, 0))
    with pytest.raises(SelectionError, match="needs a critic"):
        choose(Selection("argmax"), propose(2), None, None, (0, 0))
    with pytest.raises(SelectionError, match="cannot tell"):
        choose(Selection("pessimistic", density="policy"), propose(2), None, near(goal()), (0, 0))


def test_settings_survive_json_among_others() -> None:
    selection = Selection("softmax", beta=0.3, abstain=2.0)
    assert Selection.from_json({"k": 10, "policy": "x"} | selection.to_json()) == selection
    assert Selection.from_json({"rule": "worst"}) == replace(Selection(), rule="worst")
