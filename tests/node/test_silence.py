"""Who owes an answer: the first of the chain that is late is the reason."""

from __future__ import annotations

import pytest

from vgps_node.silence import Silence


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def silence(now: list[float]) -> Silence:
    return Silence({"a": "a says nothing", "b": "b says nothing"}, patience=5.0, clock=lambda: now[0])


def test_nobody_is_late_who_was_not_asked_or_has_answered(silence: Silence, now: list[float]) -> None:
    silence.ask("a")
    silence.heard("a")
    now[0] += 60
    assert silence.late() == ""


def test_a_debt_counts_from_the_first_question(silence: Silence, now: list[float]) -> None:
    silence.ask("b")
    now[0] += 4
    silence.ask("b")
    assert silence.late() == ""
    now[0] += 2
    assert silence.late() == "b says nothing for 6 s"


def test_of_several_the_first_of_the_chain_is_named(silence: Silence, now: list[float]) -> None:
    silence.ask("b")
    silence.ask("a")
    now[0] += 6
    assert silence.late().startswith("a ")
    silence.heard("a")
    assert silence.late().startswith("b ")
    silence.clear()
    assert silence.late() == ""
