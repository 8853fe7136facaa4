"""Unsupervised perceptual rewards (Sermanet et al. 1612.06699), over points in space.

A handful of demonstrations is split into steps (`steps.py`), and what tells each step from the others becomes its
reward. No policy tries anything out and nothing is trained by gradients: it takes a second.

- A number of a geometry tells a step from the rest when its mean inside, mu+, is far from its mean outside, mu-, for
  how much it varies there: z = alpha |mu+ - mu-| - (sigma+ + sigma-). The best are kept.
- A step's reward is how likely naive Bayes, with a Gaussian for each number, finds a moment of it.
- A later step is worth twice the one before: R = sum of 2^(k - 1) R_k over steps k = 2 to n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from vgps_models.errors import DataError, SpecError
from vgps_models.irl.learned import Arrays, LearnedReward, Scale, Span
from vgps_models.irl.steps import Ints, steps_of
from vgps_models.irl.tracks import Track, alike, geometry_names
from vgps_models.spaces import Array

FEWEST = 2  # demonstrations: in one alone nothing varies that does not matter
BLUR = 0.1  # added to deviations within a step: another body does not do it quite as precisely


@dataclass(frozen=True)
class PerceptualConfig:
    steps: int = 4  # of the task; the first is what things are like before anything was done, and worth nothing
    shortest: int = 5  # moments of a step
    kept: int = 18  # numbers of a geometry that a step is told by
    alpha: float = 5.0  # how much being far apart counts against varying

    def __post_init__(self) -> None:
        if not (self.steps >= 2 and self.shortest >= 1 and self.kept >= 1 and self.alpha > 0):
            raise SpecError(f"{self}: expected two steps or more, shortest and kept >= 1, alpha > 0")


@dataclass(frozen=True, eq=False)
class Steps:
    """What each of K steps is told by; the first of the task is not among them. All (K, M).

    which: numbers of the geometry, from 0. usual, spread: their means and deviations within the step, spread above 0.
    """

    which: Ints
    usual: Array
    spread: Array

    def __post_init__(self) -> None:
        found = [array.shape for array in self.arrays.values()]
        if self.which.ndim != 2 or 0 in self.which.shape or len(set(found)) != 1:
            raise DataError(f"steps of shapes {found}; expected (K, M) of all")
        if self.which.dtype.kind != "i" or not np.isfinite([self.usual, self.spread]).all() or self.spread.min() <= 0:
            raise DataError("steps must be told by whole numbers, be finite, and have a spread above 0")

    @classmethod
    def told_apart(cls, features: Array, step: Ints, config: PerceptualConfig) -> Steps:
        """Of moments (N, D) and the step (N,) that each belongs to, counted from 0."""
        rows = list[tuple[Ints, Array, Array]]()
        for k in range(1, config.steps):
            inside, outside = features[step == k], features[step != k]
            usual, spread = inside.mean(0), inside.std(0) + BLUR
            z = config.alpha * np.abs(usual - outside.mean(0)) - (spread + outside.std(0))
            best = np.argsort(-z, kind="stable")[: config.kept]
            rows.append((best, usual[best], spread[best]))
        return cls(*(np.stack(column) for column in zip(*rows, strict=True)))

    @property
    def arrays(self) -> Arrays:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def rewards(self, features: Array) -> Array:
        """Of every step at moments (T, D): (T, K), 1 where all is as usual in the step.

        The product of M Gaussians, to the power of 1 / M: they tell much the same, so that together they count as one.
        """
        away = (features[:, self.which] - self.usual) / self.spread
        return np.exp(-0.5 * np.square(away).mean(-1))


class PerceptualReward(LearnedReward):
    kind = "perceptual"

    def __init__(self, task: str, names: tuple[str, ...], scale: Scale, steps: Steps, span: Span = (-1.0, 0.0)) -> None:
        super().__init__(task, names, scale, span)
        if not 0 <= steps.which.min() <= steps.which.max() < len(scale.mean):
            raise DataError(f"steps read numbers of a geometry that has only {len(scale.mean)}")
        self.steps = steps

    def values(self, geometry: Array) -> Array:
        rewards = self.steps.rewards(geometry)
        return rewards @ 2.0 ** np.arange(1, rewards.shape[1] + 1)

    def kept(self) -> tuple[Arrays, dict[str, Any]]:
        every = geometry_names(self.names)
        numbers = [every[i] for i in self.scale.columns]
        return self.steps.arrays, {"reads": [[numbers[i] for i in which] for which in self.steps.which]}

    @classmethod
    def restored(
        cls, task: str, names: tuple[str, ...], scale: Scale, span: Span, arrays: Arrays,
        settings: Mapping[str, Any],
    ) -> PerceptualReward:  # fmt: skip
        return cls(task, names, scale, Steps(**arrays), span)


def perceive(
    demonstrations: Sequence[Track], config: PerceptualConfig = PerceptualConfig(), reads: str = "all"
) -> PerceptualReward:
    """Learn from a few demonstrations of one task; reads: see `Scale.of`.

    Raises DataError when they are too few, too short or differ.
    """
    task, names = alike(demonstrations)
    if len(demonstrations) < FEWEST:
        raise DataError(f"one demonstration is too few to tell what matters; show {FEWEST} or more")
    scale = Scale.of(demonstrations, reads)
    moments = [scale(track.geometry) for track in demonstrations]
    bounds = steps_of(moments, config.steps, config.shortest)
    step = np.concatenate([np.repeat(np.arange(config.steps), np.diff(b)) for b in bounds])
    steps = Steps.told_apart(np.concatenate(moments), step, config)
    return PerceptualReward(task, names, scale, steps).spanned(demonstrations)
