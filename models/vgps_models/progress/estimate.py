"""The one interface of every estimator of progress: a clip and examples in, a value for every frame out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError

Floats = NDArray[np.float64]
Images = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Clip:
    """T moments of one episode in the order of time; the first is the episode's first.

    views: camera -> images, (T, H, W, 3) uint8. Sizes may differ from camera to camera.
    task: what was to be done, in words.
    """

    views: Mapping[str, Images]
    task: str

    def __post_init__(self) -> None:
        if not self.views:
            raise DataError("a clip needs images of at least one camera")
        lengths = {}
        for name, images in self.views.items():
            if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or 0 in images.shape:
                raise DataError(f"camera '{name}' has {images.dtype} {images.shape}; expected uint8 (T, H, W, 3)")
            lengths[name] = len(images)
        if len(set(lengths.values())) > 1:
            raise DataError(f"cameras differ in their number of frames: {lengths}")
        if not self.task.strip():
            raise DataError("a clip needs a task: what was to be done, in words")

    def __len__(self) -> int:
        return len(next(iter(self.views.values())))

    def shown(self, picture: Callable[[Images], Any]) -> list[list[Any]]:
        """What shows each moment to a model: a picture of every view, after its name if there are several.

        picture: makes one of an image (H, W, 3); called once an image.
        """
        moments: list[list[Any]] = [[] for _ in range(len(self))]
        for name, images in self.views.items():
            for parts, image in zip(moments, images, strict=True):
                parts += [f"({name} camera)", picture(image)] if len(self.views) > 1 else [picture(image)]
        return moments

    def take(self, index: NDArray[np.intp] | Sequence[int]) -> Clip:
        """The moments of these indices, in this order."""
        return Clip({name: images[np.asarray(index)] for name, images in self.views.items()}, self.task)


@dataclass(frozen=True, eq=False)
class Example:
    """A clip whose progress is known, to show an estimator what is meant. values: in [0, 1], (T,)."""

    clip: Clip
    values: Floats

    def __post_init__(self) -> None:
        if np.shape(self.values) != (len(self.clip),) or not ((self.values >= 0) & (self.values <= 1)).all():
            raise DataError(f"an example of {len(self.clip)} frames needs as many values in [0, 1]")


@dataclass(frozen=True)
class Usage:
    """What an estimate has cost.

    cached: requests that were answered from the cache, for nothing. estimated: requests of which the endpoint did not
    report the tokens, so that they and their cost are estimates.
    """

    requests: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    estimated: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __str__(self) -> str:
        """As commands print it: "3 requests, 0.0061 USD"."""
        doubt = f" (tokens of {self.estimated} estimated: the endpoint does not report them)" if self.estimated else ""
        return f"{self.requests} requests, {self.cost_usd:.4f} USD{doubt}"


@dataclass(frozen=True, eq=False)
class Estimate:
    """Progress of every frame of a clip.

    values: fraction of the task that is done, in [0, 1]; NaN where there is no answer. Shape (T,).
    spread: standard deviation over repeated estimates; 0 for a single one, NaN where there is none. Shape (T,).
    source: which estimator and model.
    failures: why an answer could not be used, one entry each; such answers take no part in `values`.
    asked: answers that were asked for; the failure rate is len(failures) / asked.
    """

    values: Floats
    spread: Floats
    source: str
    usage: Usage = field(default_factory=Usage)
    failures: tuple[str, ...] = ()
    asked: int = 1

    @property
    def failed(self) -> bool:
        """Whether there is no answer at all."""
        return bool(np.isnan(self.values).all())


class Estimator(Protocol):
    """Anything that says how far along a clip is."""

    source: str

    def estimate(self, clip: Clip, context: Sequence[Example] = ()) -> Estimate:
        """context: examples of the same or another task, arm or view; estimators that learn nothing from them may not
        be given any."""
        ...


def spaced(frames: int, count: int) -> NDArray[np.intp]:
    """Indices of `count` moments evenly spread over an episode of `frames`, the first and the last among them.

    All of them when there are not more. Raises DataError for an episode of one frame or none, of which no
    progress can be told.
    """
    if frames < 2 or count < 2:
        raise DataError(f"progress needs two frames or more, not {count} of {frames}")
    return np.unique(np.linspace(0, frames - 1, min(count, frames)).round().astype(np.intp))
