"""Cal-QL on action chunks: one file, top to bottom.

Cal-QL (Nakamoto et al. 2303.05479) is CQL (Kumar et al. 2006.04779) whose
pessimism stops at the return the data really had. V-GPS (2410.13816) uses it to
rank the samples of a frozen policy; so do we, and the "actor" that the backup
and the pessimism ask for actions is that frozen policy, sampled beforehand.

Reward is -1 a control step and 0 on the step that succeeds, so Q lies in
[-1 / (1 - gamma), 0] and tells how many steps are left, discounted.

Notation: s state features, l sentence, a chunk of H actions, s' the state n
steps later (n = H unless the episode ends), E heads, M policy samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vgps_models.critics.network import QEnsemble
from vgps_models.spaces import ACTION_NAMES, GRIPPER

Backup = Literal["per_head", "mean", "min"]


@dataclass(frozen=True)
class CalQLConfig:
    """Settings of the loss."""

    gamma: float = 0.98  # discount a control step
    alpha: float = 1.0  # weight of the conservative term
    random_chunks: int = 2  # uniform chunks in the conservative term
    policy_chunks: int = 3  # policy samples at s, and as many from s', in the conservative term
    backup_chunks: int = 4  # policy samples at s' that the backup maximises over, M
    backup: Backup = "mean"  # which target ranks and values them: each head's own, the mean, or the smallest
    polyak: float = 0.005  # step of the target network a training step
    wrong_weight: float = 0.5  # weight of the wrong-instruction loss; 0 leaves it out

    @property
    def never(self) -> float:
        """Return of never succeeding: -1 for ever."""
        return -1.0 / (1.0 - self.gamma)


@dataclass(frozen=True, eq=False)
class Batch:
    """B transitions of one chunk each; chunks normalised and flat (D = H * 7).

    features (B, F), sentence (B, 384), chunk (B, D), reward (B,): discounted sum over the n steps.
    discount (B,): gamma^n, or 0 when the chunk ended in success.
    next_features (B, F): at s'. next_chunks (B, M, D): policy samples there. policy_chunks (B, M', D): at s.
    mc_return (B,): what the data got from s on; `never` when the episode failed.
    wrong_features (W, F), wrong_sentence (W, 384), wrong_chunk (W, D): the same frames under an instruction
        that is not the one followed. W may be 0.
    """

    features: Tensor
    sentence: Tensor
    chunk: Tensor
    reward: Tensor
    discount: Tensor
    next_features: Tensor
    next_chunks: Tensor
    policy_chunks: Tensor
    mc_return: Tensor
    wrong_features: Tensor
    wrong_sentence: Tensor
    wrong_chunk: Tensor


@torch.no_grad()
def td_target(target: QEnsemble, batch: Batch, config: CalQLConfig) -> Tensor:
    """y_e = sum_i gamma^i r_i + gamma^n max_m Qbar_e(s', a'_m), a'_m ~ frozen policy. Shape (E, B)."""
    q = target(batch.next_features, batch.sentence, batch.next_chunks)  # (E, B, M)
    return batch.reward + batch.discount * backup_value(q, config.backup)


def backup_value(q: Tensor, backup: Backup) -> Tensor:
    """Value of a state from its candidates' scores (E, B, M). Shape (E, B).

    per_head: every head maximises for itself, so heads stay independent and optimistic.
    mean: one choice by the ensemble's mean, then each head's own value of it, so heads stay independent.
    min: maximum over the smallest head (clipped double Q, 1802.09477), the same for all heads.
    """
    if backup == "per_head":
        return q.amax(-1)
    if backup == "mean":
        best = q.mean(0).argmax(-1)  # (B,)
        return q.gather(-1, best.expand(len(q), -1)[..., None])[..., 0]
    return q.amin(0).amax(-1).expand(len(q), -1)


def losses(
    net: QEnsemble, target: QEnsemble, batch: Batch, config: CalQLConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """The loss to minimise under "loss", and its parts for the log."""
    size, width = batch.chunk.shape
    y = td_target(target, batch, config)

    # All chunks to be scored at s, in one product: [data | uniform | pi(s) | pi(s')].
    uniform = torch.rand(size, config.random_chunks, width, generator=generator) * 2 - 1
    grippers = slice(GRIPPER, None, len(ACTION_NAMES))
    uniform[..., grippers] = uniform[..., grippers].sign()  # only open or closed is ever scored
    here = batch.policy_chunks[:, : config.policy_chunks]
    there = batch.next_chunks[:, : config.policy_chunks]
    q = net(batch.features, batch.sentence, torch.cat([batch.chunk[:, None], uniform, here, there], dim=1))
    q_data, q_uniform, q_policy = q.split([1, config.random_chunks, here.shape[1] + there.shape[1]], dim=-1)
    q_data = q_data[..., 0]  # (E, B)

    # Bellman error: plain mean square, every head against its own target.
    td = (q_data - y).square().mean()

    # CQL(H), 2006.04779 eq. 4: push down a soft maximum, hold up the data. The importance weights of
    # 2006.04779 app. F need the policy's density, which a flow does not give cheaply; without them this
    # is the same soft maximum over a proposal of half uniform, half policy chunks.
    # Cal-QL, 2303.05479 eq. 5.1: policy chunks are not pushed below the return the data got.
    calibrated = torch.maximum(q_policy, batch.mc_return[:, None])
    pushed = torch.cat([q_uniform, calibrated], dim=-1)
    soft_maximum = torch.logsumexp(pushed, dim=-1) - math.log(pushed.shape[-1])
    conservative = (soft_maximum - q_data).mean()

    loss = td + config.alpha * conservative
    parts = {
        "td": td,
        "conservative": conservative,
        "q_data": q_data.mean(),
        "q_policy": q_policy.mean(),
        "q_random": q_uniform.mean(),
        "calibrated": (q_policy < batch.mc_return[:, None]).float().mean(),
    }
    if len(batch.wrong_chunk) and config.wrong_weight > 0:
        # What was done does not do what these words ask: -1 for ever, so its value is known.
        q_wrong = net(batch.wrong_features, batch.wrong_sentence, batch.wrong_chunk[:, None])
        wrong = (q_wrong - config.never).square().mean()
        loss = loss + config.wrong_weight * wrong
        parts |= {"wrong": wrong, "q_wrong": q_wrong.mean()}
    return {"loss": loss} | {name: value.detach() for name, value in parts.items()}


@torch.no_grad()
def polyak(net: QEnsemble, target: QEnsemble, rate: float) -> None:
    """target <- (1 - rate) * target + rate * net."""
    torch._foreach_lerp_(list(target.parameters()), list(net.parameters()), rate)
