"""Clips that an estimator must not be taken in by, made from clips that it should like.

Each control breaks one thing that a value ought to depend on. Whoever cannot tell them from the real thing
judges something else than progress: the place in the list, the look of a hand, the plausibility of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.progress.estimate import Clip
from vgps_models.progress.measures import Curve

KEPT = (0.3, 0.6)  # share of a truncated clip that is left


@dataclass(frozen=True)
class Control:
    """name; what: in words; measure: the number of `Curve` that must be lower than of the genuine clip."""

    name: str
    what: str
    measure: str

    def number(self, curve: Curve) -> float:
        return float(getattr(curve, self.measure))


CONTROLS: dict[str, Control] = {
    c.name: c
    for c in (
        Control("reversed", "the clip backwards", "voc"),
        Control("frozen", "one moment of it, held", "voc"),
        Control("truncated", "its first third to two thirds", "final"),
        Control("wrong_instruction", "the clip under the instruction of another task", "final"),
        Control("other_episode", "its first frame, then an episode of another task", "final"),
    )
}


def make(name: str, clip: Clip, other: Clip, random: np.random.Generator) -> Clip:
    """The control of that name. other: a clip of another task. Raises KeyError for an unknown name."""
    count = len(clip)
    if name == "reversed":
        return clip.take(np.arange(count)[::-1])
    if name == "frozen":
        return clip.take(np.full(count, random.integers(count)))
    if name == "truncated":
        return clip.take(np.arange(max(2, round(count * random.uniform(*KEPT)))))
    if name == "wrong_instruction":
        return Clip(clip.views, other.task)
    if name == "other_episode":
        views = {camera: np.concatenate([images[:1], other.views[camera][1:]]) for camera, images in clip.views.items()}
        return Clip(views, clip.task)
    raise KeyError(name)
