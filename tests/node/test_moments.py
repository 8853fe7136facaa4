"""Joining by stamp: the order of arrival must not matter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vgps_node.moments import Joiner, Recent

PARTS = ("task", "joints", "front", "wrist")


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Every part of five moments: each part in order, as a topic delivers it, the parts anyhow among each other."""
    parts = draw(st.permutations([part for part in PARTS for _ in range(5)]))
    seen: dict[str, int] = dict.fromkeys(PARTS, -1)
    order = []
    for part in parts:
        seen[part] += 1
        order.append((part, seen[part]))
    return order


@given(order=arrivals())
def test_every_moment_is_complete_exactly_once_in_any_order(order: list[tuple[str, int]]) -> None:
    joiner = Joiner(PARTS)
    complete = [(stamp, joined) for part, stamp in order if (joined := joiner.add(part, stamp, (part, stamp)))]
    assert sorted(stamp for stamp, _ in complete) == list(range(5))
    assert all(joined == {part: (part, stamp) for part in PARTS} for stamp, joined in complete)


@given(before=arrivals(), after=arrivals(), ahead=st.integers(5, 100))
def test_when_time_goes_back_it_is_said_and_every_moment_is_complete_again(
    before: list[tuple[str, int]], after: list[tuple[str, int]], ahead: int
) -> None:
    said: list[tuple[int, int]] = []
    joiner = Joiner(PARTS, on_rewind=lambda before, now: said.append((before, now)))
    for part, stamp in before:
        joiner.add(part, stamp + ahead, "old")
    assert not said
    complete = [joined for part, stamp in after if (joined := joiner.add(part, stamp, "new"))]
    assert said == [(ahead + 4, 0)]
    assert len(complete) == 5 and all(set(joined.values()) == {"new"} for joined in complete)


def test_a_moment_that_was_open_when_time_went_back_is_forgotten() -> None:
    joiner = Joiner(PARTS)
    for part in PARTS[:3]:
        joiner.add(part, 7, "old")
    joiner.add("task", 5, "new")
    assert joiner.add("wrist", 7, "new") is None


@given(missing=st.sets(st.tuples(st.sampled_from(PARTS), st.integers(0, 4))))
def test_a_lost_part_costs_its_own_moment_alone(missing: set[tuple[str, int]]) -> None:
    joiner = Joiner(PARTS)
    sent = [(part, stamp) for stamp in range(5) for part in PARTS if (part, stamp) not in missing]
    complete = {stamp for part, stamp in sent if joiner.add(part, stamp, None)}
    assert complete == set(range(5)) - {stamp for _, stamp in missing}


def test_a_repeated_moment_is_complete_again() -> None:
    joiner = Joiner(PARTS)
    for _ in range(2):
        assert [bool(joiner.add(part, 1, 0)) for part in PARTS] == [False, False, False, True]


@given(stamps=st.lists(st.integers(0, 50), max_size=60))
def test_recent_keeps_what_was_put_in_last_and_no_more(stamps: list[int]) -> None:
    recent: Recent[int] = Recent(4)
    for stamp in stamps:
        recent.put(stamp, stamp)
        assert recent.get(stamp) == stamp and len(recent) <= 4
    last = list(dict.fromkeys(reversed(stamps)))[:4]
    assert sorted(recent) == sorted(last) and all(recent.get(stamp) == stamp for stamp in last)
