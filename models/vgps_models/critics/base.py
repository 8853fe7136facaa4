"""What all algorithms share: the batch they learn from, their settings, targets that follow, wrong instructions.

Reward is -1 a control step and 0 on the step that succeeds, so every value lies
in [-1 / (1 - gamma), 0] and tells how many steps are left, discounted.

Notation of the algorithm files: s state features, l sentence, a chunk of H
actions, s' the state n steps later (n = H unless the episode ends), E heads, M
policy samples. Nothing here knows what an action means.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from vgps_models.critics.network import CriticConfig, Ensemble, QEnsemble
from vgps_models.errors import SpecError

Backup = Literal["per_head", "mean", "min"]
N = TypeVar("N", bound=nn.Module)


class Needs(NamedTuple):
    """What an algorithm wants in its batches."""

    uniform: int = 0  # chunks drawn uniformly from the action box, at s
    policy: int = 0  # policy samples at s
    following: int = 0  # policy samples at s'
    option: int = 0  # chunks in an option; 0 for none


@dataclass(frozen=True)
class LearnerConfig:
    """Settings that all algorithms have."""

    gamma: float = 0.98  # discount a control step
    polyak: float = 0.005  # step of the target network a training step
    wrong_weight: float = 0.5  # weight of the wrong-instruction loss; 0 leaves it out

    @property
    def never(self) -> float:
        """Return of never succeeding: -1 for ever."""
        return -1.0 / (1.0 - self.gamma)

    @property
    def needs(self) -> Needs:
        return Needs()


@dataclass(frozen=True, eq=False)
class Batch:
    """B transitions of one chunk each; chunks normalised and flat, D numbers.

    features (B, F), sentence (B, 384), chunk (B, D), reward (B,): discounted sum over the n steps.
    discount (B,): gamma^n, or 0 when the chunk ended in success.
    next_features (B, F): at s'. mc_return (B,): what the data got from s on; `never` when the episode failed.
    policy_chunks (B, `Needs.policy`, D): policy samples at s. next_chunks (B, `Needs.following`, D): at s'.
    uniform_chunks (B, `Needs.uniform`, D): anything that could be executed.
    option_reward (B,), option_discount (B,), option_features (B, F): as reward, discount and next_features, after
        an option of `Needs.option` chunks; B = 0 when it is 0.
    wrong_features (W, F), wrong_sentence (W, 384), wrong_chunk (W, D): frames under an instruction that is not
        the one followed, and what was done there. W may be 0.
    """

    features: Tensor
    sentence: Tensor
    chunk: Tensor
    reward: Tensor
    discount: Tensor
    next_features: Tensor
    mc_return: Tensor
    policy_chunks: Tensor
    next_chunks: Tensor
    uniform_chunks: Tensor
    option_reward: Tensor
    option_discount: Tensor
    option_features: Tensor
    wrong_features: Tensor
    wrong_sentence: Tensor
    wrong_chunk: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


class Learner(nn.Module):
    """An algorithm at work: the critic `net`, whatever helps to train it, and the loss.

    Everything that must survive an interruption is in its state_dict.
    """

    def __init__(self, model: CriticConfig, config: LearnerConfig) -> None:
        super().__init__()
        self.net = QEnsemble(model)
        self.config = config

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """What to minimise under "loss", and its parts for the log."""
        raise NotImplementedError

    def pairs(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """(network, its target) for every target network."""
        raise NotImplementedError

    @torch.no_grad()
    def follow(self) -> None:
        """target <- (1 - polyak) target + polyak network; after every update."""
        for network, target in self.pairs():
            torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), self.config.polyak)

    def begin(self, net: QEnsemble) -> None:
        """Go on from a trained critic; targets start where their networks are."""
        if net.config != self.net.config:
            raise SpecError(
                f"the critic to go on from has other heads ({net.config}) than asked for ({self.net.config})"
            )
        self.net.load_state_dict(net.state_dict())
        for network, target in self.pairs():
            target.load_state_dict(network.state_dict())

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Tell every network the mean and spread of the features (F,)."""
        for module in self.modules():
            if isinstance(module, Ensemble):
                module.feature_mean.copy_(mean)
                module.feature_std.copy_(std)

    def wrong_instruction(self, batch: Batch) -> dict[str, Tensor]:
        """What was done does not do what these words ask: -1 for ever, so its value is known.

        The loss under "wrong", weighted in; nothing when there are no such frames.
        """
        if len(batch.wrong_chunk) == 0 or self.config.wrong_weight == 0:
            return {}
        raw = self.net.raw(batch.wrong_features, batch.wrong_sentence, batch.wrong_chunk[:, None])
        never = torch.full(raw.shape[:-1], self.config.never, device=raw.device)
        return {"wrong": self.net.head.misfit(raw, never).mean(), "q_wrong": self.net.head.value(raw).mean()}


def target_of(network: N) -> N:
    """A copy that only `follow` moves."""
    return copy.deepcopy(network).requires_grad_(False)


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
