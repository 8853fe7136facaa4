"""Judge the requirements of an evaluation: at its end, or after every round until they are decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

from vgps_sim.requirements import ERROR_RATE, FAILED, MET, UNDECIDED, Requirement, Verdict
from vgps_sim.results import EpisodeResult, Evaluation, EvaluationSettingsError
from vgps_sim.sequential import Counts, bounds, log_evidence_above, log_evidence_below
from vgps_sim.statistics import wilson


def judge(evaluation: Evaluation, requirements: Iterable[Requirement]) -> tuple[Verdict, ...]:
    """A verdict for every requirement; of a sequential evaluation by the bounds that hold at all times."""
    rate = evaluation.error_rate
    if rate is None:
        return tuple(_judge_fixed(evaluation, requirement) for requirement in requirements)
    return tuple(_judge_sequential(evaluation, requirement, rate) for requirement in requirements)


@dataclass
class Monitor:
    """Looks at outcomes in the order of the pairs, after whole rounds, and says when to stop.

    requirements: what is to be decided. tasks: how many a round has. error_rate: of each verdict.
    Outcomes are looked at in this order whatever order they come in. Otherwise a failure, which takes longer than a
    success, would be seen later, and what is seen first would look better than it is.
    """

    requirements: Sequence[Requirement]
    tasks: int
    error_rate: float = ERROR_RATE
    _seen: list[list[int]] = field(init=False)
    _states: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = [[] for _ in self.requirements]
        self._states = [UNDECIDED for _ in self.requirements]

    def add(self, outcomes: Mapping[str, bool]) -> bool:
        """The outcomes of the next pair, by side. Whether one requirement has failed or all are met."""
        for i, requirement in enumerate(self.requirements):
            self._seen[i].append(_value(requirement, outcomes))
            if len(self._seen[i]) % self.tasks == 0 and self._states[i] == UNDECIDED:
                self._states[i] = decide(requirement, self._seen[i], self.error_rate)
        return FAILED in self._states or UNDECIDED not in self._states


def monitor_for(requirements: Sequence[Requirement], tasks: int, seeds: int, error_rate: float) -> Monitor:
    """A monitor for an evaluation on so many seeds. Raises EvaluationError when it could never decide anything."""
    if not requirements:
        raise EvaluationSettingsError(
            "to end when all is decided, an evaluation needs a requirement to decide; give --require"
        )
    if not 0 < error_rate < 0.5:
        raise EvaluationSettingsError(f"an error rate lies between 0 and 0.5, not at {error_rate:g}; 0.05 is usual")
    if seeds < tasks:
        raise EvaluationSettingsError(f"{seeds} seeds are fewer than one for each of {tasks} tasks; raise --episodes")
    return Monitor(requirements, tasks, error_rate)


def decide(requirement: Requirement, seen: Sequence[int], error_rate: float) -> str:
    """The state of a requirement after a look at `seen`: decided when one of two bets has won 1 / error_rate."""
    counts, enough = Counts.of(seen, requirement.low), -log(error_rate)
    if log_evidence_above(counts, requirement.threshold) >= enough:
        return MET if requirement.upward else FAILED
    if log_evidence_below(counts, requirement.threshold) >= enough:
        return FAILED if requirement.upward else MET
    return UNDECIDED


def bounds_at_all_times(evaluation: Evaluation, treatment: str, baseline: str) -> tuple[float, float]:
    """Lower and upper bound of a difference in a sequential evaluation, each wrong with at most its error rate."""
    requirement = Requirement(treatment, baseline, "point", ">=", 0.0, "")
    seen = [_value(requirement, outcomes) for outcomes in _complete(evaluation, requirement)]
    return bounds(seen, requirement.low, len(evaluation.tasks), evaluation.error_rate or ERROR_RATE)


def _judge_sequential(evaluation: Evaluation, requirement: Requirement, error_rate: float) -> Verdict:
    tasks = len(evaluation.tasks)
    seen = [_value(requirement, outcomes) for outcomes in _complete(evaluation, requirement)]
    looks = range(tasks, len(seen) + 1, tasks)
    state = next((s for end in looks if (s := decide(requirement, seen[:end], error_rate)) != UNDECIDED), UNDECIDED)
    if not seen:
        return Verdict(requirement, UNDECIDED, "no seed was played to its end by the sides that it compares")
    value = sum(seen) / len(seen)
    lower, upper = bounds(seen, requirement.low, tasks, error_rate)
    reason = (
        f"{_shown(requirement, value)} on {len(seen)} seeds; bounds that hold at all times, each with an error of "
        f"{100 * error_rate:g} %: {_span(requirement, lower, upper)}"
    )
    used_up = evaluation.stopped is None and len(evaluation.pairs) == evaluation.planned
    if state == UNDECIDED and used_up and requirement.statistic != "point":
        # An end of the interval is what it is when the seeds are used up.
        state = MET if requirement.holds(lower if requirement.statistic == "lower" else upper) else FAILED
    if state == UNDECIDED and used_up:
        reason += "; the seeds were used up before it was decided"
    elif state == UNDECIDED:
        why = "the evaluation was stopped" if evaluation.stopped else "another requirement had failed"
        reason += f"; {why} before it was decided"
    return Verdict(requirement, state, reason, value, lower, upper, len(seen))


def _judge_fixed(evaluation: Evaluation, requirement: Requirement) -> Verdict:
    if requirement.minus is None:
        successes, n = evaluation.counts(requirement.side)
        value, (lower, upper) = successes / max(n, 1), wilson(successes, n)
    else:
        pair = evaluation.pair(requirement.side, requirement.minus)
        value, (lower, upper), n = pair.difference, pair.ci95, pair.n
    if n == 0:
        return Verdict(requirement, UNDECIDED, "no seed was played to its end by the sides that it compares")
    reason = f"{_shown(requirement, value)} on {n} seeds, 95 % interval {_span(requirement, lower, upper)}"
    if evaluation.stopped:
        reason += f"; stopped after {n} of {len(evaluation.pairs)} seeds, so it is not judged"
        return Verdict(requirement, UNDECIDED, reason, value, lower, upper, n)
    compared = {"point": value, "lower": lower, "upper": upper}[requirement.statistic]
    return Verdict(requirement, MET if requirement.holds(compared) else FAILED, reason, value, lower, upper, n)


def _complete(evaluation: Evaluation, requirement: Requirement) -> Iterable[dict[str, bool]]:
    """Outcomes of the pairs that the sides have played, up to the first that one has not."""
    tables: list[Mapping[tuple[str, int], EpisodeResult]] = [evaluation.outcomes[s] for s in requirement.sides]
    for pair in evaluation.pairs:
        if not all(pair in table for table in tables):
            return
        yield {side: table[pair].success for side, table in zip(requirement.sides, tables, strict=True)}


def _value(requirement: Requirement, outcomes: Mapping[str, bool]) -> int:
    """Success, 0 or 1, or the difference of two, -1, 0 or 1."""
    return int(outcomes[requirement.side]) - (int(outcomes[requirement.minus]) if requirement.minus else 0)


def _shown(requirement: Requirement, value: float) -> str:
    return f"{requirement.target} is {_number(requirement, value)}{' points' if requirement.minus else ' %'}"


def _span(requirement: Requirement, lower: float, upper: float) -> str:
    unit = " points" if requirement.minus else " %"
    return f"{_number(requirement, lower)} to {_number(requirement, upper)}{unit}"


def _number(requirement: Requirement, value: float) -> str:
    return f"{100 * value:+.1f}" if requirement.minus else f"{100 * value:.1f}"
