"""IQL on action chunks (Kostrikov et al. 2110.06169): the best that the data did, never asking about anything else.

V(s) is an upper expectile, over the data's chunks, of Q(s, a); Q(s, a) is the
reward of the chunk plus the discounted V(s'). tau = 1/2 is the value of the
data's behaviour; tau -> 1 that of the best behaviour the data holds, if the
outcome of a chunk is certain. No policy is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vgps_models.critics.base import Batch, Learner, LearnerConfig, target_of
from vgps_models.critics.network import CriticConfig, VEnsemble


@dataclass(frozen=True)
class IQLConfig(LearnerConfig):
    """Settings of the loss."""

    expectile: float = 0.7  # tau; 1/2 averages the data's chunks, towards 1 takes the best of them
    clipped: bool = False  # every V looks up to the smallest target Q instead of to its own head's


class IQL(Learner):
    """A Q ensemble with a target, and a V for every head."""

    config: IQLConfig

    def __init__(self, model: CriticConfig, config: IQLConfig) -> None:
        super().__init__(model, config)
        self.target = target_of(self.net)
        self.value = VEnsemble(model)

    def pairs(self):
        return [(self.net, self.target)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config, head = self.config, self.net.head

        # V: expectile regression to the target Q of what was done, 2110.06169 eq. 5.
        with torch.no_grad():
            q_target = self.target(batch.features, batch.sentence, batch.chunk[:, None])[..., 0]  # (E, B)
            if config.clipped:
                q_target = q_target.amin(0).expand_as(q_target)
        raw_v = self.value.raw(batch.features, batch.sentence)
        v = head.value(raw_v)
        value = (expectile_weight(q_target - v, config.expectile) * head.misfit(raw_v, q_target)).mean()

        # Q: regression to r + gamma^n V(s'), 2110.06169 eq. 6.
        with torch.no_grad():
            y = batch.reward + batch.discount * self.value(batch.next_features, batch.sentence)
        raw_q = self.net.raw(batch.features, batch.sentence, batch.chunk[:, None])[:, :, 0]
        td = head.misfit(raw_q, y).mean()

        wrong = self.wrong_instruction(batch)
        loss = td + value + config.wrong_weight * wrong.get("wrong", 0.0)
        parts = {"td": td, "value": value, "q_data": head.value(raw_q).mean(), "v_data": v.mean()}
        return {"loss": loss} | parts | wrong


def expectile_weight(above: Tensor, tau: float) -> Tensor:
    """|tau - 1(u < 0)|, constant. u: target minus value.

    Times a square this is 2110.06169 eq. 3. Times the cross-entropy of a histogram it has the same
    minimum: the best histogram is the weighted mean of the labels, and its mean the expectile.
    """
    return torch.where(above < 0, 1.0 - tau, tau).detach()
