"""The learned estimator: images and a sentence in, values out, some ten milliseconds a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.progress.estimate import Clip, Estimate, Example, Floats, Images
from vgps_models.progress.learned.network import ProgressNet

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
        images = self._stack(views)
        values = []
        for some in images.split(BATCH):
            looks = self.perception.look(some, sentence.expand(len(some), -1))
            values.append(self.net.values(looks).double())
        said = torch.cat(values, dim=1).numpy()
        return said.mean(axis=0), said.std(axis=0)

    def _stack(self, views: Mapping[str, Images]) -> Tensor:
        """(T, V, s, s, 3), resized where the cameras have another resolution."""
        config = self.perception.config
        if missing := [name for name in config.cameras if name not in views]:
            raise DataError(f"the clip has cameras {sorted(views)}; the learned estimator needs {missing} too")
        return torch.stack([_resized(views[name], config.image_size) for name in config.cameras], dim=1)


def _resized(images: Images, size: int) -> Tensor:
    """(T, H, W, 3) uint8 -> (T, size, size, 3), of the largest square in the middle."""
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return torch.from_numpy(np.ascontiguousarray(images))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(images[:, top : top + side, left : left + side].astype(np.float32)).permute(0, 3, 1, 2)
    small = F.interpolate(square, (size, size), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
