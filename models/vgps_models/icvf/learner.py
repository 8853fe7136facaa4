"""ICVF's loss (Ghosh et al. 2304.04782 sec. 4): the value of every intent at once, from observations without actions.

Reward is -1 a step and 0 at s = s+, where the value is 0: V(s, s+, z) = -(1 -
gamma^d) / (1 - gamma) for the d steps that someone who wants z takes from s to
s+, and -1 / (1 - gamma) if he never comes by. Who wanted z is not known; a
transition counts for it by whether it did its good, judged by the target
network: |tau - 1(A_z < 0)|. tau -> 1 counts the best that the data hold.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgps_models.critics.iql import expectile_weight
from vgps_models.errors import SpecError
from vgps_models.icvf.network import MultilinearConfig, MultilinearValue


@dataclass(frozen=True)
class ICVFConfig:
    """Settings of the loss."""

    gamma: float = 0.99  # discount a step
    expectile: float = 0.9  # tau; 1/2 counts every transition for every intent, towards 1 the best for it
    polyak: float = 0.005  # step of the target network a training step

    def __post_init__(self) -> None:
        if not (0 < self.gamma < 1 and 0.5 <= self.expectile < 1 and 0 < self.polyak <= 1):
            raise SpecError(f"{self}: expected 0 < gamma < 1, 0.5 <= expectile < 1 and 0 < polyak <= 1")

    @property
    def never(self) -> float:
        """Return of never coming by: -1 for ever."""
        return -1.0 / (1.0 - self.gamma)

    def worth(self, steps: Tensor) -> Tensor:
        """Return of being there in so many steps, of never coming by for less than 0 steps. Shape of steps."""
        there = self.never * (1 - self.gamma ** steps.clamp_min(0))
        return torch.where(steps < 0, self.never, there)


@dataclass(frozen=True, eq=False)
class Batch:
    """B transitions, each with an outcome s+ and an intent z, over U distinct states.

    observations (U, ...): every state once, as the encoder reads it.
    s, s_next, goal, intent (B,) int64: rows of observations. goal is s+, intent is z.
    at_goal, at_intent (B,) bool: whether s is s+, and whether it is z; s_next does not count there.
    """

    observations: Tensor
    s: Tensor
    s_next: Tensor
    goal: Tensor
    intent: Tensor
    at_goal: Tensor
    at_intent: Tensor

    def __post_init__(self) -> None:
        shapes = {f.name: tuple(getattr(self, f.name).shape) for f in fields(self)[1:]}
        if any(shape != (len(self),) for shape in shapes.values()):
            raise SpecError(f"every index and flag of a batch has the shape (B,), not {shapes}")

    def __len__(self) -> int:
        return self.s.numel()

    @classmethod
    def of(cls, observations: Tensor, rows: NDArray[np.int64]) -> Batch:
        """observations (U, ...): every state once. rows (4, B): which of them s, s', s+ and z are."""
        s, s_next, goal, intent = torch.from_numpy(rows)
        return cls(observations, s, s_next, goal, intent, s == goal, s == intent)

    def to(self, device: torch.device) -> Batch:
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


class ICVF(nn.Module):
    """The network and its target; everything that must survive an interruption is in its state_dict."""

    def __init__(self, encoder: nn.Module, model: MultilinearConfig, config: ICVFConfig) -> None:
        super().__init__()
        if abs(model.low - config.never) > 1e-6 * -config.never:
            raise SpecError(f"low is {model.low}, but with gamma {config.gamma} never is worth {config.never}")
        self.net = MultilinearValue(encoder, model)
        self.target = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.config = config

    def train(self, mode: bool = True) -> ICVF:
        """The target never drops anything out and gathers no statistics of its own."""
        super().train(mode)
        self.target.eval()
        return self

    def loss(self, batch: Batch, features: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """What to minimise, and numbers for the log. features (U, D): of the observations, if they are known."""
        net = self.net
        features = net.encode(batch.observations) if features is None else features
        if not net.config.intents:
            batch = replace(batch, intent=batch.goal, at_intent=batch.at_goal)
        q, advantage = self.look_ahead(batch)
        raw = net.raw(features, batch.s, batch.goal, batch.intent)  # (E, B, outputs)
        weight = expectile_weight(advantage, self.config.expectile)
        loss = (weight * net.head.misfit(raw, q)).mean()
        with torch.no_grad():
            numbers = {
                "v": net.head.value(raw).mean(),
                "q": q.mean(),
                "advantage": advantage.mean(),
                "good": (advantage >= 0).float().mean(),
            }
        return loss, {"loss": loss.detach()} | numbers

    def observed_loss(self, batch: Batch, features: Tensor, observed: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The same towards returns that were observed (B,), whatever was wanted. features (U, D): as above."""
        net = self.net
        raw = net.raw(features, batch.s, batch.goal, batch.intent if net.config.intents else batch.goal)
        loss = net.head.misfit(raw, observed.expand(raw.shape[:2])).mean()
        return loss, {"loss": loss.detach(), "v": net.head.value(raw).mean().detach(), "q": observed.mean()}

    @torch.no_grad()
    def look_ahead(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """By the target network alone: each head's target (E, B), and the advantage of the transition (B,).

        q = r + gamma Vbar(s', s+, z), kept in [-1 / (1 - gamma), 0], and 0 at s = s+.
        A = r_z + gamma min Vbar(s', z, z) - mean Vbar(s, z, z), min and mean over heads.
        """
        net, gamma = self.target, self.config.gamma
        features = net.encode(batch.observations)
        starts, ends = torch.stack([batch.s, batch.s_next]), torch.stack([batch.goal, batch.intent])
        left, right = net.sides(features, starts, ends, batch.intent)

        def v(start: int, end: int) -> Tensor:
            return net.head.value(net.join(left[:, start], right[:, end]))  # (E, B)

        go, go_z = (~batch.at_goal).float(), (~batch.at_intent).float()  # 0 where it ends; the reward is minus that
        q = (go * (gamma * v(1, 0) - 1)).clamp(self.config.never, 0)
        advantage = go_z * (gamma * v(1, 1).amin(0) - 1) - v(0, 1).mean(0)
        return q, advantage

    @torch.no_grad()
    def after_step(self) -> None:
        """target <- (1 - polyak) target + polyak network, after every update. Buffers are copied."""
        torch._foreach_lerp_(list(self.target.parameters()), list(self.net.parameters()), self.config.polyak)
        for mine, theirs in zip(self.target.buffers(), self.net.buffers(), strict=True):
            mine.copy_(theirs)
