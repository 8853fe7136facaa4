"""What travels between the nodes, as plain values: every one belongs to a moment.

An observation is the set of messages with EQUAL stamp, and whatever answers it
carries that stamp. Stamps are simulation time. As long as time does not go back
a stamp names one moment; when it does (a restarted simulator, a bag in a loop,
two graphs in one domain), everything kept by stamp is forgotten. (seed, step)
names a moment inside its episode and is the key of everything drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from vgps_models.spaces import Array

T = TypeVar("T")


@dataclass(frozen=True)
class Moment:
    """One control step of one episode. stamp: simulation time [ns]."""

    stamp: int
    seed: int = 0
    step: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.seed, self.step


@dataclass(frozen=True, eq=False)
class ArmState:
    """Measured joints. q: (6,) [rad]; gripper: opening 0..1; velocity: (6,) [rad/s]."""

    q: Array
    gripper: float
    velocity: Array = field(default_factory=lambda: np.zeros(6))


@dataclass(frozen=True)
class TaskState:
    """The episode that runs and how far it has come. loop_ms: see TaskState.msg; -1 for none."""

    moment: Moment
    task: str = ""
    instruction: str = ""
    episode: int = 0
    events: tuple[str, ...] = ()
    success: bool = False
    done: bool = False
    loop_ms: float = -1.0


@dataclass(frozen=True, eq=False)
class Candidates:
    """K chunks proposed for a moment. actions: (K, H, 7); sample_ms: time that took; log_prob: (K,), None: unknown."""

    moment: Moment
    actions: Array
    sample_ms: float = 0.0
    log_prob: Array | None = None


@dataclass(frozen=True, eq=False)
class Chunk:
    """The actions to execute from a moment on. actions: (H, 7)."""

    moment: Moment
    actions: Array


@dataclass(frozen=True, eq=False)
class Scores:
    """How the candidates of a moment were judged; fields as in Scores.msg."""

    moment: Moment
    rule: str
    mean: Array
    std: Array
    chosen: int
    doubt: float
    abstained: bool
    dropped: int
    encode_ms: float
    score_ms: float
    candidates_to_choice_ms: float


@dataclass(frozen=True)
class Progress:
    """How far along a moment looks; fields as in Progress.msg."""

    moment: Moment
    source: str
    value: float
    spread: float
    success: bool
    ms: float


class Recent(Generic[T]):
    """The values that were put in last, by stamp; those that were put in first are forgotten first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[int, T] = {}

    def put(self, stamp: int, value: T) -> None:
        self._values.pop(stamp, None)
        self._values[stamp] = value
        while len(self._values) > self._size:
            del self._values[next(iter(self._values))]

    def get(self, stamp: int) -> T | None:
        return self._values.get(stamp)

    def pop(self, stamp: int) -> T | None:
        return self._values.pop(stamp, None)

    def clear(self) -> None:
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._values))


class Joiner:
    """Puts together what belongs to one stamp, in whatever order the parts come.

    A part that comes twice starts its moment anew, so a repeated observation is
    complete again and every node can answer again. Each part comes in the order
    of its stamps; a smaller one means that time went back. Then all moments are
    forgotten, and `on_rewind` is called with the stamp before and the new one.
    """

    def __init__(
        self, parts: Iterable[str], size: int = 32, on_rewind: Callable[[int, int], None] = lambda before, now: None
    ) -> None:
        self._parts, self._on_rewind = frozenset(parts), on_rewind
        self._open: Recent[dict[str, Any]] = Recent(size)
        self._newest: dict[str, int] = {}  # part -> its newest stamp

    def add(self, part: str, stamp: int, value: Any) -> dict[str, Any] | None:
        """All parts of the moment when this one completes it."""
        before = self._newest.get(part, stamp)
        if stamp < before:
            self._open.clear()
            self._newest.clear()
            self._on_rewind(before, stamp)
        self._newest[part] = stamp
        moment = self._open.get(stamp)
        if moment is None:
            self._open.put(stamp, moment := {})
        moment[part] = value
        if moment.keys() != self._parts:
            return None
        self._open.pop(stamp)
        return moment
