"""Values over frames of video: the network that `vgps train video` makes, and curves of a clip towards its end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vgps_models.icvf.network import MultilinearValue
from vgps_models.perception.images import ImageNet
from vgps_models.spaces import Image


class FrameEncoder(nn.Module):
    """Frames (U, s, s, 3) uint8 or float 0..255 -> (U, features)."""

    def __init__(self, image: ImageNet) -> None:
        super().__init__()
        self.image = image

    def forward(self, frames: Tensor) -> Tensor:
        return self.image(frames).float()


class FrameValues(nn.Module):
    """V(s, s+, z) over frames. Its state_dict leaves the encoder out, which a checkpoint holds already."""

    def __init__(self, net: MultilinearValue) -> None:
        """net: one whose encoder is a `FrameEncoder`."""
        super().__init__()
        self.net = net

    @property
    def image(self) -> ImageNet:
        encoder: Any = self.net.encoder
        return encoder.image

    @property
    def size(self) -> int:
        """Side of the frames it reads [px]."""
        return self.image.config.size

    def state_dict(self, *args, **kwargs):
        return {k: v for k, v in super().state_dict(*args, **kwargs).items() if not k.startswith("net.encoder.")}

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        mine = {k: v for k, v in super().state_dict().items() if k.startswith("net.encoder.")}
        return super().load_state_dict({**state_dict, **mine}, strict, assign)

    @torch.inference_mode()
    def curve(self, frames: Image, goal: Image | None = None, *, batch: int = 128) -> tuple[Tensor, Tensor]:
        """V(frame, z, z) of a clip's frames (T, s, s, 3) towards `goal` (s, s, 3), by default its last one.

        Mean and spread over heads, in units of return (-1 a frame, discounted). Shapes (T,), (T,).
        """
        towards = torch.from_numpy(frames[-1] if goal is None else goal)[None]
        parts = [self.net.value(torch.from_numpy(frames[i : i + batch]), towards) for i in range(0, len(frames), batch)]
        mean, spread = (torch.cat(each) for each in zip(*parts, strict=True))
        return mean, spread

    @torch.inference_mode()
    def embed(self, frames: Image, *, batch: int = 128) -> Tensor:
        """phi of frames (T, s, s, 3), mean over heads. Shape (T, widths[-1])."""
        parts = [self.net.encode(torch.from_numpy(frames[i : i + batch])) for i in range(0, len(frames), batch)]
        return self.net.phi(torch.cat(parts)).mean(0)
