"""Requirements are read as they are meant, and what cannot be read is answered with what would be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_sim.requirements import OPERATORS, STATISTICS, RequirementError, Verdict, exit_code, parse, parse_rate

SIDES = ("baseline", "candidate", "guided:unseen")


@given(
    st.sampled_from(SIDES),
    st.sampled_from([None, *SIDES]),
    st.sampled_from(["", *STATISTICS]),
    st.sampled_from(list(OPERATORS)),
    st.integers(0, 100),
    st.sampled_from(["%", " %", "points", " points", "pp"]),
    st.sampled_from(["", " "]),
)
def test_what_is_written_is_read(side, minus, statistic, operator, number, unit, space) -> None:
    if minus == side:
        minus = None
    target = side if minus is None else f"{side}{space}-{space}{minus}"
    text = f"{target}{'.' if statistic else ''}{statistic}{space}{operator}{space}{number}{unit}"
    found = parse(text, SIDES)
    assert (found.side, found.minus, found.operator) == (side, minus, operator)
    assert found.statistic == (statistic or "point")
    assert found.threshold == pytest.approx(number / 100)
    assert found.text == text.strip() and set(found.sides) == {side, minus or side}


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("candidate-baseline>=0", 0),
        ("candidate-baseline>=-5%", -0.05),
        ("candidate-baseline ≥ −5 points", -0.05),
        ("candidate-baseline>=-.05", -0.05),
        ("candidate-baseline>=-1e-2", -0.01),
        ("candidate-baseline>=+0.1", 0.1),
        ("guided:unseen-baseline>=-1", -1),
    ],
)
def test_numbers_are_rates_or_points(text: str, threshold: float) -> None:
    assert parse(text, SIDES).threshold == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "quotes"),
        ("candidate", "quotes"),  # what is left when the shell has taken ">=0.8" for a file
        ("candidate=0.8", "'=' is none of them"),
        ("candidate==0.8", ">=, >, <=, <"),
        ("candidate=>0.8", "'=>' is none of them"),
        ("0.8<=candidate", "neither a side nor a pair"),
        ("candidat>=0.8", "choose one of: baseline, candidate"),
        ("candidate-candidate>=0", "candidate-baseline"),
        ("candidate--baseline>=0", "candidate-baseline"),
        ("candidate.median>=0.8", "point, lower, upper"),
        ("candidate.lower.upper>=0.8", "point, lower, upper"),
        ("candidate>=", "must be a number"),
        ("candidate>=all", "must be a number"),
        ("candidate>=80 percentage", "must be a number"),
        ("candidate>=nan", "must be a number"),
        ("candidate>=1e999", "between 0 and 1"),
        ("candidate>=80", "write 5 %"),
        ("candidate>=-0.1", "between 0 and 1"),
        ("candidate-baseline>=-5", "between -1 and 1"),
        ("candidate>=0.8>=0.7", "quotes"),
        ("candidate>=0.8, baseline>=0.7", "quotes"),
        ("candidate\n>=x", "must be a number"),
    ],
)
def test_what_cannot_be_read_says_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(RequirementError, match="requirement") as caught:
        parse(text, SIDES)
    assert says in str(caught.value) and repr(text)[1:-1] in repr(str(caught.value))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse(text, SIDES).target
    except RequirementError as error:
        assert str(error)


@pytest.mark.parametrize(("text", "rate"), [("0.8", 0.8), ("80%", 0.8), (" 80 % ", 0.8), ("1", 1.0), ("0", 0.0)])
def test_a_rate_by_itself(text: str, rate: float) -> None:
    assert parse_rate(text, "--fail-under") == pytest.approx(rate)


@pytest.mark.parametrize("text", ["80", "-0.1", "nan", "", "high"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(RequirementError, match="--fail-under"):
        parse_rate(text, "--fail-under")


def test_rounding_decides_nothing() -> None:
    assert parse("candidate-baseline>=0.2", SIDES).holds(0.3 - 0.1)  # 0.19999999999999998
    assert not parse("candidate-baseline>0.2", SIDES).holds(0.1 + 0.2 - 0.1)  # 0.20000000000000004
    assert parse("candidate<=0.3", SIDES).holds(0.1 + 0.2)


@pytest.mark.parametrize(
    ("states", "code"), [((), 0), (("met",), 0), (("met", "undecided"), 4), (("undecided", "failed", "met"), 3)]
)
def test_exit_codes(states: tuple[str, ...], code: int) -> None:
    assert exit_code([Verdict(parse("candidate>0", SIDES), state, "") for state in states]) == code
