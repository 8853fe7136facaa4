"""A video as moments in time, and the frames that a camera of constant rate would have taken of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vgps_models.data.foreign_video import SLACK_S
from vgps_models.errors import DataError

HOLD_S = 10.0  # a picture held for longer than this is no video; its time stamps are not believed
VARIABLE = 1.5  # longest over shortest gap between frames, from which on a rate is called variable


@dataclass(frozen=True)
class Moment:
    """A frame and when it was shown [s].

    picture: gives it when asked, as (h, w, 3) uint8 RGB or as a frame of PyAV.
    text: what is done, where that is known only once the recording is open.
    """

    seconds: float
    picture: Callable[[], Any]
    text: str = ""


@dataclass
class Pace:
    """How evenly the frames of a video came, told by those that have passed."""

    frames: int = 0
    shortest: float = float("inf")
    longest: float = 0.0
    first: float = 0.0
    last: float = 0.0

    def hear(self, seconds: float) -> None:
        if self.frames:
            self.shortest, self.longest = (
                min(self.shortest, seconds - self.last),
                max(self.longest, seconds - self.last),
            )
        else:
            self.first = seconds
        self.frames, self.last = self.frames + 1, seconds

    @property
    def hz(self) -> float:
        """Frames a second on average; 0 of a single frame."""
        return (self.frames - 1) / (self.last - self.first) if self.frames > 1 else 0.0

    @property
    def variable(self) -> bool:
        return self.frames > 2 and self.longest > VARIABLE * self.shortest + 2 * SLACK_S


@dataclass
class Resampler:
    """Picks for every tick k / hz the frame that a viewer sees then: the last one shown. A slow camera repeats itself.

    Times count from the first frame. Frames that are older than the one before are left out.
    """

    hz: float
    pace: Pace = field(default_factory=Pace)

    def __call__(self, moments: Iterable[Moment]) -> Iterator[Moment]:
        """Raises what the source raises, and DataError where the time stamps jump; all ticks before have come then."""
        shown: Moment | None = None
        broken: DataError | None = None
        tick = 0
        try:
            for moment in moments:
                if shown is not None:
                    gap = moment.seconds - shown.seconds
                    if gap <= 0:
                        continue
                    if gap > HOLD_S:
                        raise DataError(f"its time stamps jump by {gap:.0f} s after {shown.seconds:.1f} s")
                    while tick / self.hz < moment.seconds - self.pace.first - SLACK_S:
                        yield shown
                        tick += 1
                self.pace.hear(moment.seconds)
                shown = moment
        except DataError as error:
            broken = error
        while shown is not None and tick / self.hz <= shown.seconds - self.pace.first + SLACK_S:
            yield shown
            tick += 1
        if broken is not None:
            raise broken
