"""What a hand did to things: when each was held, told by how the things moved, and the same at an arm's pace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation, Slerp

from vgps_models.errors import DataError
from vgps_models.spaces import Array
from vgps_sim.retarget.human import Arm
from vgps_sim.retarget.refine import Path
from vgps_sim.retarget.shown import Shown
from vgps_sim.tasks import Place


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One performance over a table, in the arm's base frame.

    person: T frames of the arm, and of a gripper in the fingers' place.
    things: name -> where it was (T, 3) [m], of those that can be moved. places: of all things before anything moved.
    """

    task: str
    person: Shown
    things: Mapping[str, Array]
    places: Mapping[str, Place]

    def __post_init__(self) -> None:
        count = len(self.person.tip)
        wrong = [name for name, at in self.things.items() if at.shape != (count, 3) or not np.isfinite(at).all()]
        if wrong or not self.things:
            raise DataError(
                f"a demonstration of {count} frames needs to know in each where things are; not so of "
                f"{', '.join(wrong) or 'any'}"
            )


@dataclass(frozen=True)
class HoldConfig:
    """What counts as held. Wider where things are seen less exactly."""

    moved: float = 0.012  # [m] in `within` by which what is carried moves at least
    within: float = 0.4  # [s]
    near: float = 0.14  # [m] from the fingertips to the frame of what is held
    slip: float = 0.012  # [m] by which that distance may change while it is held
    pause: float = 2.0  # [s] for which a hand may stop on the way


@dataclass(frozen=True)
class Hold:
    """`thing` was in the fingers from frame `first` to `last`."""

    thing: str
    first: int
    last: int


def holds(shown: Demonstration, config: HoldConfig = HoldConfig()) -> list[Hold]:
    """What was held when, in order of time. Fingers say little of it (they close on things of any width); that a thing
    goes where they go says all."""
    tip, period = shown.person.tip.position, shown.person.tip.period
    found: list[Hold] = []
    for name, at in shown.things.items():
        away = np.linalg.norm(at - tip, axis=1)
        moving = _moving(at, period, config) & (away < config.near)
        for first, last in _spans(moving, round(config.pause / period)):
            usual = float(np.median(away[first : last + 1][moving[first : last + 1]]))
            kept = np.abs(away[first : last + 1] - usual) < config.slip
            # A hand that went away and came back let go in between.
            found += [Hold(name, first + a, first + b) for a, b in _spans(kept, round(config.within / period))]
    return _one_at_a_time(sorted(found, key=lambda hold: hold.first))


def _moving(at: Array, period: float, config: HoldConfig) -> NDArray[np.bool_]:
    """Frames (T,) around which a thing goes somewhere."""
    half = max(1, round(config.within / period / 2))
    padded = np.pad(median_filter(at, (3, 1)), ((half, half), (0, 0)), mode="edge")
    return np.linalg.norm(padded[2 * half :] - padded[: -2 * half], axis=1) > config.moved


def _spans(yes: NDArray[np.bool_], bridged: int) -> list[tuple[int, int]]:
    """First and last of each run of `yes`, in which up to `bridged` frames may be no."""
    rows = np.flatnonzero(yes)
    if not len(rows):
        return []
    cuts = np.flatnonzero(np.diff(rows) > bridged)
    return list(zip(rows[np.r_[0, cuts + 1]].tolist(), rows[np.r_[cuts, len(rows) - 1]].tolist(), strict=True))


def _one_at_a_time(found: list[Hold]) -> list[Hold]:
    """A hand holds one thing: where two overlap, the later ends the earlier."""
    for i in range(len(found) - 1):
        if found[i].last >= found[i + 1].first:
            found[i] = replace(found[i], last=found[i + 1].first - 1)
    return [hold for hold in found if hold.last > hold.first]


@dataclass(frozen=True)
class Pace:
    """How quickly an arm may do it. Below the action's own limits, so that it can catch up."""

    speed: float = 0.13  # [m/s] of the tool
    turn: float = 1.0  # [rad/s] of the tool
    settle: float = 0.2  # [s] after the hand has arrived, before fingers move
    grip: float = 0.5  # [s] for fingers to close, or to open
    around: float = 0.12  # [m] from the first thing where the motion is taken up, and from the last where it is left
    period: float = 0.04  # [s] a frame of what is made


@dataclass(frozen=True, eq=False)
class Slowed:
    """person: at the arm's pace. closed: the gripper holds something (T,). row (T,): of the demonstration, whole and
    fractions."""

    person: Shown
    closed: NDArray[np.bool_]
    row: Array


def slowed(shown: Demonstration, held: list[Hold], pace: Pace = Pace()) -> Slowed:
    """From where the hand comes near what it takes first to where it has left what it held last, as quickly as the arm
    can, and with time for its fingers. DataError when nothing was held."""
    if not held:
        raise DataError(f"{shown.task}: nothing was held; a hand that moves nothing is no demonstration")
    tip = shown.person.tip
    first, last = _near(tip, held, pace.around)
    rows = np.arange(first, last + 1)
    way = np.linalg.norm(np.diff(tip.position[rows], axis=0), axis=1)
    turned = Rotation.from_matrix(tip.rotation[rows])
    turns = (turned[1:] * turned[:-1].inv()).magnitude()
    seconds = np.maximum(tip.period, np.maximum(way / pace.speed, turns / pace.turn))
    switches = np.isin(rows[:-1], [hold.first for hold in held] + [hold.last for hold in held])
    stays, stops = pace.settle + pace.grip, np.flatnonzero(switches)
    when = np.r_[0.0, np.cumsum(seconds + stays * switches)]
    # A hand whose fingers move stays where it is: its frame is there twice.
    knots = np.insert(when, stops + 1, when[stops] + stays)
    at = np.insert(rows, stops + 1, rows[stops])
    now = np.arange(0.0, when[-1] + 1e-9, pace.period)
    row = np.interp(now, knots, at)
    holding = np.zeros(len(tip), bool)
    for hold in held:
        holding[hold.first + 1 : hold.last + 1] = True
    # Whether it holds goes by what comes after a stop.
    after = np.r_[holding[np.insert(rows[1:], stops, rows[stops] + 1)], False]
    closed = after[np.maximum(np.searchsorted(knots, now - pace.settle, side="left") - 1, 0)]
    return Slowed(_resampled(shown.person, row, pace.period), closed, row)


def _near(tip: Path, held: list[Hold], around: float) -> tuple[int, int]:
    """First and last frame that matter."""
    start, end = held[0].first, held[-1].last
    before = np.linalg.norm(tip.position[:start] - tip.position[start], axis=1) > around
    after = np.linalg.norm(tip.position[end + 1 :] - tip.position[end], axis=1) > around
    first = int(np.flatnonzero(before)[-1]) if before.any() else 0
    last = end + 1 + int(np.flatnonzero(after)[0]) if after.any() else len(tip) - 1
    return first, last


def _resampled(person: Shown, row: Array, period: float) -> Shown:
    """At fractions of frames."""
    frames = np.arange(len(person.tip), dtype=np.float64)

    def points(values: Array) -> Array:
        return np.stack([np.interp(row, frames, column) for column in values.T], axis=1)

    def turns(values: Array) -> Array:
        return Slerp(frames, Rotation.from_matrix(values))(row).as_matrix()

    arm, tip = person.arm, person.tip
    return Shown(
        Arm(points(arm.shoulder), points(arm.elbow), points(arm.wrist), turns(arm.hand)),
        Path(points(tip.position), turns(tip.rotation), period),
    )
