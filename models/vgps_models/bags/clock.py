"""One time line for all topics of a bag, from the stamps in the messages and the times at which they were written.

A message is where its stamp says. Where there is no stamp (it is 0) the time of writing takes its place, brought to
the clock of the stamps. Topics whose stamps come from another clock are brought to that of the most frequent topic.
Where time goes back, because a recording was played in a loop or a simulation began anew, the bag is cut into parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]  # [ns]

OTHER_CLOCK = 1_000_000_000  # [ns] stamps that are farther apart from what was written together are of another clock
PERIODS = 3  # time went back where it did by more periods than this; by fewer, messages overtook each other
NEAR = 50  # messages of the most frequent topic from a cut, within which others may come late or early


class Written(NamedTuple):
    """order: which message of the bag it was. stamp: of its header [ns], 0 for none. log: when it was written [ns]."""

    order: int
    stamp: int
    log: int


class Moment(NamedTuple):
    """part: how often time had gone back before. time: [ns]."""

    part: int
    time: int


@dataclass
class TimeLine:
    """moments: of every topic, one for each message that was given. parts: how many there are.
    notes: what is odd about the times, a sentence each."""

    moments: dict[str, list[Moment]]
    parts: int
    notes: list[str]


def time_line(topics: Mapping[str, Sequence[Written]]) -> TimeLine:
    """topics: their messages in the order of the bag."""
    notes: list[str] = []
    columns = {topic: np.array(rows, np.int64).reshape(-1, 3) for topic, rows in topics.items() if len(rows)}
    if not columns:
        return TimeLine({topic: [] for topic in topics}, 1, notes)
    times = {topic: _stamped(rows) for topic, rows in columns.items()}
    chief = max(columns, key=lambda topic: len(columns[topic]))
    for topic, rows in columns.items():
        if topic != chief:
            near = nearest(columns[chief][:, 0], rows[:, 0])
            ahead = (rows[:, 2] - times[topic]) - (columns[chief][near, 2] - times[chief][near])
            apart = int(np.median(ahead))
            if abs(apart) > OTHER_CLOCK:
                times[topic] = times[topic] + apart
                if rows[:, 1].any():
                    notes.append(
                        f"the stamps of {topic} are {abs(apart) * 1e-9:.1f} s {'behind' if apart > 0 else 'ahead of'} "
                        f"those of {chief}; the two are aligned by when they were written"
                    )
    parts = _parts(times[chief])
    if count := int(parts[-1]):
        again = "once" if count == 1 else f"{count} times"
        notes.append(f"time goes back {again} (a loop, or a restart); it is read as {count + 1} recordings")
    moments: dict[str, list[Moment]] = {topic: [] for topic in topics}
    for topic, rows in columns.items():
        mine = _parts(times[topic])
        if mine[-1] != parts[-1]:  # it is not in every part, or was not written in order
            mine = _parts_like(columns[chief][:, 0], times[chief], parts, rows[:, 0], times[topic])
            back = sum(bool(_parts(times[topic][mine == part])[-1]) for part in np.unique(mine))
            if back:
                notes.append(f"the stamps of {topic} are out of order; its messages are sorted by them")
        moments[topic] = [Moment(int(p), int(t)) for p, t in zip(mine, times[topic], strict=True)]
    return TimeLine(moments, int(parts[-1]) + 1, notes)


def _stamped(rows: Times) -> Times:
    """Stamps, with those that are missing made of the times of writing, as much earlier as the message before."""
    stamps, logs = rows[:, 1], rows[:, 2]
    there = np.flatnonzero(stamps)
    if not len(there):
        return logs
    before = there[np.maximum(np.searchsorted(there, np.arange(len(rows)), side="right") - 1, 0)]
    return np.where(stamps != 0, stamps, logs - (logs - stamps)[before])


def _parts(times: Times) -> Times:
    """For every message how often time had gone back before it."""
    steps, parts, part, first = np.diff(times), np.zeros(len(times), np.int64), 0, 0
    if not (steps < 0).any() or not (steps > 0).any():
        return parts
    period = _period(times)
    for at in range(1, len(times)):
        began_anew = times[at] <= times[first] and at - first >= 2
        if steps[at - 1] < 0 and (steps[at - 1] < -PERIODS * period or began_anew):
            part, first = part + 1, at
        parts[at] = part
    return parts


def _parts_like(chief: Times, chief_times: Times, parts: Times, orders: Times, times: Times) -> Times:
    """The parts of other messages: those of the chief's messages beside them in the bag.

    Near a cut a message whose time does not fit is of the part before or after it, where its time fits better there.
    """
    if not parts[-1]:
        return np.zeros(len(orders), np.int64)
    beside, fits = nearest(chief, orders), PERIODS * _period(chief_times)
    cuts = np.flatnonzero(np.diff(parts)) + 1  # where parts 1, 2 .. begin
    made = np.empty(len(orders), np.int64)
    for row, (at, time) in enumerate(zip(beside, times, strict=True)):
        part = int(parts[at])
        choices = [(abs(int(chief_times[at]) - int(time)), part)]
        if choices[0][0] <= fits:
            made[row] = part
            continue
        if part > 0 and at - cuts[part - 1] < NEAR:
            choices.append((abs(int(chief_times[cuts[part - 1] - 1]) - int(time)), part - 1))
        if part < len(cuts) and cuts[part] - at <= NEAR:
            choices.append((abs(int(chief_times[cuts[part]]) - int(time)), part + 1))
        made[row] = min(choices, key=lambda choice: choice[0])[1]
    return made


def _period(times: Times) -> float:
    """The usual time from one message to the next [ns]; times rise somewhere."""
    steps = np.diff(times)
    return float(np.median(steps[steps > 0]))


def nearest(to: Times, wanted: Times) -> NDArray[np.intp]:
    """Of every time that is wanted the index of the nearest in `to`, which rises."""
    after = np.minimum(np.searchsorted(to, wanted), len(to) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(to[before] - wanted) <= np.abs(to[after] - wanted), before, after)
