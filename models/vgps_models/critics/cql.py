"""CQL on action chunks (Kumar et al. 2006.04779): TD learning with a pessimism about what the data did not do.

The "actor" that the backup and the pessimism ask for actions is the frozen
policy that will be steered, sampled beforehand. Q lower-bounds that policy's
value (2006.04779, theorem 3.2), the more so the larger alpha is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vgps_models.critics.base import Backup, Batch, Learner, LearnerConfig, Needs, backup_value, target_of
from vgps_models.critics.heads import Head
from vgps_models.critics.network import CriticConfig


@dataclass(frozen=True)
class CQLConfig(LearnerConfig):
    """Settings of the loss."""

    alpha: float = 1.0  # weight of the conservative term; 0 leaves plain Q-learning over the policy's samples
    random_chunks: int = 2  # uniform chunks in the conservative term
    policy_chunks: int = 3  # policy samples at s, and as many from s', in the conservative term
    backup_chunks: int = 4  # policy samples at s' that the backup maximises over, M
    backup: Backup = "mean"  # which target ranks and values them: each head's own, the mean, or the smallest

    @property
    def needs(self) -> Needs:
        return Needs(self.random_chunks, self.policy_chunks, max(self.backup_chunks, self.policy_chunks))


class CQL(Learner):
    """A Q ensemble and its target."""

    config: CQLConfig

    def __init__(self, model: CriticConfig, config: CQLConfig) -> None:
        super().__init__(model, config)
        self.target = target_of(self.net)

    def pairs(self):
        return [(self.net, self.target)]

    @torch.no_grad()
    def td_target(self, batch: Batch) -> Tensor:
        """y_e = sum_i gamma^i r_i + gamma^n max_m Qbar_e(s', a'_m), a'_m ~ frozen policy. Shape (E, B)."""
        chunks = batch.next_chunks[:, : self.config.backup_chunks]
        q = self.target(batch.next_features, batch.sentence, chunks)  # (E, B, M)
        return batch.reward + batch.discount * backup_value(q, self.config.backup)

    def scored(self, batch: Batch) -> tuple[Tensor, int]:
        """Raw outputs (E, B, 1 + ..., outputs) at s of [data | uniform | pi(s) | pi(s')], and how many are uniform."""
        there = batch.next_chunks[:, : self.config.policy_chunks]
        chunks = torch.cat([batch.chunk[:, None], batch.uniform_chunks, batch.policy_chunks, there], dim=1)
        return self.net.raw(batch.features, batch.sentence, chunks), batch.uniform_chunks.shape[1]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config, head = self.config, self.net.head
        raw, uniform = self.scored(batch)
        raw_data, raw_others = raw[:, :, 0], raw[:, :, 1:]
        q_data, q_others = head.value(raw_data), head.value(raw_others)

        # Bellman error, every head against its own target. 2006.04779 eq. 4 has a square; a histogram head
        # takes a cross-entropy instead, as CQL does with categorical returns in 2211.15144.
        td = head.misfit(raw_data, self.td_target(batch)).mean()

        # CQL(H), 2006.04779 eq. 4: push down a soft maximum, hold up the data.
        conservative = conservatism(head, raw_data, raw_others, weights=q_others.softmax(-1))

        wrong = self.wrong_instruction(batch)
        loss = td + config.alpha * conservative + config.wrong_weight * wrong.get("wrong", 0.0)
        parts = {
            "td": td,
            "gap": (soft_maximum(q_others) - q_data).mean(),
            "q_data": q_data.mean(),
            "q_policy": q_others[..., uniform:].mean(),
            "q_random": q_others[..., :uniform].mean(),
        }
        return {"loss": loss} | parts | wrong


def soft_maximum(q: Tensor) -> Tensor:
    """log of the mean of exp(Q) over the chunks proposed at a state (E, B, .). Shape (E, B).

    The importance weights of 2006.04779 app. F need the policy's density, which a flow does not give
    cheaply; without them this is the same soft maximum over a proposal of part uniform, part policy chunks.
    """
    return torch.logsumexp(q, dim=-1) - math.log(q.shape[-1])


def conservatism(head: Head, raw_data: Tensor, raw_others: Tensor, weights: Tensor) -> Tensor:
    """The gradient of soft_maximum(Q of others) - Q of data, for either head.

    weights (E, B, .): derivatives of the soft maximum by what it is taken over. A linear term in Q, as
    published, has no meaning for a histogram: how far it moves the mean depends on how wide the histogram
    happens to be, and Q is no lower bound any more. Pulling by steps keeps CQL's fixed point (`Head.pull`).
    """
    pushed = (weights.detach() * head.pull(raw_others, -1)).sum(-1)
    return (pushed + head.pull(raw_data, 1)).mean()
