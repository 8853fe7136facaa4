"""VLM-RM as an estimator: every moment by itself, its reward read as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.progress.estimate import Clip, Estimate, Example, Floats, Images
from vgps_models.progress.vlmrm.encoding import ImageText
from vgps_models.progress.vlmrm.openclip import OpenCLIPConfig
from vgps_models.progress.vlmrm.prompts import Prompts
from vgps_models.progress.vlmrm.reward import rewards

WHOLE = (-1.0, 1.0)  # where rewards can lie


@dataclass(frozen=True)
class VLMRMConfig:
    """Templates may use {task}, and of instructions like "put the spoon on the towel" {thing}, {link} and {target}."""

    encoder: Literal["own", "open_clip"] = "own"  # our own small model, made for the simulator | a CLIP-like one
    checkpoint: str = "imagetext"  # of own: a path or a shipped name
    open_clip: OpenCLIPConfig = field(default_factory=OpenCLIPConfig)
    alpha: float = 0.25  # how much of what lies off the line from baseline to goal is left out; 0: plain cosine
    goals: tuple[str, ...] = ()  # templates of the goal; empty: what the encoder understands best
    baselines: tuple[str, ...] = ()  # templates of the state before; empty: what the encoder understands best
    baseline_of: Mapping[str, str] = field(default_factory=dict)  # task -> its baseline in words, before all templates

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise DataError(f"alpha is {self.alpha}; expected 0 (plain cosine) to 1 (only along the line to the goal)")


class VLMRM:
    """Values are rewards between the two that stand for 0 and for 1: those that were fitted for the encoder, or, with
    other words, another alpha or another model, all that rewards can be. Only the first come with a threshold."""

    def __init__(self, model: ImageText, config: VLMRMConfig | None = None) -> None:
        config = config or VLMRMConfig(alpha=model.fitted.alpha if model.fitted else VLMRMConfig.alpha)
        self.config, self.model = config, model
        self.prompts = Prompts(
            config.goals or model.prompts.goals, config.baselines or model.prompts.baselines, model.prompts.otherwise
        )
        own = self.prompts == model.prompts and not config.baseline_of
        fitted = model.fitted if own and model.fitted and model.fitted.alpha == config.alpha else None
        self.low, self.high = (fitted.low, fitted.high) if fitted else WHOLE
        self.threshold = fitted.threshold if fitted else None
        self.source = f"vlmrm:{model.name}:alpha={config.alpha:g}"
        self._told: dict[str, tuple[Floats, Floats]] = {}

    def estimate(self, clip: Clip, context: Sequence[Example] = ()) -> Estimate:
        """Context is refused: a distance to a sentence learns nothing from examples."""
        if len(context):
            raise DataError("VLM-RM takes no examples: it measures how near an image is to a sentence")
        values, spread = self.judge(clip.views, clip.task)
        return Estimate(values, spread, self.source)

    def judge(self, views: Mapping[str, Images], task: str) -> tuple[Floats, Floats]:
        """Mean and standard deviation over looks and prompts, (T,) each. views: camera -> (T, H, W, 3) uint8 RGB."""
        goals, baselines = self._words(task)
        which = _moments(views)
        first = np.flatnonzero(np.diff(which, prepend=-1))
        seen = self.model.see({camera: images[first] for camera, images in views.items()})
        made = rewards(seen, goals, baselines, self.config.alpha)[:, which]
        values = np.clip((made - self.low) / (self.high - self.low), 0.0, 1.0)
        return values.mean(axis=0), values.std(axis=0)

    def _words(self, task: str) -> tuple[Floats, Floats]:
        if task not in self._told:
            goals, baselines = self.prompts.of(task)
            if task in self.config.baseline_of:
                baselines = (self.config.baseline_of[task],)
            self._told[task] = self.model.read(goals), self.model.read(baselines)
        return self._told[task]


def _moments(views: Mapping[str, Images]) -> NDArray[np.intp]:
    """Number of the moment that each frame shows; frames that repeat the one before show the same. (T,).

    Rounding differs from place to place in a batch, and would put the frames of a picture that stands still in order.
    """
    changed = [(images[1:] != images[:-1]).any(axis=(1, 2, 3)) for images in views.values()]
    return np.concatenate([[0], np.cumsum(np.any(changed, axis=0))]).astype(np.intp)
