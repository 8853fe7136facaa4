"""Results survive the way to JSON and back, and settings decide what may be mixed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import evaluation

from vgps_models.spaces import Decision
from vgps_sim.results import Condition, EpisodeResult, EvaluationError, Job, StepRecord, paired_seeds

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(numbers, min_size=7, max_size=7), max_size=8), st.lists(numbers, max_size=5), st.booleans())
def test_an_episode_comes_back_from_json_bit_by_bit(actions: list, scores: list, success: bool) -> None:
    record = StepRecord(0, {"loop": 1.5}, 1, tuple(scores), tuple(scores), ((0.1, 0.2, 0.3),))
    array = np.array(actions, dtype=float).reshape(-1, 7)
    episode = EpisodeResult("t", 3, "bare", success, len(actions), ("grasped",), array, (record,), None)
    back = EpisodeResult.from_json(json.loads(json.dumps(episode.to_json())))
    assert np.array_equal(back.actions, array)
    assert replace(back, actions=array).to_json() == episode.to_json()
    assert back.records == episode.records


@given(st.integers(1, 5), st.integers(1, 60))
def test_every_prefix_of_the_pairs_is_balanced(tasks: int, seeds: int) -> None:
    pairs = paired_seeds([f"t{i}" for i in range(tasks)], range(seeds))
    assert [seed for _, seed in pairs] == list(range(seeds))
    for end in range(1, seeds + 1):
        counts = [sum(task == f"t{i}" for task, _ in pairs[:end]) for i in range(tasks)]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("tasks, seeds", [([], [1]), (["a"], []), (["a", "a"], [1]), (["a"], [1, 1])])
def test_pairs_that_make_no_sense_are_refused(tasks: list[str], seeds: list[int]) -> None:
    with pytest.raises(EvaluationError):
        paired_seeds(tasks, seeds)


def test_the_key_depends_on_every_setting() -> None:
    job = Job(Condition("guided", settings={"k": 10, "beta": 1.0}), "t", 1)
    others = [
        replace(job, condition=Condition("bare", settings={"k": 10, "beta": 1.0})),
        replace(job, condition=Condition("guided", settings={"k": 11, "beta": 1.0})),
        replace(job, task="u"),
        replace(job, seed=2),
        replace(job, execute=3),
        replace(job, max_steps=61),
    ]
    assert len({job.key, *(o.key for o in others)}) == 7
    same = Job(Condition("guided", settings={"beta": 1.0, "k": 10}), "t", 1)
    assert same.key == job.key


def test_json_has_the_promised_shape() -> None:
    made = evaluation({"bare": [0, 1, 0, 0], "guided": [1, 1, 0, 1], "random": [0, 0, 0, 1]}, tasks=["x", "y"])
    data = json.loads(json.dumps(made.to_json()))
    assert list(data["conditions"]) == ["bare", "guided", "random"]
    bare = data["conditions"]["bare"]
    assert (bare["successes"], bare["episodes"], bare["rate"]) == (1, 4, 0.25)
    assert bare["ci95"][0] < 0.25 < bare["ci95"][1]
    assert bare["tasks"]["y"]["rate"] == 0.5 and bare["tasks"]["x"]["episodes"] == 2
    assert all(set(bare["latency_ms"][part]) == {"p50", "p99"} for part in ("policy", "value", "loop"))
    assert list(data["pairs"]) == ["guided-bare", "random-bare", "guided-random"]
    assert data["pairs"]["guided-bare"]["difference"] == 0.5
    assert {"ci95", "mcnemar_p"} <= set(data["pairs"]["guided-bare"])
    assert data["seeds"] == [1_000_000, 1_000_003]
    assert data["command"] == "vgps eval" and data["git"] == "abc123"


def test_an_episode_that_broke_off_counts_nowhere() -> None:
    made = evaluation({"bare": [1, 1], "guided": [1, 1]})
    broken = replace(made.results[0], error="a node died", success=False)
    made = replace(made, results=(broken, *made.results[1:]))
    assert made.counts("bare") == (1, 1)
    assert made.pair("guided", "bare").n == 1


def test_pairs_are_compared_only_where_both_sides_played() -> None:
    made = evaluation({"bare": [0, 0, 1, 1], "guided": [1, 1]})
    assert made.pair("guided", "bare").n == 2
    assert made.pair("guided", "bare").difference == 1.0


@given(st.lists(st.one_of(st.just(np.nan), st.floats(-50, 0)), min_size=1, max_size=8), st.integers(0, 7))
def test_what_is_kept_of_a_decision_is_finite_and_names_the_same_chunk(means: list[float], chosen: int) -> None:
    mean, k = np.array(means, np.float64), len(means)
    candidates = np.random.default_rng(k).uniform(-0.02, 0.02, (k, 4, 7))
    candidates[np.isnan(mean)] = np.nan
    chosen = min(chosen, k - 1)
    chunk = np.zeros((4, 7)) if np.isnan(mean[chosen]) else candidates[chosen]
    dropped = int(np.isnan(mean).sum())
    decision = Decision(chunk, candidates, mean, np.abs(mean), chosen, {"policy": 1.0}, 2.5, True, dropped)
    record = StepRecord.of(decision, step=4)
    assert len(record.mean) == len(record.std) == len(record.reach) == k - dropped
    assert np.isfinite(record.mean).all() and np.isfinite(record.reach).all()
    if np.isnan(mean[chosen]):
        assert record.chosen == -1
    else:
        assert np.allclose(record.reach[record.chosen], candidates[chosen, :, :3].sum(axis=0), atol=1e-4)
    assert (record.step, record.doubt, record.abstained, record.dropped) == (4, 2.5, True, dropped)
    json.dumps(vars(record), allow_nan=False)


def test_where_guidance_let_go_is_counted() -> None:
    made = evaluation({"bare": [0, 1], "guided": [1, 1]})
    steps = (StepRecord(0, {}, abstained=True), StepRecord(2, {}, abstained=True, dropped=3), StepRecord(4, {}))
    results = [replace(r, records=steps if (r.condition, r.seed % 2) == ("guided", 0) else ()) for r in made.results]
    made = replace(made, results=tuple(results))
    assert made.abstentions("guided") == (2, 1, 3) and made.abstentions("bare") == (0, 0, 0)
    guided = made.to_json()["conditions"]["guided"]
    assert guided["abstained"] == {"decisions": 2, "episodes": 1} and guided["dropped"] == 3
