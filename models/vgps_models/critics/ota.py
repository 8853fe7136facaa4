"""Option-aware temporal abstraction (OTA; Ahn et al. 2505.12737): V learns over options, Q over one chunk from that V.

An option is what the data did for several chunks on end. Bootstrapping over
options makes the way from the end of a task to its beginning a few steps long,
so that little error adds up on it; that is for tasks of several stages. Q then
tells one chunk from another at full resolution.

The paper learns an action-free V for goals at -1 an option and draws a policy
from it. Here the reward of an option is the discounted sum of its steps' and the
discount gamma^(their number), as for any semi-Markov process, so that V and Q
are in the same unit, and Q is learned as in IQL.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vgps_models.critics.base import Batch, Learner, LearnerConfig, Needs, target_of
from vgps_models.critics.iql import expectile_weight
from vgps_models.critics.network import CriticConfig, VEnsemble


@dataclass(frozen=True)
class OTAConfig(LearnerConfig):
    """Settings of the loss."""

    expectile: float = 0.7  # tau of V over what options led to
    option: int = 3  # chunks in an option

    @property
    def needs(self) -> Needs:
        return Needs(option=self.option)


class OTA(Learner):
    """A Q ensemble, and for every head a V with a target."""

    config: OTAConfig

    def __init__(self, model: CriticConfig, config: OTAConfig) -> None:
        super().__init__(model, config)
        self.value = VEnsemble(model)
        self.target = target_of(self.value)

    def pairs(self):
        return [(self.value, self.target)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config, head = self.config, self.net.head

        # V: expectile regression to R + gamma^k Vbar(s_k) after an option of k steps, 2505.12737 sec. 4.
        with torch.no_grad():
            ahead = self.target(batch.option_features, batch.sentence)
            outcome = batch.option_reward + batch.option_discount * ahead  # (E, B)
        raw_v = self.value.raw(batch.features, batch.sentence)
        v = head.value(raw_v)
        value = (expectile_weight(outcome - v, config.expectile) * head.misfit(raw_v, outcome)).mean()

        # Q: regression to r + gamma^n V(s') after one chunk, 2110.06169 eq. 6.
        with torch.no_grad():
            y = batch.reward + batch.discount * self.value(batch.next_features, batch.sentence)
        raw_q = self.net.raw(batch.features, batch.sentence, batch.chunk[:, None])[:, :, 0]
        td = head.misfit(raw_q, y).mean()

        wrong = self.wrong_instruction(batch)
        loss = td + value + config.wrong_weight * wrong.get("wrong", 0.0)
        parts = {"td": td, "value": value, "q_data": head.value(raw_q).mean(), "v_data": v.mean()}
        return {"loss": loss} | parts | wrong
