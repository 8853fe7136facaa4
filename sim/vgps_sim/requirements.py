"""What an evaluation is required to show, in words: `candidate-baseline>=0`, `guided>=80%`, `guided-bare.lower>-0.05`.

REQUIREMENT  = WHAT [ "." STATISTIC ] OPERATOR NUMBER [ UNIT ]
WHAT         = a side, for its success rate, or two sides joined by "-", for the difference on the same seeds
STATISTIC    = "point" (what was observed, the default), "lower" or "upper" (end of its 95 % interval)
OPERATOR     = ">=", ">", "<=" or "<"
UNIT         = none for a rate (0.8), "%" or "points" for hundredths (80 %, 5 points)
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vgps_models.errors import UsageError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
STATISTICS = ("point", "lower", "upper")
UNITS = {"": 1.0, "%": 100.0, "percent": 100.0, "pp": 100.0, "points": 100.0, "point": 100.0}
MET, FAILED, UNDECIDED = "met", "failed", "undecided"
ERROR_RATE = 0.05  # with which a verdict of a sequential evaluation may be wrong

_COMPARISON = re.compile(r"(?P<left>[^<>=]*)(?P<operator>[<>=]+)(?P<right>[^<>=]*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?)\s*(?P<unit>[a-z%]*)", re.IGNORECASE)


class RequirementError(UsageError):
    """A requirement that cannot be read; the message shows what would be right."""


@dataclass(frozen=True)
class Requirement:
    """A comparison that the result of an evaluation passes or fails.

    side: whose success rate, or the first side of a difference. minus: the second side; None for a rate.
    statistic: one of STATISTICS. operator: one of OPERATORS. threshold: a rate, 0..1, or a difference, -1..1.
    text: as the user wrote it.
    """

    side: str
    minus: str | None
    statistic: str
    operator: str
    threshold: float
    text: str

    @property
    def sides(self) -> tuple[str, ...]:
        return (self.side,) if self.minus is None else (self.side, self.minus)

    @property
    def target(self) -> str:
        return "-".join(self.sides)

    @property
    def low(self) -> int:
        """The smallest value that what is compared can have; the largest is 1."""
        return 0 if self.minus is None else -1

    @property
    def upward(self) -> bool:
        """Large values meet it."""
        return self.operator in (">=", ">")

    def holds(self, value: float) -> bool:
        # Rates are fractions of counts: 0.3 - 0.1 must pass ">=0.2" although it is 0.19999999999999998.
        return OPERATORS[self.operator](round(value, 12), round(self.threshold, 12))


@dataclass(frozen=True)
class Verdict:
    """What became of a requirement.

    state: MET, FAILED or UNDECIDED. reason: a sentence with the numbers.
    value, lower, upper: what was observed, and its interval; None where nothing was played.
    seeds: pairs (of a rate: episodes) that it was judged by.
    """

    requirement: Requirement
    state: str
    reason: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    seeds: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "requirement": self.requirement.text,
            "state": self.state,
            "reason": self.reason,
            "value": self.value,
            "interval": None if self.lower is None else [self.lower, self.upper],
            "seeds": self.seeds,
        }


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0: every requirement is met, or none was made. 3: at least one failed. 4: none failed, one is undecided."""
    states = {verdict.state for verdict in verdicts}
    return 3 if FAILED in states else 4 if UNDECIDED in states else 0


def parse(text: str, sides: Sequence[str]) -> Requirement:
    """Read a requirement on the `sides` of an evaluation. Raises RequirementError."""
    example = f"{sides[1]}-{sides[0]}>=0" if len(sides) > 1 else f"{sides[0]}>=0.8"
    comparison = _COMPARISON.fullmatch(text.replace("\u2265", ">=").replace("\u2264", "<=").replace("\u2212", "-"))
    if comparison is None or comparison["operator"] not in OPERATORS:
        found = f"'{comparison['operator']}' is none of them" if comparison else "there must be one"
        raise RequirementError(
            f"requirement '{text}': compare with one of {', '.join(OPERATORS)} ({found}), as in '{example}'; "
            "put it in quotes, or the shell takes '>' for itself"
        )
    side, minus, statistic = _target(comparison["left"].strip(), sides, text)
    threshold = _threshold(comparison["right"].strip(), -1 if minus else 0, text, example)
    return Requirement(side, minus, statistic, comparison["operator"], threshold, text.strip())


def parse_rate(text: str | float, option: str) -> float:
    """A success rate as `--fail-under` takes it: 0.8 or 80%. Raises RequirementError."""
    return _threshold(str(text).strip(), 0, f"{option} {text}", f"{option} 0.8")


def _target(target: str, sides: Sequence[str], text: str) -> tuple[str, str | None, str]:
    """Side, the side to subtract, statistic."""
    known: dict[str, tuple[str, str | None]] = {name: (name, None) for name in sides}
    known |= {f"{a}-{b}": (a, b) for a in sides for b in sides if a != b}
    name, _, statistic = (part.strip() for part in target.partition("."))
    name = re.sub(r"\s*-\s*", "-", name)
    if name not in known:
        shown = list(known)[:12]
        raise RequirementError(
            f"requirement '{text}': '{name}' is neither a side nor a pair of sides of this evaluation; choose one of: "
            f"{', '.join(shown)}{', ...' if len(known) > len(shown) else ''}"
        )
    statistic = statistic or "point"
    if statistic not in STATISTICS:
        raise RequirementError(
            f"requirement '{text}': '.{statistic}' is unknown; choose one of: {', '.join(STATISTICS)}"
        )
    return *known[name], statistic


def _threshold(number: str, low: int, text: str, example: str) -> float:
    found = _NUMBER.fullmatch(number)
    if found is None or found["unit"].lower() not in UNITS:
        raise RequirementError(
            f"requirement '{text}': '{number}' must be a number, with no unit, % or points, as in '{example}'"
        )
    value = float(found["number"]) / UNITS[found["unit"].lower()]
    if not math.isfinite(value) or not low <= value <= 1:
        kind = "a difference of rates lies between -1 and 1" if low < 0 else "a rate lies between 0 and 1"
        raise RequirementError(f"requirement '{text}': {kind}; write 5 % or 5 points for 0.05")
    return value
