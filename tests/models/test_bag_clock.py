"""Messages stand where their stamps say; odd stamps and time that goes back are made up for, and that is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.bags.clock import Written, time_line

S = 1_000_000_000
T = 1_700_000_000 * S


def rows(stamps: list[int], *, first: int = 0, every: int = 1, late: int = 0) -> list[Written]:
    """Written at T, T + .1 s ... late: after that [ns]."""
    return [Written(first + n * every, stamp, T + n * S // 10 + late) for n, stamp in enumerate(stamps)]


def steady(count: int, begin: int = T) -> list[int]:
    return [begin + n * S // 10 for n in range(count)]


def times(line, topic: str) -> list[int]:
    return [moment.time for moment in line.moments[topic]]


def parts(line, topic: str) -> list[int]:
    return [moment.part for moment in line.moments[topic]]


def test_stamps_count_and_not_when_something_was_written():
    line = time_line({"/a": rows(steady(5), late=30_000_000)})
    assert times(line, "/a") == steady(5) and line.parts == 1 and not line.notes


def test_without_stamps_the_times_of_writing_count():
    line = time_line({"/a": rows([0] * 5), "/b": []})
    assert times(line, "/a") == steady(5) and not line.notes and line.moments["/b"] == []


def test_stamps_that_are_missing_here_and_there_are_made_up_for():
    stamps = steady(6, 12 * S)  # of a simulation that began 12 s ago
    with_holes = [0 if n in (0, 2, 5) else stamp for n, stamp in enumerate(stamps)]
    line = time_line({"/a": rows(with_holes)})
    assert times(line, "/a") == stamps and not line.notes


def test_a_topic_without_stamps_beside_others_in_simulated_time():
    line = time_line({"/a": rows(steady(9, 12 * S)), "/b": rows([0] * 5, late=7_000_000)})
    assert times(line, "/b") == [stamp + 7_000_000 for stamp in steady(5, 12 * S)] and not line.notes


def test_stamps_of_another_clock_are_aligned_and_that_is_said():
    line = time_line({"/a": rows(steady(9)), "/b": rows(steady(5, 3 * S))})
    assert times(line, "/b") == steady(5)
    assert len(line.notes) == 1 and "/b" in line.notes[0] and "behind those of /a" in line.notes[0]
    # Latencies are none: half a second late is late.
    line = time_line({"/a": rows(steady(9)), "/b": rows(steady(5, T - S // 2))})
    assert times(line, "/b") == steady(5, T - S // 2) and not line.notes


@pytest.mark.parametrize("count", [3, 8, 40])
def test_a_loop_is_cut(count):
    again = 3
    a = rows(steady(count, 10 * S) * again, every=2)
    b = rows([stamp + 20_000_000 for stamp in steady(count, 10 * S)] * again, first=1, every=2)
    for topics in ({"/a": a, "/b": b}, {"/b": b, "/a": a}, {"/a": a, "/b": b[: len(b) - count // 2]}):
        line = time_line(topics)
        assert line.parts == again and "goes back 2 times" in line.notes[0] and len(line.notes) == 1
        for topic, written in topics.items():
            assert parts(line, topic) == [n // count for n in range(len(written))]


def test_what_overtakes_itself_is_no_loop():
    stamps = steady(10)
    stamps[3], stamps[4], stamps[7], stamps[8] = stamps[4], stamps[3], stamps[8], stamps[7]
    line = time_line({"/a": rows(stamps)})
    assert line.parts == 1 and not line.notes and sorted(times(line, "/a")) == steady(10)


def test_a_slow_topic_of_the_second_round_is_of_the_second_round():
    """It never goes back itself."""
    fast = rows(steady(20, 10 * S) * 2, every=10)
    slow = [Written(105, 11 * S, T + S), Written(305, 11 * S + 5, T + 3 * S)]
    line = time_line({"/fast": fast, "/slow": slow})
    assert parts(line, "/slow") == [0, 1]


def test_another_topic_whose_stamps_jump_is_sorted_and_that_is_said():
    fast = rows(steady(40), every=2)
    odd = rows([*steady(5, T + S), *steady(5)], first=1, every=2)
    line = time_line({"/fast": fast, "/odd": odd})
    assert line.parts == 1 and "/odd are out of order" in line.notes[0]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=12), max_size=4))
def test_no_times_are_too_odd(topics):
    given_rows = {
        f"/{n}": [Written(n + k * len(topics), stamp, log) for k, (stamp, log) in enumerate(some)]
        for n, some in enumerate(topics)
    }
    line = time_line(given_rows)
    assert {topic: len(moments) for topic, moments in line.moments.items()} == {
        topic: len(some) for topic, some in given_rows.items()
    }
    assert all(0 <= moment.part < line.parts for moments in line.moments.values() for moment in moments)


def test_long_recordings():
    count = 20_000
    line = time_line({"/a": rows(steady(count)), "/b": rows(steady(count // 2))})
    assert len(line.moments["/a"]) == count and np.all(np.diff(times(line, "/a")) == S // 10)
