"""Which frames are compared: transitions, what they came to (s+) and what was wanted (z), drawn from trajectories.

Pure arithmetic on frame numbers, so that it serves whatever the frames are: states of a chain, features, shards
of video. Trajectories lie one behind the other; trajectory i has lengths[i] frames, and frame numbers count
through all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import SpecError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class GoalMix:
    """Where goals come from: shares that add up to 1 (ICVF, 2304.04782 appendix)."""

    random: float = 0.3  # any frame of any trajectory
    later: float = 0.5  # a frame after this one in its trajectory, all as likely
    current: float = 0.2  # this very frame
    shared: float = 0.5  # how often the outcome s+ is the intent z itself

    def __post_init__(self) -> None:
        shares = (self.random, self.later, self.current)
        if not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6 and 0 <= self.shared <= 1):
            raise SpecError(f"{self}: random, later and current are shares that add up to 1, shared lies in [0, 1]")


@dataclass(frozen=True, eq=False)
class Moves:
    """B transitions with outcome and intent, over U distinct states.

    frames (U,): one frame of each state. s, s_next, goal, intent (B,): which of `frames`.
    at_goal, at_intent (B,): whether s is the state s+, and the state z.
    """

    frames: Ints
    s: Ints
    s_next: Ints
    goal: Ints
    intent: Ints
    at_goal: Bools
    at_intent: Bools


def draw_moves(
    lengths: Ints, count: int, *, seed: int, step: int, mix: GoalMix | None = None, states: Ints | None = None
) -> Moves:
    """`count` transitions, the same for the same (seed, step). Every frame is as likely.

    A trajectory stays where it ends: its last frame is followed by itself. So what it never came by is worth
    never at its end, too; were nothing said of the end, all values before it would be built on a guess.
    lengths (M,): frames of every trajectory. states (N,): which state each frame shows, where several frames
    show the same one; each its own otherwise.
    """
    mix = mix or GoalMix()
    random = np.random.Generator(np.random.PCG64([seed, step]))
    s = random.integers(_checked(lengths).sum(), size=count)
    intent = draw_goals(lengths, s, random, mix)
    goal = draw_goals(lengths, s, random, mix)
    goal = np.where(random.random(count) < mix.shared, intent, goal)
    frames = np.stack([s, np.minimum(s + 1, last_of(lengths, s)), goal, intent])
    shown = frames if states is None else states[frames]
    _, first, where = np.unique(shown, return_index=True, return_inverse=True)
    s, s_next, goal, intent = where.reshape(frames.shape)
    return Moves(frames.ravel()[first], s, s_next, goal, intent, s == goal, s == intent)


def draw_goals(lengths: Ints, now: Ints, random: np.random.Generator, mix: GoalMix | None = None) -> Ints:
    """A goal for every frame of `now` (B,), as frame numbers (B,). The last frame of a trajectory has itself for later.

    Always draws the same amount from `random`.
    """
    mix, last = mix or GoalMix(), last_of(lengths, now)
    kind = random.random(len(now))
    anywhere = random.integers(lengths.sum(), size=len(now))
    later = np.minimum(now + 1 + (random.random(len(now)) * (last - now)).astype(np.int64), last)
    return np.select([kind < mix.random, kind < mix.random + mix.later], [anywhere, later], now)


def last_of(lengths: Ints, frames: Ints) -> Ints:
    """For every frame the last one of its trajectory."""
    ends = np.cumsum(lengths)
    return ends[np.searchsorted(ends, frames, side="right")] - 1


def _checked(lengths: Ints) -> Ints:
    if len(lengths) == 0 or lengths.min() < 1:
        raise SpecError("nothing to draw from: give one trajectory or more, each with at least one frame")
    return lengths
