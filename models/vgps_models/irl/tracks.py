"""Somebody at a task as points in space: what rewards are learned from when a person is watched and a robot is to act.

A hand is the point between its fingertips and the gap between them, whoever's it is. What is said of a moment
(`geometry`) does not change when everything is turned about the vertical or moved along the table, so that it does not
matter from which side of the table somebody works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from vgps_models.errors import DataError
from vgps_models.spaces import Array
from vgps_models.turns import turned

NEAR = 0.04  # [m] within which small differences matter most
CONTACT = 0.02  # [m] from a thing's middle a hand may be holding it
FAR = 0.1  # [m] unit of everything else


@dataclass(frozen=True, eq=False)
class Track:
    """T moments of one episode, at one rate.

    hand (T, 3): between the fingertips; gap (T,): of the fingers [m]; tilt (T,): of the hand about its own axis [rad].
    points (T, N, 3): the landmarks `names`. All in one frame with z up and the table at 0 [m]. heading: direction [rad]
    in which the hand points. success: what became of it.
    """

    task: str
    names: tuple[str, ...]
    hand: Array
    gap: Array
    tilt: Array
    points: Array
    heading: float
    success: bool

    def __post_init__(self) -> None:
        t, n = len(self.hand), len(self.names)
        found = (self.hand.shape, self.gap.shape, self.tilt.shape, self.points.shape)
        if found != ((t, 3), (t,), (t,), (t, n, 3)) or t < 2:
            raise DataError(f"a track of {n} landmarks has shapes {found}; expected (T, 3), (T,), (T,), (T, {n}, 3)")
        for name, value in (("hand", self.hand), ("gap", self.gap), ("tilt", self.tilt), ("points", self.points)):
            if not np.isfinite(value).all():
                raise DataError(f"a track's {name} is not finite everywhere; fill what was not seen first")

    def __len__(self) -> int:
        return len(self.hand)

    @property
    def seen(self) -> Array:
        """`seen` of every moment (T, S)."""
        return seen(self.hand, self.gap, self.tilt, self.points, self.heading)

    @property
    def moves(self) -> Array:
        """What the hand did from each moment to the next (T - 1, 5): way in the frame of its heading, change of gap [m]
        and of tilt [rad]."""
        way = np.diff(self.hand, axis=0) @ turned(-self.heading).T
        return np.concatenate([way, np.diff(self.gap)[:, None], np.diff(self.tilt)[:, None]], 1)

    @property
    def geometry(self) -> Array:
        """`geometry` of every moment (T, D)."""
        return geometry(self.hand, self.gap, self.points)


def geometry(hand: Array, gap: Array, points: Array) -> Array:
    """Of hands (..., 3), gaps (...) and landmarks (..., N, 3) [m]: how everything lies to everything else (..., D).

    For each pair of points, the hand among them, how far they are from each other along the table and how much higher
    one is, coarse and finely; every point's height; the gap.
    """
    every = np.concatenate([hand[..., None, :], points], -2)
    first, second = map(list, zip(*combinations(range(every.shape[-2]), 2), strict=True))
    way = every[..., second, :] - every[..., first, :]
    along, above = np.hypot(way[..., 0], way[..., 1]), way[..., 2]
    parts = [
        along / FAR, above / FAR, np.exp(-np.square(along / NEAR)), np.tanh(above / NEAR), every[..., 2] / FAR,
        np.tanh(every[..., 2] / NEAR), gap[..., None] / NEAR,
    ]  # fmt: skip
    return np.concatenate(parts, -1)


def geometry_names(names: Sequence[str]) -> tuple[str, ...]:
    """What the D numbers of `geometry` are, for landmarks of these names."""
    every = ("hand", *names)
    pairs = [f"{first} to {second}" for first, second in combinations(every, 2)]
    parts = [(pairs, "along"), (pairs, "above"), (pairs, "along, near"), (pairs, "above, near")]
    parts += [(every, "height"), (every, "height, near")]
    return (*(f"{one}: {what}" for ones, what in parts for one in ones), "gap")


def of_hand(name: str) -> bool:
    """Whether a number of this name (`geometry_names`) says something of the hand."""
    return name == "gap" or name.startswith(("hand to ", "hand: "))


def alike(tracks: Sequence[Track]) -> tuple[str, tuple[str, ...]]:
    """Task and landmarks of demonstrations. DataError when there are none, or they differ in what they show."""
    shown = {(track.task, track.names) for track in tracks}
    if len(shown) != 1:
        raise DataError("demonstrations must be of one task and show the same landmarks; give one or more such")
    return shown.pop()


def seen(hand: Array, gap: Array | float, tilt: Array | float, points: Array, heading: float) -> Array:
    """What a hand's own policy reads (..., S): where the landmarks are from the hand, in the frame of its heading, how
    high everything is, gap and tilt."""
    way = (points - hand[..., None, :]) @ turned(-heading).T
    parts = [
        way.reshape(*way.shape[:-2], -1) / FAR, hand[..., 2:] / FAR, points[..., 2] / FAR,
        np.asarray(gap)[..., None] / NEAR,
        np.asarray(tilt)[..., None],
    ]  # fmt: skip
    return np.concatenate(parts, -1)


def shaken(track: Track, noise: float, rng: np.random.Generator) -> Track:
    """As a detector might see it that is off by `noise` [m], half of it all episode long and half anew every moment."""
    every = np.concatenate([track.hand[:, None], track.points], axis=1)
    off = rng.normal(0, noise * np.sqrt(0.5), every.shape) + rng.normal(0, noise * np.sqrt(0.5), every.shape[1:])
    gap = np.maximum(track.gap + rng.normal(0, noise, track.gap.shape), 0.0)
    return replace(track, hand=(every + off)[:, 0], points=(every + off)[:, 1:], gap=gap)


def strayed(track: Track, spread: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """What would be seen from beside the path, and the move that leads back to it: (T - 1, S) and (T - 1, 5).

    A policy that has only ever seen the path itself does not know what to do beside it. The hand strays by `spread`
    [m], less near things, which it would have to go through or take with it.
    """
    room = np.linalg.norm(track.points - track.hand[:, None], axis=2).min(1)
    aside = rng.normal(0, 1, track.hand.shape) * np.minimum(spread, room / 4)[:, None]
    aside[:, 2] = np.maximum(aside[:, 2], -0.5 * track.hand[:, 2])
    aside *= (room > CONTACT)[:, None]
    beside = track.hand + aside
    way = (track.hand[1:] - beside[:-1]) @ turned(-track.heading).T
    return (
        seen(beside, track.gap, track.tilt, track.points, track.heading)[:-1],
        np.concatenate([way, track.moves[:, 3:]], 1),
    )
