"""The learned estimator: images and a sentence in, values out, some ten milliseconds a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.progress.estimate import Clip, Estimate, Example, Floats, Images
from vgps_models.progress.learned.network import ProgressNet
from vgps_models.progress.pixels import stacked

BATCH = 32  # frames that are encoded at a time


class Learned:
    """threshold: a clip whose last value is at or above it counts as a success; chosen on held-out episodes."""

    def __init__(self, perception: Perception, net: ProgressNet, *, threshold: float, name: str = "progress") -> None:
        self.perception, self.net = perception, net.eval().requires_grad_(False)
        self.threshold, self.source = threshold, f"learned:{name}"

    def estimate(self, clip: Clip, context: Sequence[Example] = ()) -> Estimate:
        """Context is refused: this estimator has learned what it knows."""
        if len(context):
            raise DataError("the learned estimator takes no examples; train it on them with `vgps train progress`")
        values, spread = self.judge(clip.views, clip.task)
        return Estimate(values, spread, self.source)

    @torch.inference_mode()
    def judge(self, views: Mapping[str, Images], task: str) -> tuple[Floats, Floats]:
        """Value and spread of every moment, each by itself. views: camera -> (T, H, W, 3) uint8 RGB; more cameras
        than the encoder needs may be there."""
        sentence = torch.from_numpy(self.perception.language(task))
        images = stacked(views, self.perception.config, "the learned estimator")
        values = []
        for some in images.split(BATCH):
            looks = self.perception.look(some, sentence.expand(len(some), -1))
            values.append(self.net.values(looks).double())
        said = torch.cat(values, dim=1).numpy()
        return said.mean(axis=0), said.std(axis=0)
