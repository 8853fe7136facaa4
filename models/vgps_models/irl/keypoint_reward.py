"""A reward that reads points in space: g of AIRL over the geometry of a hand and what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from vgps_models.irl.airl import AIRL, AIRLConfig
from vgps_models.irl.learned import Arrays, LearnedReward, Scale, Span
from vgps_models.irl.tracks import Track
from vgps_models.spaces import Array


class KeypointReward(LearnedReward):
    kind = "airl"

    def __init__(self, task: str, names: tuple[str, ...], scale: Scale, model: AIRL, span: Span = (-1.0, 0.0)) -> None:
        super().__init__(task, names, scale, span)
        self.model = model

    @classmethod
    def learned(cls, demonstrations: Sequence[Track], scale: Scale, model: AIRL) -> KeypointReward:
        """With the span of these demonstrations."""
        first = demonstrations[0]
        return cls(first.task, first.names, scale, model).spanned(demonstrations)

    @torch.no_grad()
    def values(self, geometry: Array) -> Array:
        return self.model.reward(torch.from_numpy(geometry).float()).double().numpy()

    def kept(self) -> tuple[Arrays, dict[str, Any]]:
        return {name: t.detach().numpy() for name, t in self.model.state_dict().items()}, asdict(self.model.config)

    @classmethod
    def restored(
        cls, task: str, names: tuple[str, ...], scale: Scale, span: Span, arrays: Arrays,
        settings: Mapping[str, Any],
    ) -> KeypointReward:  # fmt: skip
        model = AIRL(len(scale.mean), AIRLConfig(**{**settings, "widths": tuple(settings["widths"])}))
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return cls(task, names, scale, model, span)
