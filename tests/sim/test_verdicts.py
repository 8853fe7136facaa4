"""Verdicts at the end and after every round: what they say, and when they stop, whichever episode is finished first."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import evaluation

from vgps_sim import evaluate, report
from vgps_sim.evaluate import Condition, EpisodeResult, Games, Job
from vgps_sim.findings import find
from vgps_sim.requirements import parse
from vgps_sim.results import EvaluationError, paired_seeds
from vgps_sim.verdicts import Monitor, judge

SIDES = ("baseline", "candidate")
TASKS = ("put_spoon_on_towel", "put_carrot_on_plate")


def outcome(rows, text: str, *, error_rate: float | None = None, planned: int | None = None, **changes):
    """The verdict about rows of (baseline, candidate)."""
    made = evaluation({side: [row[i] for row in rows] for i, side in enumerate(SIDES)}, tasks=TASKS)
    made = replace(made, error_rate=error_rate, planned=planned or len(rows), **changes)
    return judge(made, [parse(text, SIDES)])[0]


BETTER = [(0, 1), (1, 1), (0, 1), (0, 1)] * 20
SAME = [(0, 1), (1, 0)] * 40


@pytest.mark.parametrize(
    ("rows", "text", "fixed", "sequential"),
    [
        (BETTER, "candidate-baseline>=0", "met", "met"),
        (BETTER, "candidate-baseline<0.5", "failed", "failed"),
        (BETTER, "baseline-candidate>=0", "failed", "failed"),
        (BETTER, "candidate>=0.9", "met", "met"),
        (BETTER, "baseline>=0.9", "failed", "failed"),
        (SAME, "candidate-baseline>=0", "met", "undecided"),
        (SAME, "candidate-baseline>0", "failed", "undecided"),
        (SAME, "candidate-baseline.lower>=0", "failed", "failed"),
        (SAME, "candidate-baseline.upper>=0", "met", "met"),
        (SAME, "candidate-baseline.lower>=-0.5", "met", "met"),
        (SAME, "candidate-baseline.upper>=0.5", "failed", "failed"),
        (SAME, "candidate>=0.5", "met", "undecided"),
        (SAME, "candidate.upper<=0.9", "met", "met"),
    ],
)
def test_verdicts(rows, text: str, fixed: str, sequential: str) -> None:
    at_the_end = outcome(rows, text)
    assert at_the_end.state == fixed and "95 % interval" in at_the_end.reason and at_the_end.seeds == len(rows)
    at_any_time = outcome(rows, text, error_rate=0.05)
    assert at_any_time.state == sequential and "hold at all times" in at_any_time.reason
    if sequential == "undecided":
        assert "used up" in at_any_time.reason
    for verdict in (at_the_end, at_any_time):
        assert verdict.lower is not None and verdict.value is not None and verdict.upper is not None
        assert verdict.lower <= verdict.value <= verdict.upper
        assert verdict.to_json()["interval"] == [verdict.lower, verdict.upper]


@pytest.mark.parametrize("error_rate", [None, 0.05])
def test_nothing_played_is_no_verdict(error_rate: float | None) -> None:
    made = replace(evaluation({"baseline": [1, 1], "candidate": []}), error_rate=error_rate, planned=2)
    verdict = judge(made, [parse("candidate-baseline>=0", SIDES)])[0]
    assert (verdict.state, verdict.value, verdict.lower, verdict.to_json()["interval"]) == (
        "undecided",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("error_rate", [None, 0.05])
def test_what_was_stopped_is_not_judged(error_rate: float | None) -> None:
    verdict = outcome(SAME, "candidate-baseline.lower>=0", error_rate=error_rate, stopped="stopped by SIGTERM")
    assert verdict.state == "undecided" and "stopped" in verdict.reason


def test_another_requirement_that_failed_first_leaves_the_rest_undecided() -> None:
    verdict = outcome(SAME, "candidate-baseline.upper>=0", error_rate=0.05, planned=len(SAME) + 4)
    assert verdict.state == "undecided" and "another requirement" in verdict.reason


def test_bounds_at_all_times_are_wider_than_an_interval_at_one() -> None:
    fixed, sequential = (outcome(BETTER, "candidate-baseline>=0", error_rate=rate) for rate in (None, 0.025))
    assert fixed.lower is not None and fixed.upper is not None
    assert sequential.lower is not None and sequential.upper is not None
    assert sequential.lower < fixed.lower and sequential.upper > fixed.upper


def test_the_finding_of_a_sequential_evaluation_uses_no_interval_of_a_fixed_one() -> None:
    made = evaluation({"baseline": [row[0] for row in BETTER], "candidate": [row[1] for row in BETTER]})
    found = find(replace(made, error_rate=0.05, planned=200))
    assert found.kind == "helped" and "hold at all times" in found.detail and "McNemar" not in found.detail


# With an evaluation around it.


class Dealt:
    """An episode source whose outcomes follow from side and seed. Counts what was played."""

    name = "dealt"

    def __init__(self, wins: dict[str, float], stop_at: int | None = None) -> None:
        self.wins, self.stop_at, self.played = wins, stop_at, 0

    def play(self, job: Job) -> EpisodeResult:
        if self.played == self.stop_at:
            raise KeyboardInterrupt
        self.played += 1
        success = np.random.default_rng([job.seed, len(job.condition.name)]).random() < self.wins[job.condition.name]
        return EpisodeResult(job.task, job.seed, job.condition.name, bool(success), 3, actions=np.zeros((3, 7)))

    def close(self) -> None: ...


def run(source: Dealt, texts: list[str], n: int = 120, folder: Path | None = None, error_rate: float | None = 0.05):
    return evaluate.run(
        [Condition(side) for side in SIDES], TASKS, range(n), source=source, folder=folder, progress=False,
        requirements=[parse(text, SIDES) for text in texts], error_rate=error_rate,
    )  # fmt: skip


def test_a_clear_case_ends_early_and_says_by_how_many_seeds(tmp_path: Path) -> None:
    source = Dealt({"baseline": 0.2, "candidate": 0.9})
    made = run(source, ["candidate-baseline>=0"])
    assert made.stopped is None and [v.state for v in made.verdicts] == ["met"]
    assert len(made.pairs) % len(TASKS) == 0 and len(made.pairs) < 40 and made.planned == 120
    assert source.played == 2 * len(made.pairs) == len(made.results)
    data = made.to_json()
    assert data["until_decided"] == {"error_rate": 0.05, "most_pairs": 120}
    assert data["requirements"][0]["state"] == "met" and data["requirements"][0]["seeds"] == len(made.pairs)
    html = report.page(made, tmp_path)
    assert "candidate-baseline&gt;=0" in html and "at most 120" in html


def test_an_unclear_case_uses_all_seeds_and_says_so() -> None:
    made = run(Dealt({"baseline": 0.5, "candidate": 0.5}), ["candidate-baseline>=0"], n=20)
    assert [v.state for v in made.verdicts] == ["undecided"] and len(made.pairs) == 20


def test_one_failed_requirement_is_enough_and_all_must_be_met() -> None:
    wins = {"baseline": 0.2, "candidate": 0.9}
    failed = run(Dealt(wins), ["candidate-baseline>=0", "baseline>=0.9"])
    met = run(Dealt(wins), ["candidate-baseline>=0", "candidate>=0.7"])
    assert "failed" in [v.state for v in failed.verdicts]
    assert [v.state for v in met.verdicts] == ["met", "met"]
    assert len(failed.pairs) < len(met.pairs)


def test_it_goes_on_where_it_stopped_and_decides_at_the_same_seed(tmp_path: Path) -> None:
    wins, texts = {"baseline": 0.3, "candidate": 0.8}, ["candidate-baseline>=0"]
    whole = run(Dealt(wins), texts)
    broken = run(Dealt(wins, stop_at=9), texts, folder=tmp_path)
    assert broken.stopped == "interrupted" and broken.verdicts[0].state == "undecided"
    source = Dealt(wins)
    again = run(source, texts, folder=tmp_path)
    assert again.verdicts == whole.verdicts and again.pairs == whole.pairs and source.played == len(whole.results) - 9
    for n, error_rate in ((120, 0.05), (60, 0.05), (120, 0.2)):  # what lies there decides, and nothing is played
        source = Dealt(wins)
        assert run(source, texts, n, tmp_path, error_rate).verdicts[0].state == "met" and not source.played


def test_without_an_error_rate_all_seeds_are_played_and_then_judged() -> None:
    made = run(Dealt({"baseline": 0.2, "candidate": 0.9}), ["candidate-baseline>=0"], error_rate=None)
    assert len(made.pairs) == 120 and made.verdicts[0].state == "met" and made.to_json()["until_decided"] is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 0.9))
def test_the_decision_does_not_depend_on_which_episode_ends_first(seed: int, tasks: int, better: float) -> None:
    """In parallel processes a success, which is shorter, is there before a failure that began earlier."""
    chance = random.Random(seed)
    pairs = paired_seeds([f"t{i}" for i in range(tasks)], range(48))
    rows = [[Job(Condition(side), *pair) for side in SIDES] for pair in pairs]
    success = {
        job.key: chance.random() < (better if job.condition.name == "candidate" else 0.3) for r in rows for job in r
    }
    requirement = parse("candidate-baseline>=0", SIDES)

    def decided(order: list[Job]) -> tuple[bool, int]:
        games = Games(rows, Monitor([requirement], tasks))
        for job in order:
            games.done[job.key] = EpisodeResult(job.task, job.seed, job.condition.name, success[job.key], 3)
            if games.decided():
                break
        return games.is_decided, games.looked

    in_order = [job for row in rows for job in row]
    shuffled = chance.sample(in_order, len(in_order))
    successes_first = sorted(in_order, key=lambda job: not success[job.key])
    assert decided(in_order) == decided(shuffled) == decided(successes_first)
    assert decided(in_order)[1] % tasks == 0


@pytest.mark.parametrize(
    ("texts", "n", "error_rate", "says"),
    [
        ([], 20, 0.05, "--require"),
        (["candidate>=0.5"], 1, 0.05, "--episodes"),
        (["candidate>=0.5"], 20, 0.0, "between 0 and 0.5"),
        (["candidate>=0.5"], 20, 0.5, "between 0 and 0.5"),
        (["candidate>=0.5"], 20, float("nan"), "between 0 and 0.5"),
    ],
)
def test_what_could_never_decide_is_refused(texts: list[str], n: int, error_rate: float, says: str) -> None:
    source = Dealt({"baseline": 0.5, "candidate": 0.5})
    with pytest.raises(EvaluationError, match=says):
        run(source, texts, n, error_rate=error_rate)
    assert not source.played
