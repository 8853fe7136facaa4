"""Our own small image-text model, ready to run: both views in one look, some eight milliseconds a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from vgps_models.perception.runtime import Perception
from vgps_models.progress.estimate import Floats, Images
from vgps_models.progress.pixels import stacked
from vgps_models.progress.vlmrm.encoding import Fitted
from vgps_models.progress.vlmrm.network import ImageTextNet
from vgps_models.progress.vlmrm.prompts import Prompts

BATCH = 16  # moments that are encoded at a time: more do not fit the cache of a core
PROMPTS = Prompts(("{task}",), ("still to do: {task}", "not done yet: {task}"))


class OwnModel:
    """An `ImageText` out of the frozen encoder and the net on top of it."""

    prompts = PROMPTS

    def __init__(self, perception: Perception, net: ImageTextNet, name: str, fitted: Fitted | None = None) -> None:
        self.perception, self.net = perception, net.eval().requires_grad_(False)
        self.name, self.fitted = name, fitted
        self._probes = torch.from_numpy(perception.language.table(net.config.probes))

    @torch.inference_mode()
    def see(self, views: Mapping[str, Images]) -> Floats:
        """(1, T, D); DataError when a camera is missing."""
        images = stacked(views, self.perception.config, "the image-text model")
        seen = [self.net.see(self.perception.probe(some, self._probes)) for some in images.split(BATCH)]
        return torch.cat(seen)[None].double().numpy()

    @torch.inference_mode()
    def read(self, sentences: Sequence[str]) -> Floats:
        return self.net.read(torch.from_numpy(self.perception.language.table(sentences))).double().numpy()
