"""What was held when, and the same at an arm's pace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError
from vgps_models.spaces import Array
from vgps_sim.retarget.handled import Demonstration, Hold, HoldConfig, Pace, holds, slowed
from vgps_sim.retarget.human import Arm
from vgps_sim.retarget.refine import Path
from vgps_sim.retarget.shown import Shown

PERIOD = 0.04
ABOVE = np.array([0.0, 0.0, 0.1])


def soft(start: Array, end: Array, frames: int) -> Array:
    s = np.arange(1, frames + 1) / frames
    return start + (s**3 * (10 - 15 * s + 6 * s**2))[:, None] * (end - start)


class Table:
    """A hand that goes from place to place, and a thing that goes with it when it is held."""

    def __init__(self, thing: Array) -> None:
        self.hand, self.thing = [np.array([0.1, 0.0, 0.2])], [thing]
        self.held = False
        self.taken: list[tuple[int, int]] = []

    def to(self, where: Array, frames: int) -> None:
        off = self.thing[-1] - self.hand[-1]
        for at in soft(self.hand[-1], where, frames):
            self.hand.append(at)
            self.thing.append(at + off if self.held else self.thing[-1])

    def stay(self, frames: int) -> None:
        self.to(self.hand[-1], frames)

    def take(self) -> None:
        self.held = True
        self.taken.append((len(self.hand) - 1, -1))

    def let_go(self) -> None:
        self.held = False
        self.taken[-1] = (self.taken[-1][0], len(self.hand) - 1)

    def fetch(self, goal: Array, frames: int = 20) -> None:
        at = self.thing[-1]
        self.to(at + ABOVE, frames)
        self.to(at, frames)
        self.stay(8)
        self.take()
        self.to(at + ABOVE, frames)
        self.stay(10)
        self.to(goal + ABOVE, frames)
        self.to(goal, frames)
        self.let_go()
        self.stay(8)
        self.to(goal + ABOVE, frames)

    def shown(self, noise: float = 0.0, turns: Array | None = None) -> Demonstration:
        random = np.random.default_rng(0)
        hand = np.array(self.hand) + random.normal(0, noise, (len(self.hand), 3))
        thing = np.array(self.thing) + random.normal(0, noise, (len(self.hand), 3))
        count = len(hand)
        axes = np.tile(np.eye(3), (count, 1, 1)) if turns is None else Rotation.from_rotvec(turns).as_matrix()
        arm = Arm(hand + [-0.3, 0, 0.4], hand + [-0.3, 0, 0.1], hand + [-0.1, 0, 0.1], axes)
        still = np.tile([0.5, 0.2, 0.0], (count, 1)) + random.normal(0, noise, (count, 3))
        return Demonstration("task", Shown(arm, Path(hand, axes, PERIOD)), {"cup": thing, "jug": still}, {})


CUP, GOAL = np.array([0.3, 0.1, 0.02]), np.array([0.3, -0.1, 0.02])


@pytest.mark.parametrize(("noise", "config"), [(0.0, HoldConfig()), (0.004, HoldConfig(moved=0.02, slip=0.02))])
def test_a_hold_lasts_from_where_a_thing_sets_off_to_where_it_arrives(noise: float, config: HoldConfig) -> None:
    table = Table(CUP)
    table.fetch(GOAL)
    (hold,) = holds(table.shown(noise), config)
    assert hold.thing == "cup"
    first, last = table.taken[0]
    assert abs(hold.first - first) <= 8  # the hand was there all the while
    assert abs(hold.last - last) <= 8


def test_a_thing_that_was_put_down_and_taken_again_was_held_twice() -> None:
    table = Table(CUP)
    table.fetch(np.array([0.3, 0.0, 0.02]))
    table.fetch(GOAL)
    found = holds(table.shown())
    assert [hold.thing for hold in found] == ["cup", "cup"]
    assert found[0].last < found[1].first


def test_what_nobody_takes_is_not_held() -> None:
    table = Table(CUP)
    table.to(CUP + ABOVE, 20)
    table.to(CUP, 20)
    table.to(GOAL, 20)
    assert holds(table.shown()) == []
    with pytest.raises(DataError, match="nothing was held"):
        slowed(table.shown(), [])


def test_what_moves_far_from_the_hand_is_not_held() -> None:
    table = Table(CUP)
    table.fetch(GOAL)
    shown = table.shown()
    rolling = {"ball": shown.things["cup"] + [0.0, 0.4, 0.0]}
    assert holds(Demonstration("task", shown.person, rolling, {})) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 25), st.integers(3, 25), st.floats(-2.5, 2.5))
def test_an_arm_is_never_asked_for_more_than_its_pace(quick: int, quicker: int, turn: float) -> None:
    table = Table(CUP)
    table.fetch(np.array([0.3, 0.0, 0.02]), quick)
    table.fetch(GOAL, quicker)
    turns = np.linspace(0.0, 1.0, len(table.hand))[:, None] * [0.0, 0.0, turn]
    shown, pace = table.shown(turns=turns), Pace()
    held = [Hold("cup", *frames) for frames in table.taken]
    made = slowed(shown, held, pace)
    tip = made.person.tip
    speed = np.linalg.norm(np.diff(tip.position, axis=0), axis=1) / tip.period
    rotation = Rotation.from_matrix(tip.rotation)
    assert speed.max() <= pace.speed * 1.001
    assert ((rotation[1:] * rotation[:-1].inv()).magnitude() / tip.period).max() <= pace.turn * 1.001
    assert tip.period == pace.period
    assert (np.diff(made.row) >= 0).all()
    # Fingers move while the hand stays, and hold from there to where they let go.
    switched = np.flatnonzero(np.diff(made.closed.astype(int)))
    assert len(switched) == 2 * len(held)
    for at, frame in zip(switched, np.array(table.taken).ravel(), strict=True):
        assert made.row[at] == pytest.approx(frame, abs=0.5)
        around = tip.position[at - round(0.8 * pace.settle / pace.period) : at + round(0.8 * pace.grip / pace.period)]
        assert np.ptp(around, axis=0).max() < 1e-9


def test_the_ways_there_and_away_are_left_out() -> None:
    table = Table(CUP)
    table.to(np.array([0.1, 0.3, 0.3]), 40)
    table.fetch(GOAL)
    table.to(np.array([0.0, 0.0, 0.4]), 40)
    table.stay(50)
    made = slowed(table.shown(), holds(table.shown()))
    assert np.linalg.norm(made.person.tip.position - CUP, axis=1)[0] < 0.2
    assert np.linalg.norm(made.person.tip.position - GOAL, axis=1)[-1] < 0.2


def test_a_demonstration_knows_where_its_things_are() -> None:
    shown = Table(CUP)
    shown.stay(10)
    made = shown.shown()
    lost = made.things["cup"].copy()
    lost[3] = np.nan
    with pytest.raises(DataError, match="cup"):
        Demonstration("task", made.person, {"cup": lost}, {})
    with pytest.raises(DataError, match="any"):
        Demonstration("task", made.person, {}, {})
