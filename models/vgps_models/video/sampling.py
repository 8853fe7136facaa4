"""Which frames a step of training sees: transitions (s, s'), outcomes s+ and intents z.

Goals follow ICVF (arXiv 2304.04782) as V-PTR (arXiv 2309.13041) uses it on video: z is a random frame of the data, a
later frame of the same video or the frame itself, and s+ is z half of the time and drawn in the same way otherwise.

A batch is a function of (seed, step) alone: whoever makes it, in whatever order, makes the same, and the number of the
step is all that has to be kept to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.spaces import Image

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LATER = ("uniform", "geometric")
GOALS_FROM = ("data", "batch")
ROLES = ("s", "following", "outcome", "intent")  # the rows of every array here: s, s', s+, z


@dataclass(frozen=True)
class Sampling:
    """The published mixture of goals. `random`, `later` and `current` add up to 1."""

    batch: int = 64  # transitions a step
    seed: int = 0
    random: float = 0.3  # how often a goal is any frame of the data
    later: float = 0.5  # how often it is a later frame of the same video
    current: float = 0.2  # how often it is s itself
    same: float = 0.5  # how often s+ is z
    later_by: str = "uniform"  # uniform: any later frame | geometric: 1, 2, ... frames later, as gamma falls
    gamma: float = 0.99  # of geometric; what lies past the end of the video is its last frame
    goals_from: str = "data"  # data: all frames | batch: those of the batch, which need no decoding and encoding anew
    per_video: int = 1  # transitions of a batch that come from the same video
    goals: int = 1  # pairs (s+, z) for each transition
    stays: bool = True  # a video stays where it ends: its last frame is followed by itself

    def __post_init__(self) -> None:
        for kind, name, valid in (("later_by", self.later_by, LATER), ("goals_from", self.goals_from, GOALS_FROM)):
            if name not in valid:
                raise UnknownNameError(kind, name, valid)
        parts = (self.random, self.later, self.current)
        if min(parts) < 0 or abs(sum(parts) - 1) > 1e-6 or not 0 <= self.same <= 1:
            raise SpecError(f"random, later and current are {parts}, same is {self.same}; give shares that add up to 1")
        if self.batch < 1 or not 0 <= self.gamma < 1:
            raise SpecError(f"batch is {self.batch} and gamma {self.gamma}; expected at least 1, and 0 <= gamma < 1")
        if self.per_video < 1 or self.goals < 1 or self.batch % self.per_video:
            raise SpecError(
                f"a batch of {self.batch} cannot have {self.per_video} of each video and {self.goals} goals"
            )


@dataclass(frozen=True, eq=False)
class Draw:
    """Frame numbers of one step, a row a role (s, s', s+, z). Shape (4, B)."""

    step: int
    index: Ints

    def part(self, number: int, parts: int) -> Draw:
        """One of `parts` equal parts."""
        size = self.index.shape[1]
        return Draw(self.step, self.index[:, number * size // parts : (number + 1) * size // parts])

    def distinct(self) -> tuple[Ints, Ints]:
        """Every number once, (U,) rising, and where each of `index` stands among them, (4, B)."""
        each, again = np.unique(self.index, return_inverse=True)
        return each, again.reshape(self.index.shape)


class Sampler:
    """Draws steps from videos.

    bounds: video v is frames bounds[v] .. bounds[v + 1] - 1. videos: only these; all if None.
    Raises DataError when no video has two frames.
    """

    def __init__(
        self,
        bounds: Ints,
        settings: Sampling,
        videos: Sequence[int] | Ints | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        chosen = np.arange(len(bounds) - 1) if videos is None else np.unique(np.asarray(videos, np.int64))
        self.settings, self._share = settings, share
        self._first, self._last = bounds[:-1][chosen], bounds[1:][chosen] - 1
        long = self._last > self._first
        self._first, self._last = self._first[long], self._last[long]
        if not len(self._first):
            raise DataError(f"none of {len(chosen)} videos has two frames; there is nothing to learn a step from")
        self._steps = np.concatenate([[0], np.cumsum(self._last - self._first + settings.stays)])
        self._frames = np.concatenate([[0], np.cumsum(self._last - self._first + 1)])

    @property
    def transitions(self) -> int:
        """How many (s, s') there are; s is equally likely to be any of them."""
        return int(self._steps[-1])

    def draw(self, step: int) -> Draw:
        """The frames of a step."""
        settings = self.settings
        random = np.random.Generator(np.random.PCG64([settings.seed, step, 7]))
        groups = settings.batch // settings.per_video
        drawn = random.integers(0, self.transitions, groups)
        video = np.searchsorted(self._steps, drawn, side="right") - 1
        first, last = self._first[video][:, None], self._last[video][:, None]
        others = random.integers(first, last + settings.stays, (groups, settings.per_video - 1))
        s = np.sort(np.concatenate([first + (drawn - self._steps[video])[:, None], others], axis=1), axis=1)
        following = np.minimum(s + 1, last)
        intent, other = (self._goals(s, following, last, random) for _ in range(2))
        outcome = np.where(random.random(intent.shape) < settings.same, intent, other)
        rows = (s[..., None], following[..., None], outcome, intent)
        index = np.stack([np.broadcast_to(row, intent.shape).ravel() for row in rows])
        return Draw(step, index).part(*self._share)

    def _goals(self, s: Ints, following: Ints, last: Ints, random: np.random.Generator) -> Ints:
        """Goals (G, P, goals) for s (G, P), whose videos end with the frames `last` (G, 1).

        All kinds are drawn, so that streams agree.
        """
        settings, shape = self.settings, (*s.shape, self.settings.goals)
        if settings.goals_from == "batch":
            anywhere = s.ravel()[random.integers(0, s.size, shape)]
            at = np.arange(s.shape[1])[:, None]  # s rises along its row, so whatever follows from there on is later
            later = following[np.arange(len(s))[:, None, None], random.integers(at, s.shape[1], shape)]
        else:
            drawn = random.integers(0, self._frames[-1], shape)
            video = np.searchsorted(self._frames, drawn, side="right") - 1
            anywhere = self._first[video] + drawn - self._frames[video]
            now, end = s[..., None], last[..., None]
            if settings.later_by == "geometric":
                later = np.minimum(now + random.geometric(1 - settings.gamma, shape), end)
            else:
                later = random.integers(np.minimum(now + 1, end), end + 1, shape)
        kind = random.random(shape)
        return np.where(kind < settings.random, anywhere, np.where(kind < 1 - settings.current, later, s[..., None]))


@dataclass(frozen=True, eq=False)
class Transitions:
    """What one step learns from. Rows of (4, B) arrays are s, s', s+, z; every s has a following frame s'.

    video, time: which frame of which video, (4, B). frames: every distinct frame once, (U, h, w, 3) uint8 RGB.
    row: where each stands among `frames`, (4, B). The step after this one is `step + 1`: nothing else is a state.
    """

    step: int
    video: Ints
    time: Ints
    frames: Image
    row: Ints

    def __len__(self) -> int:
        return self.row.shape[1]

    def images(self, role: str) -> Image:
        """Frames of "s", "following" (s'), "outcome" (s+) or "intent" (z). Shape (B, h, w, 3) uint8 RGB."""
        if role not in ROLES:
            raise UnknownNameError("role", role, ROLES)
        return self.frames[self.row[ROLES.index(role)]]

    def part(self, number: int, parts: int) -> Transitions:
        """One of `parts` equal parts, with the frames of its own transitions alone."""
        mine = slice(number * len(self) // parts, (number + 1) * len(self) // parts)
        kept, row = np.unique(self.row[:, mine], return_inverse=True)
        return Transitions(
            self.step, self.video[:, mine], self.time[:, mine], self.frames[kept], row.reshape(len(ROLES), -1)
        )

    @property
    def at_goal(self) -> Bools:
        """Where s is s+: the reward is 0, and nothing follows. Shape (B,)."""
        return self._same(0, 2)

    @property
    def at_intent(self) -> Bools:
        """Where s is z. Shape (B,)."""
        return self._same(0, 3)

    @property
    def steps(self) -> Ints:
        """How many frames after s the video shows s+; -1 where it does not. Shape (B,)."""
        later = self.time[2] - self.time[0]
        return np.where((self.video[0] == self.video[2]) & (later >= 0), later, -1)

    def _same(self, one: int, other: int) -> Bools:
        return (self.video[one] == self.video[other]) & (self.time[one] == self.time[other])


def split_videos(count: int, fraction: float, seed: int = 0) -> tuple[Ints, Ints]:
    """Videos to train on and held-out ones, at least one of each. Shapes (A,), (B,) with A + B = count."""
    if count < 2 or not 0 < fraction < 1:
        raise DataError(f"{count} videos cannot be split with a share of {fraction}")
    held = min(count - 1, max(1, round(count * fraction)))
    order = np.random.Generator(np.random.PCG64([seed, 11])).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])
