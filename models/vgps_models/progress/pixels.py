"""Images of a clip as one of our own encoders wants them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgps_models.errors import DataError
from vgps_models.perception.encoder import EncoderConfig
from vgps_models.perception.views import ViewsConfig
from vgps_models.progress.estimate import Images


def stacked(views: Mapping[str, Images], config: EncoderConfig | ViewsConfig, who: str) -> Tensor:
    """(T, V, s, s, 3) uint8, resized where the cameras have another resolution; more cameras may be there.

    who: needs them, for the DataError about a camera that is missing.
    """
    if missing := [name for name in config.cameras if name not in views]:
        raise DataError(
            f"the clip has cameras {sorted(views)}; {who} needs {missing} too: give --cameras with all that it needs, "
            f"such as {' '.join(f'{name}=CAMERA' for name in config.cameras)}"
        )
    return torch.stack([resized(views[name], config.image_size) for name in config.cameras], dim=1)


def resized(images: Images, size: int) -> Tensor:
    """(T, H, W, 3) uint8 -> (T, size, size, 3), of the largest square in the middle."""
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return torch.from_numpy(np.ascontiguousarray(images))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(images[:, top : top + side, left : left + side].astype(np.float32)).permute(0, 3, 1, 2)
    small = F.interpolate(square, (size, size), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
