"""One interface over everything that shows somebody doing something: recordings that can be played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from vgps_models.data.lerobot_info import camera_map
from vgps_models.errors import SpecError
from vgps_models.video.moments import Moment

HUMAN = "human"
MOST_WORDS = 2000  # characters of a text


@dataclass(frozen=True)
class Recording:
    """What one camera saw of one event; nothing of it is decoded yet. Plain data, so that it can be sent to a worker.

    name: unique within its source, and the same at every reading. source: which collection it comes from.
    view: name of the camera. text: what is done, in words, or empty.
    embodiment: who does it, "human" or the name of a robot, or empty.
    """

    name: str
    source: str
    view: str
    text: str
    embodiment: str

    def play(self) -> Iterator[Moment]:
        """Its moments, one after the other. Raises DataError when it cannot be opened, or where it breaks."""
        raise NotImplementedError


@dataclass(frozen=True)
class Renamed(Recording):
    """A recording whose camera is given another name."""

    original: Recording

    @classmethod
    def of(cls, original: Recording, view: str) -> Renamed:
        name = original.name
        if name.endswith(f"/{original.view}"):
            name = name.removesuffix(original.view) + view
        return cls(name, original.source, view, original.text, original.embodiment, original)

    def play(self) -> Iterator[Moment]:
        return self.original.play()


@dataclass(frozen=True)
class SourceOptions:
    """What sources do not say themselves."""

    views: tuple[str, ...] = ()  # only these cameras, NAME or NAME=CAMERA; all when none is named
    text: str = ""  # what is done, for recordings that do not say
    embodiment: str = ""  # who does it, for sources that do not say; "human" or a robot's name
    frame_hz: float = 30.0  # rate of numbered frames whose folder holds no fps.txt [Hz]
    step_hz: float = 0.0  # rate of RLDS steps [Hz]; 0: that of the data set, if it is a known one

    def __post_init__(self) -> None:
        if not (0 < self.frame_hz < inf and 0 <= self.step_hz < inf):
            raise SpecError(f"frame_hz {self.frame_hz}, step_hz {self.step_hz}; expected rates [Hz] above 0")
        camera_map(self.views)


@dataclass
class Source:
    """problems: what of it cannot be used, and why."""

    recordings: list[Recording] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
