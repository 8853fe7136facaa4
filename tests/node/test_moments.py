"""Joining by stamp: the order of arrival must not matter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vgps_node.moments import Joiner, Recent

PARTS = ("task", "joints", "front", "wrist")


@given(order=st.permutations([(part, stamp) for stamp in range(5) for part in PARTS]))
def test_every_moment_is_complete_exactly_once_in_any_order(order: list[tuple[str, int]]) -> None:
    joiner = Joiner(PARTS)
    complete = [(stamp, joined) for part, stamp in order if (joined := joiner.add(part, stamp, (part, stamp)))]
    assert sorted(stamp for stamp, _ in complete) == list(range(5))
    assert all(joined == {part: (part, stamp) for part in PARTS} for stamp, joined in complete)


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
def test_recent_keeps_the_newest_stamps_and_no_more(stamps: list[int]) -> None:
    recent: Recent[int] = Recent(4)
    for stamp in stamps:
        recent.put(stamp, stamp)
        assert len(recent) <= 4
    assert all(recent.get(stamp) == stamp for stamp in recent)
    if stamps:
        assert max(stamps) in list(recent)
