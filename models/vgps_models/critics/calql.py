"""Cal-QL on action chunks (Nakamoto et al. 2303.05479): CQL whose pessimism stops at the return the data really had.

V-GPS (2410.13816) uses it to rank the samples of a frozen policy; so do we, and
the "actor" that the backup and the pessimism ask for actions is that frozen
policy, sampled beforehand. It differs from `cql.py` by the calibration alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vgps_models.critics.base import Batch
from vgps_models.critics.cql import CQL, CQLConfig, conservatism, soft_maximum


@dataclass(frozen=True)
class CalQLConfig(CQLConfig):
    """Settings of the loss."""


class CalQL(CQL):
    """A Q ensemble and its target; proposals and Bellman target are CQL's."""

    config: CalQLConfig

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config, head = self.config, self.net.head
        raw, uniform = self.scored(batch)
        raw_data, raw_others = raw[:, :, 0], raw[:, :, 1:]
        q_data, q_others = head.value(raw_data), head.value(raw_others)

        # Bellman error, every head against its own target.
        td = head.misfit(raw_data, self.td_target(batch)).mean()

        # 2303.05479 eq. 5.1: push down a soft maximum, but no policy chunk below the return that the data got.
        floor = batch.mc_return[:, None].expand(q_others.shape[1:]).clone()
        floor[:, :uniform] = -math.inf
        calibrated = torch.maximum(q_others, floor)
        conservative = conservatism(head, raw_data, raw_others, calibrated.softmax(-1) * (q_others > floor))

        wrong = self.wrong_instruction(batch)
        loss = td + config.alpha * conservative + config.wrong_weight * wrong.get("wrong", 0.0)
        parts = {
            "td": td,
            "gap": (soft_maximum(calibrated) - q_data).mean(),
            "q_data": q_data.mean(),
            "q_policy": q_others[..., uniform:].mean(),
            "q_random": q_others[..., :uniform].mean(),
            "calibrated": (q_others < floor)[..., uniform:].float().mean(),
        }
        return {"loss": loss} | parts | wrong
