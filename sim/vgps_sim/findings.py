"""What an evaluation found, in words: also when guidance did not help."""

from __future__ import annotations

from dataclasses import dataclass

from vgps_sim.results import Evaluation
from vgps_sim.statistics import wilson
from vgps_sim.verdicts import bounds_at_all_times

PROVEN = 0.05  # both the interval and the exact test must agree before anything is called proven


@dataclass(frozen=True)
class Finding:
    """kind: "helped", "hurt", "unclear" or "none" (nothing to compare). headline: a few words. detail: a sentence."""

    kind: str
    headline: str
    detail: str

    def __str__(self) -> str:
        return f"{self.headline}: {self.detail}"


def find(evaluation: Evaluation) -> Finding:
    """Compare the second condition with the first, the baseline."""
    names = [c.name for c in evaluation.conditions]
    if len(names) < 2:
        successes, n = evaluation.counts(names[0])
        if not n:
            return Finding("none", "No result", f"no episode of {names[0]} was played to its end.")
        low, high = wilson(successes, n)
        return Finding(
            "none",
            f"{names[0]} alone",
            f"it succeeded in {successes} of {n} episodes ({percent(successes, n)}, "
            f"95 % interval {100 * low:.0f} to {100 * high:.0f} %); nothing was compared.",
        )
    baseline, treatment = names[0], names[1]
    pair = evaluation.pair(treatment, baseline)
    subject = "Guidance" if treatment == "guided" else f"\u201c{treatment}\u201d"
    if pair.n == 0:
        return Finding("none", "No result", f"no seed was played to its end by both {baseline} and {treatment}.")
    both = evaluation.outcomes[treatment].keys() & evaluation.outcomes[baseline].keys()
    ours, theirs = (sum(evaluation.outcomes[name][p].success for p in both) for name in (treatment, baseline))
    low, high = main_interval(evaluation)
    if evaluation.error_rate is None:
        interval = f"95 % interval {points(low)} to {points(high)}, McNemar p {p_value(pair.mcnemar_p)}"
        proven = pair.mcnemar_p < PROVEN
    else:
        interval = f"between {points(low)} and {points(high)} by bounds that hold at all times"
        proven = True
    detail = (
        f"{treatment} solved {ours} of {pair.n} paired seeds ({percent(ours, pair.n)}), {baseline} {theirs} "
        f"({percent(theirs, pair.n)}): {points(pair.difference)} points, {interval}."
    )
    if low > 0 and proven:
        return Finding("helped", f"{subject} helped", detail)
    if high < 0 and proven:
        return Finding("hurt", f"{subject} hurt", detail)
    if not pair.won and not pair.lost:
        return Finding("unclear", f"{subject} changed no outcome", detail)
    if pair.difference > 0:
        return Finding("unclear", f"{subject} did better, but that is not proven", detail + " More seeds would tell.")
    if pair.difference < 0:
        return Finding("unclear", f"{subject} did worse, but that is not proven", detail + " More seeds would tell.")
    return Finding("unclear", f"{subject} made no difference", detail)


def main_interval(evaluation: Evaluation) -> tuple[float, float]:
    """Of the second condition minus the first; (-1, 1) when there is nothing to compare.

    In a sequential evaluation the number of seeds follows from the outcomes, so its bounds hold and `ci95` does not.
    """
    names = [c.name for c in evaluation.conditions]
    if len(names) < 2:
        return -1.0, 1.0
    if evaluation.error_rate is None:
        return evaluation.pair(names[1], names[0]).ci95
    return bounds_at_all_times(evaluation, names[1], names[0])


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "\u2013"


def points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    value = round(100 * difference)
    return "0" if value == 0 else f"{value:+d}".replace("-", "\u2212")


def p_value(p: float) -> str:
    if p < 1e-4:
        return "<\u00a00.0001"
    return f"=\u00a0{p:.2g}" if p < 0.995 else "=\u00a01"
