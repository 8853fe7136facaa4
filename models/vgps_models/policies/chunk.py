"""A policy ready to run: encoder, network and the action they were trained on."""

from __future__ import annotations

import numpy as np
import torch

from vgps_models.errors import SpecError
from vgps_models.perception.runtime import Perception
from vgps_models.policies.base import Proposal
from vgps_models.policies.network import ChunkNet
from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation, noise


class ChunkPolicy:
    """A `Policy` of any architecture."""

    def __init__(self, perception: Perception, net: ChunkNet, spec: ActionSpec, normaliser: Normaliser) -> None:
        if net.config.chunk != spec.horizon * len(spec.names):
            raise SpecError(
                f"policy makes {net.config.chunk} numbers, but a chunk has {spec.horizon} x {len(spec.names)}"
            )
        self.perception, self.net = perception, net.eval().requires_grad_(False)
        self.spec, self.normaliser = spec, normaliser

    @torch.inference_mode()
    def sample(self, observation: Observation, k: int) -> Proposal:
        """K executable chunks (K, H, 7): metric, gripper 0 or 1."""
        if k < 1:
            raise SpecError(f"a policy samples at least one chunk, not {k}")
        seen = self.perception(observation)
        start = torch.from_numpy(noise(observation.key, (k, self.net.noise_width)))[None]
        chunks, log_prob = self.net.draw(start, seen.features, seen.sentence)
        return Proposal(self.metric(chunks[0].numpy()), None if log_prob is None else log_prob[0].double().numpy())

    def metric(self, normalised: np.ndarray) -> Array:
        """Normalised (..., H * 7) -> executable (..., H, 7)."""
        chunks = normalised.astype(np.float64).reshape(*normalised.shape[:-1], self.spec.horizon, -1)
        return self.spec.clip(self.normaliser.denormalise(chunks))
