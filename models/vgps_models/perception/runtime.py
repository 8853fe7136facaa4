"""One observation -> features, once: what policy and critic do before anything else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vgps_models.errors import SpecError
from vgps_models.perception.encoder import PROPRIO, EncoderConfig, KeypointEncoder
from vgps_models.perception.language import Language
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.spaces import Observation


@dataclass(frozen=True, eq=False)
class Seen:
    """features: (1, features of the encoder); sentence: (1, 384)."""

    features: Tensor
    sentence: Tensor


class Eyes(Protocol):
    """A frozen encoder of any kind and its sentences. `config` has `cameras`, `image_size` and `features`."""

    sha256: str
    language: Language

    @property
    def config(self) -> Any: ...

    @property
    def encoder(self) -> torch.nn.Module: ...

    def __call__(self, observation: Observation) -> Seen: ...


Encoder = KeypointEncoder | ViewsEncoder


class Perception:
    """A frozen encoder and its sentences. Remembers the last observation, so sharing it costs nothing."""

    def __init__(self, encoder: Encoder, language: Language) -> None:
        self.sha256 = weights_sha256(encoder)
        self.config = encoder.config
        self.language = language
        self.encoder = encoder  # as it was trained
        self._encoder = encoder.fast()  # as it runs
        self._last: tuple[Observation, Seen] | None = None

    @torch.inference_mode()
    def __call__(self, observation: Observation) -> Seen:
        if self._last is not None and self._last[0] is observation:
            return self._last[1]
        images, proprio = arrays(observation, self.config)
        sentence = torch.from_numpy(self.language(observation.instruction))[None]
        seen = Seen(self.batch(torch.from_numpy(images)[None], torch.from_numpy(proprio)[None], sentence), sentence)
        self._last = (observation, seen)
        return seen

    @torch.inference_mode()
    def batch(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Tensor:
        """images (B, V, s, s, 3) uint8, proprio (B, 10), sentence (B, 384) -> features (B, .)."""
        return self._encoder.encode(images, proprio, sentence)

    @torch.inference_mode()
    def look(self, images: Tensor, sentence: Tensor) -> Tensor:
        """What images alone tell: (B, V, s, s, 3) uint8, (B, 384) -> (B, looks)."""
        return self._encoder.look(images, sentence).float()

    @property
    def looks(self) -> int:
        """Numbers of `look`."""
        return self.encoder.looks

    @torch.inference_mode()
    def probe(self, images: Tensor, sentences: Tensor) -> Tensor:
        """`look` under each of several sentences: (B, V, s, s, 3) uint8, (P, 384) -> (B, P, looks)."""
        return self._encoder.probe(images, sentences).float()


def arrays(observation: Observation, config: EncoderConfig | ViewsConfig) -> tuple[np.ndarray, np.ndarray]:
    """The numbers the encoder reads: images (V, s, s, 3) uint8, proprio (10,) float32. Refuses others."""
    shape = (config.image_size, config.image_size, 3)
    views = []
    for name in config.cameras:
        image = observation.images.get(name)
        if image is None:
            raise SpecError(f"observation has cameras {sorted(observation.images)}, but the encoder needs '{name}' too")
        if image.shape != shape or image.dtype != np.uint8:
            raise SpecError(f"camera '{name}' gives {image.dtype} {image.shape}; the encoder needs uint8 {shape}")
        views.append(image)
    proprio = np.asarray(observation.proprio, np.float32)
    if proprio.shape != (PROPRIO,) or not np.isfinite(proprio).all():
        raise SpecError(f"proprio must be {PROPRIO} finite numbers, not shape {proprio.shape}: {proprio}")
    return np.stack(views), proprio


def weights_sha256(encoder: torch.nn.Module) -> str:
    """Same weights, same hash: names and bytes of every tensor in order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
