"""Reach, grasp, lift, carry, place, withdraw, as movements of a tip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.objects import get_thing
from vgps_sim.people.manner import Manner
from vgps_sim.people.parts import TABLE
from vgps_sim.people.stage import Stage, Stroke

SPEED = 0.3  # [m/s] at pace 1
LOW, HIGH = np.array([0.0, -0.36]), np.array([0.54, 0.36])  # [m] where a dropped thing is still fetched
# Where along a long thing it is grasped, from its middle towards its thick end [m].
ALONG = {"spoon": (-0.028, -0.006), "carrot": (-0.013, 0.013), "eggplant": (-0.013, 0.013)}
DEEP = ("basket", "green_bin", "red_bin")  # things are let go above their floor
Strokes = Iterator[Stroke]


def nearest_yaw(yaw: float, symmetry: int, wanted: float) -> float:
    """Of the yaws at which a thing that lies at `yaw` can be grasped, the one nearest to `wanted` [rad]."""
    if symmetry == 0:
        return wanted
    period = np.pi / 2 if symmetry == 4 else np.pi
    return float(yaw + period * np.round((wanted - yaw) / period))


class Actor(ABC):
    """One performance on one stage. goal: what is being done. beside: there is room beside a thing to close fingers."""

    beside = True

    def __init__(self, stage: Stage, manner: Manner, rng: np.random.Generator, home: Array) -> None:
        self.stage, self.manner, self.rng, self.home = stage, manner, rng, home
        self.goal = stage.task.goal(stage)

    @abstractmethod
    def act(self) -> Strokes:
        """All movements, in order."""

    def rest(self) -> Stroke:
        """Do nothing for a moment."""
        return self._wait(0.2)

    # -- parts of a performance --------------------------------------------

    def _fetch(self, thing: str) -> Strokes:
        """From where it lies to the goal's target, with what goes wrong on the way."""
        fault = self.manner.fault
        if fault == "miss":
            yield from self._miss(thing)
        yield from self._pick(thing)
        if fault == "put_down":
            yield from self._partly(thing, 0.7)
            yield from self._set_down(thing)
            yield from self._pick(thing)
        if fault == "drop":
            yield from self._drop(thing)
            if not (self.manner.mended and self._can_be_fetched(thing)):
                return
            yield from self._pick(thing)
        yield from self._place(thing)

    def _drop(self, thing: str) -> Strokes:
        """On the way."""
        yield from self._partly(thing, 0.8)
        self.stage.release()
        yield self._to(gap=self.stage.tip.gap + 0.03, seconds=0.25)
        yield self._wait(self.rng.uniform(0.3, 0.7))

    def _can_be_fetched(self, thing: str) -> bool:
        """It lies as it would if somebody had laid it down, within reach."""
        at = self.stage.position(thing)
        lies_well = abs(self.stage.upright(thing)) > 0.95 and abs(at[2] - self.stage.rest_height(thing)) < 0.006
        return bool(lies_well and (at[:2] > LOW).all() and (at[:2] < HIGH).all())

    def _pick(self, thing: str) -> Strokes:
        stage, measures = self.stage, get_thing(thing)
        yield from self._above(thing, 0.0)
        yield from self._pause()
        yaw, at = self._grasp_yaw(thing), stage.position(thing)
        along = self.rng.uniform(*ALONG.get(thing, (0.0, 0.0)))
        height = at[2] + self.rng.uniform(measures.grasp_height - measures.rest_height, 0.0) * stage.scales[thing]
        at = at + along * turned(stage.yaw(thing))[:, 0]
        at[2] = max(height, stage.embodiment.clearance)
        yield self._to(at, yaw=yaw, minimum=0.3)
        yield self._to(gap=stage.width(thing), seconds=self.rng.uniform(0.25, 0.4))
        stage.grasp(thing)
        yield from self._pause()
        lift = np.array([*self.rng.normal(0, 0.008, 2), self.manner.carry - at[2]])
        yield self._to(at + lift, minimum=0.3)

    def _above(self, thing: str, across: float) -> Strokes:
        """Over the thing, `across` [m] to its side, fingers open."""
        yaw, at = self._grasp_yaw(thing), self.stage.position(thing)
        at = at + across * turned(yaw)[:, 1] + [*self.rng.normal(0, 0.004, 2), self.manner.hover]
        if np.linalg.norm(self.stage.tip.position[:2] - at[:2]) > 0.02 and self.stage.tip.position[2] < 0.05:
            yield self._to(self.stage.tip.position + [0.0, 0.0, 0.05])
        yield self._to(at, yaw=yaw, gap=self.stage.width(thing) + self.rng.uniform(0.024, 0.036), bow=True)

    def _miss(self, thing: str) -> Strokes:
        """Close the fingers beside the thing, or too early on the way down."""
        stage, yaw = self.stage, self._grasp_yaw(thing)
        top = stage.position(thing)[2] + stage.rest_height(thing)
        if self.rng.random() < 0.5 and self.beside:
            across = stage.width(thing) / 2 + self.rng.uniform(0.054, 0.066)
            others = [stage.position(name)[:2] for name in stage.task.things if name != thing]
            here, y_axis = stage.position(thing)[:2], turned(yaw)[:2, 1]
            room = [min(np.linalg.norm(here + sign * across * y_axis - other) for other in others) for sign in (1, -1)]
            across *= 1 if room[0] > room[1] else -1
            yield from self._above(thing, across)
            below = max(stage.embodiment.clearance, self.rng.uniform(0.006, 0.016))
            yield self._to(gap=0.026, seconds=0.2)
        else:
            yield from self._above(thing, 0.0)
            below = top + self.rng.uniform(0.014, 0.024)
        yield self._to(np.array([*stage.tip.position[:2], below]), minimum=0.3)
        yield self._to(gap=0.004, seconds=0.3)
        yield self._to(np.array([*stage.tip.position[:2], self.manner.carry]), minimum=0.3)
        yield from self._pause()

    def _half_way(self, thing: str) -> Strokes:
        """Think better of it before the grasp; put it back beside the goal; or stay with it in the air."""
        kind = self.rng.choice(["hover", "put_down", "hold"])
        if kind == "hover":
            yield from self._above(thing, 0.0)
            yield self._wait(self.rng.uniform(0.5, 1.5))
            return
        yield from self._pick(thing)
        yield from self._partly(thing, 0.7)
        if kind == "put_down":
            yield from self._set_down(thing)
        else:
            yield self._wait(self.rng.uniform(1.0, 2.0))

    def _place(self, thing: str) -> Strokes:
        stage = self.stage
        yield from self._over_target(thing)
        yield from self._pause()
        high = self.goal.target in DEEP
        above = self.rng.uniform(0.022, 0.034) if high else self.rng.uniform(0.002, 0.005)
        bottom = stage.top(self.goal.target) + stage.rest_height(thing) - (stage.held.offset[2] if stage.held else 0.0)
        x, y, _ = stage.tip.position
        yield self._to(np.array([x, y, bottom + above]), minimum=0.4)
        yield from self._let_go()

    def _set_down(self, thing: str) -> Strokes:
        """Back onto the table, right below."""
        offset = self.stage.held.offset[2] if self.stage.held else 0.0
        x, y, _ = self.stage.tip.position
        yield self._to(np.array([x, y, self.stage.rest_height(thing) - offset + 0.002]), minimum=0.3)
        yield from self._let_go()

    def _let_go(self) -> Strokes:
        self.stage.release()
        yield self._to(gap=self.stage.tip.gap + self.rng.uniform(0.010, 0.016), seconds=self.rng.uniform(0.2, 0.35))
        yield self._to(self.stage.tip.position + [0.0, 0.0, self.manner.hover], minimum=0.3)

    def _over_target(self, thing: str | None = None) -> Strokes:
        goal, yaw = self._goal(thing)
        yield self._to(np.array([*goal, self.manner.carry]), yaw=yaw, bow=True)

    def _partly(self, thing: str, most: float) -> Strokes:
        """Some of the way to the target, and so far from it that nothing put down here is on it."""
        goal, _ = self._goal(thing)
        here = self.stage.tip.position[:2]
        way = float(np.linalg.norm(goal - here))
        taken = (goal - here) * float(np.clip((way - 0.13) / max(way, 1e-6), 0.0, most)) * self.rng.uniform(0.6, 1.0)
        for _ in range(30):
            if self._free(here + taken, thing):
                break
            taken = taken * 0.8 + self.rng.normal(0, 0.02, 2)
        yield self._to(np.array([*(here + taken), self.manner.carry]), bow=True)

    def _free(self, spot: Array, thing: str) -> bool:
        """Nothing else lies where the thing would be put down."""
        stage = self.stage
        others = [(*stage.position(n)[:2], get_thing(n).radius) for n in stage.task.things if n != thing]
        room = get_thing(thing).radius
        return all(np.hypot(spot[0] - x, spot[1] - y) > room + r for x, y, r in (*others, *stage.clutter))

    def _goal(self, thing: str | None) -> tuple[Array, float]:
        """Where the tip lets go (2,) [m] and at which yaw: well within the target, and fitting it."""
        stage = self.stage
        natural, turn = stage.embodiment.natural_yaw, stage.embodiment.turn
        target = get_thing(self.goal.target)
        if self.goal.target in ("towel", "plate"):
            yaw = float(np.clip(stage.tip.yaw + self.rng.uniform(-0.5, 0.5), natural - turn, natural + turn))
        else:
            wobble = 0.3 if self.goal.target in DEEP else 0.12
            yaw = nearest_yaw(stage.yaw(self.goal.target), target.symmetry, natural) + self.rng.uniform(-wobble, wobble)
        spread = {"towel": 0.014, "plate": 0.014, **dict.fromkeys(DEEP, 0.006)}.get(self.goal.target, 0.004)
        goal = stage.position(self.goal.target)[:2] + self.rng.uniform(-spread, spread, 2)
        if stage.held is not None and thing is not None:
            goal = goal - (turned(yaw) @ stage.held.offset)[:2]
        return goal, yaw

    def _withdraw(self) -> Strokes:
        if self.stage.tip.position[2] < 0.06:
            yield self._to(self.stage.tip.position + [0.0, 0.0, self.manner.hover])
        if self.stage.held is None:
            yield self._to(self.home + self.rng.normal(0, 0.02, 3), gap=self.rng.uniform(0.02, 0.05), bow=True)

    # -- strokes -----------------------------------------------------------

    def _to(
        self, position: Array | None = None, *, yaw: float | None = None, gap: float | None = None,
        tilt: float | None = None, seconds: float | None = None, minimum: float = 0.25, bow: bool = False,
    ) -> Stroke:  # fmt: skip
        """To a place, or with another gap where it is. The duration follows from the way unless it is given."""
        tip, manner = self.stage.tip, self.manner
        position = tip.position if position is None else position
        yaw = tip.yaw if yaw is None else yaw
        way = position - tip.position
        length = float(np.linalg.norm(way))
        if seconds is None:
            seconds = max(minimum, length / SPEED, abs(yaw - tip.yaw) / 3.0)
        sideways = np.array([-way[1], way[0], 0.0]) * self.rng.choice([-1.0, 1.0])
        curve = manner.bow * (0.5 * sideways + [0.0, 0.0, 0.5 * length]) if bow else np.zeros(3)
        gap, tilt = tip.gap if gap is None else gap, tip.tilt if tilt is None else tilt
        return Stroke(position, yaw, gap, seconds / manner.pace, curve, tilt)

    def _wait(self, seconds: float) -> Stroke:
        tip = self.stage.tip
        return Stroke(
            tip.position + self.rng.normal(0, 0.0015, 3) * [1, 1, 0], tip.yaw, tip.gap, seconds, np.zeros(3), tip.tilt
        )

    def _pause(self) -> Strokes:
        if self.rng.random() < self.manner.pause:
            yield self._wait(self.rng.uniform(0.2, 0.9))

    def _grasp_yaw(self, thing: str) -> float:
        return nearest_yaw(self.stage.yaw(thing), get_thing(thing).symmetry, self.stage.embodiment.natural_yaw)


def home_of(side: float, rng: np.random.Generator) -> Array:
    """Where the tip waits at azimuth `side` [rad], (3,) [m]."""
    far, beside = rng.uniform(0.22, 0.31), rng.uniform(-0.08, 0.08)
    c, s = np.cos(side), np.sin(side)
    return TABLE + np.array([far * c - beside * s, far * s + beside * c, rng.uniform(0.14, 0.24)])
