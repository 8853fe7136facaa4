"""Chunks, transitions, negatives and splits, against the definition written as plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.data import sampling
from vgps_models.data.store import Columns

TASKS = ("carrot", "spoon", "spoon", "stack")


def columns(outcomes: list[tuple[int, bool]], instructions: int = 4) -> Columns:
    """Made-up columns of episodes given as (steps, success)."""
    lengths = np.array([steps for steps, _ in outcomes])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    n = int(bounds[-1])
    last = np.zeros(n, bool)
    last[bounds[1:] - 1] = True
    episode = np.repeat(np.arange(len(outcomes)), lengths)
    won = np.array([success for _, success in outcomes])
    random = np.random.default_rng(n)
    return Columns(
        state=random.normal(size=(n, 10)).astype(np.float32),
        joints=random.normal(size=(n, 7)).astype(np.float32),
        actions=random.normal(size=(n, 7)).astype(np.float32),
        commanded=random.normal(size=(n, 7)).astype(np.float32),
        environment_state=np.zeros((n, 0), np.float32),
        done=last,
        success=last & won[episode],
        flawed=np.zeros(n, bool),
        episode=episode,
        frame=np.arange(n) - bounds[:-1][episode],
        instruction=np.repeat(np.arange(len(outcomes)) % instructions, lengths),
        bounds=bounds,
        instructions=tuple(f"do {i}" for i in range(instructions)),
        instruction_tasks=TASKS[:instructions],
    )


OUTCOMES = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6)
HORIZONS = st.integers(1, 6)
GAMMAS = st.sampled_from([0.5, 0.9, 0.98])


@given(OUTCOMES, HORIZONS)
def test_chunks_hold_the_future_then_stay(outcomes: list[tuple[int, bool]], horizon: int) -> None:
    data = columns(outcomes)
    chunks = sampling.action_chunks(data, horizon)
    padding = sampling.chunk_padding(data, horizon)
    for t in range(len(data)):
        end = data.bounds[data.episode[t] + 1]
        for h in range(horizon):
            inside = t + h < end
            assert padding[t, h] == (not inside)
            stay = np.r_[np.zeros(6, np.float32), data.actions[end - 1, 6]]
            assert np.array_equal(chunks[t, h], data.actions[t + h] if inside else stay)


@given(OUTCOMES, HORIZONS, GAMMAS)
def test_transitions_agree_with_the_definition(outcomes: list[tuple[int, bool]], horizon: int, gamma: float) -> None:
    data = columns(outcomes)
    made = sampling.transitions(data, horizon, gamma)
    for t in range(len(data)):
        last = int(data.bounds[data.episode[t] + 1]) - 1
        won = bool(data.success[last])
        reward, discount, now = 0.0, 1.0, t
        for _ in range(horizon):
            if discount == 0.0 or (now == last and not won):
                break
            if now == last:
                discount = 0.0  # this action succeeds: reward 0, and nothing follows
            else:
                reward -= discount
                discount *= gamma
                now += 1
        assert made.usable[t] == (won or t < last)
        assert np.isclose(made.reward[t], reward, rtol=1e-5)
        assert np.isclose(made.discount[t], discount, rtol=1e-5)
        assert made.following[t] == now
        expected = -sum(gamma**k for k in range(last - t)) if won else -1 / (1 - gamma)
        assert np.isclose(made.mc_return[t], expected, rtol=1e-5)


@given(OUTCOMES, HORIZONS, GAMMAS)
def test_returns_solve_the_bellman_equation_of_successes(outcomes: list, horizon: int, gamma: float) -> None:
    data = columns(outcomes)
    made = sampling.transitions(data, horizon, gamma)
    won = sampling.success_frames(data)
    backed_up = made.reward + made.discount * made.mc_return[made.following]
    assert np.allclose(backed_up[won], made.mc_return[won], atol=1e-4)
    assert (made.mc_return >= -1 / (1 - gamma) - 1e-4).all()
    # For ever failing is the lowest value there is, and a fixed point too.
    assert np.allclose(backed_up[~won & made.usable], made.mc_return[~won & made.usable], rtol=1e-4)


@pytest.mark.parametrize(("horizon", "gamma"), [(0, 0.9), (1, 0.0), (1, 1.0)])
def test_senseless_settings_are_refused(horizon: int, gamma: float) -> None:
    with pytest.raises(ValueError, match="expected 0 < gamma < 1"):
        sampling.transitions(columns([(3, True)]), horizon, gamma)


@given(OUTCOMES, st.integers(0, 5))
def test_wrong_instructions_belong_to_another_task(outcomes: list[tuple[int, bool]], seed: int) -> None:
    data = columns(outcomes)
    wrong = sampling.wrong_instructions(data, seed)
    tasks = np.array(data.instruction_tasks)
    assert (tasks[wrong] != tasks[data.instruction]).all()
    assert np.array_equal(wrong, wrong[data.bounds[:-1]][data.episode])  # one an episode
    assert np.array_equal(wrong, sampling.wrong_instructions(data, seed))


def test_a_single_task_has_no_wrong_instruction() -> None:
    data = columns([(3, True), (4, False)], instructions=1)
    assert np.array_equal(sampling.wrong_instructions(data), data.instruction)


def test_every_wrong_instruction_turns_up() -> None:
    data = columns([(1, True)] * 200)
    seen = set(zip(data.instruction.tolist(), sampling.wrong_instructions(data).tolist(), strict=True))
    assert seen == {(i, j) for i in range(4) for j in range(4) if TASKS[i] != TASKS[j]}


@given(OUTCOMES)
def test_success_frames(outcomes: list[tuple[int, bool]]) -> None:
    data = columns(outcomes)
    assert sampling.succeeded(data).tolist() == [won for _, won in outcomes]
    assert sampling.success_frames(data).sum() == sum(steps for steps, won in outcomes if won)


@settings(max_examples=50)
@given(OUTCOMES, st.floats(0.05, 0.5), st.integers(0, 3))
def test_splits_part_episodes(outcomes: list[tuple[int, bool]], fraction: float, seed: int) -> None:
    data = columns(outcomes)
    train, held = sampling.split_episodes(data, fraction, seed)
    assert (train ^ held).all()
    assert not set(data.episode[train]) & set(data.episode[held])
    assert held.any() == (len(outcomes) > 1)
