"""Cal-QL on action chunks (Nakamoto et al. 2303.05479): CQL whose pessimism stops at the return the data really had.

V-GPS (2410.13816) uses it to rank the samples of a frozen policy; so do we, and
the "actor" that the backup and the pessimism ask for actions is that frozen
policy, sampled beforehand. It differs from `cql.py` by the calibration alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vgps_models.critics.base import Batch
from vgps_models.critics.cql import CQL, CQLConfig, soft_maximum


@dataclass(frozen=True)
class CalQLConfig(CQLConfig):
    """Settings of the loss."""


class CalQL(CQL):
    """A Q ensemble and its target; proposals and Bellman target are CQL's."""

    config: CalQLConfig

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        raw, q_data, q_uniform, q_policy = self.scored(batch)

        # Bellman error, every head against its own target.
        td = self.net.head.misfit(raw, self.td_target(batch)).mean()

        # 2303.05479 eq. 5.1: push down a soft maximum, but no policy chunk below the return that the data got.
        bound = batch.mc_return[:, None]
        conservative = (soft_maximum(q_uniform, torch.maximum(q_policy, bound)) - q_data).mean()

        wrong = self.wrong_instruction(batch)
        loss = td + config.alpha * conservative + config.wrong_weight * wrong.get("wrong", 0.0)
        parts = {
            "td": td,
            "conservative": conservative,
            "q_data": q_data.mean(),
            "q_policy": q_policy.mean(),
            "q_random": q_uniform.mean(),
            "calibrated": (q_policy < bound).float().mean(),
        }
        return {"loss": loss} | parts | wrong
