"""AIRL (Fu et al. 1710.11248): a reward that tells demonstrations from a policy's own ways, and nothing else.

The discriminator's logit is f(s, s') - log pi(a | s) with f = g(s) + gamma h(s') - h(s): g becomes the reward, h takes
up what only shapes it. g reads states alone, so that it means the same for another body.

What makes it fail, and what is done about it:
- a discriminator that is always right teaches nothing: its gradient is penalised (Gulrajani et al. 1704.00028) and
  `Alarm` says when it stays right for long;
- episodes that end sooner or later than others give themselves away by their end: every path has one length and stays
  where it ended, and the value h of what is over is 0 only for true ends;
- a reward of states and actions that the demonstrator's dynamics explain does not carry over: g has no action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.errors import SpecError


@dataclass(frozen=True)
class AIRLConfig:
    gamma: float = 0.95  # discount a step
    widths: tuple[int, ...] = (64, 64)  # layers of g and h; none makes them linear
    penalty: float = 1.0  # weight of the squared gradient of f between demonstrations and policy
    decay: float = 1e-3  # pull of the outputs to 0: only differences of a reward mean anything
    alarm: float = 0.95  # accuracy above which the discriminator is said to be too good
    patience: int = 200  # updates in a row before it is

    def __post_init__(self) -> None:
        if not (0 <= self.gamma < 1 and self.penalty >= 0 and self.decay >= 0 and 0.5 < self.alarm <= 1):
            raise SpecError(f"{self}: expected 0 <= gamma < 1, penalty and decay >= 0, 1/2 < alarm <= 1")


@dataclass(frozen=True, eq=False)
class Moves:
    """B transitions of one side. s, following (B, D): states; over (B,) bool: nothing follows, it is truly the end.

    log_pi (B,): log density of what was done under the policy, as it is now, in the state it was done in.
    """

    s: Tensor
    following: Tensor
    log_pi: Tensor
    over: Tensor

    def __post_init__(self) -> None:
        if self.s.shape != self.following.shape or {self.log_pi.shape, self.over.shape} != {self.s.shape[:1]}:
            raise SpecError(f"moves of shapes { {f.name: tuple(getattr(self, f.name).shape) for f in fields(self)} }")

    def __len__(self) -> int:
        return len(self.s)


class AIRL(nn.Module):
    """g and h over states (B, D), and the loss of the discriminator that they make."""

    def __init__(self, inputs: int, config: AIRLConfig = AIRLConfig()) -> None:
        super().__init__()
        self.config = config
        self.g, self.h = (_mlp(inputs, config.widths) for _ in "gh")
        self.alarm = Alarm(config.alarm, config.patience)

    def reward(self, s: Tensor) -> Tensor:
        """What carries over: (B, D) -> (B,)."""
        return self.g(s).squeeze(-1)

    def f(self, s: Tensor, following: Tensor, over: Tensor) -> Tensor:
        """The shaped reward of a transition (B,)."""
        ahead = torch.where(over, 0.0, self.h(following).squeeze(-1))
        return self.reward(s) + self.config.gamma * ahead - self.h(s).squeeze(-1)

    def loss(self, shown: Moves, own: Moves) -> tuple[Tensor, dict[str, float]]:
        """Of telling demonstrations `shown` from the policy's `own` moves, and numbers for the log."""
        f = [self.f(m.s, m.following, m.over) for m in (shown, own)]
        logits = [each - m.log_pi for each, m in zip(f, (shown, own), strict=True)]
        misfit = F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()
        size = sum(each.square().mean() for each in f)
        loss = misfit + self.config.decay * size + self.config.penalty * self._steepness(shown, own)
        accuracy = float(((logits[0] > 0).float().mean() + (logits[1] <= 0).float().mean()) / 2)
        self.alarm.hear(accuracy)
        return loss, {"loss": float(misfit.detach()), "accuracy": accuracy}

    def _steepness(self, shown: Moves, own: Moves) -> Tensor:
        """Squared gradient of f, between demonstrations and the policy's moves."""
        if self.config.penalty == 0:
            return torch.zeros(())
        count = min(len(shown), len(own))
        mix = torch.rand(count, 1)
        s, following = (
            (mix * a[:count] + (1 - mix) * b[:count]).requires_grad_()
            for a, b in ((shown.s, own.s), (shown.following, own.following))
        )
        f = self.f(s, following, shown.over[:count] & own.over[:count])
        slopes = torch.autograd.grad(f.sum(), (s, following), create_graph=True, allow_unused=True)
        return torch.cat([slope for slope in slopes if slope is not None], -1).square().sum(-1).mean()


class Alarm:
    """Notices a discriminator that has been right nearly always for a while: its reward is not to be trusted then."""

    def __init__(self, limit: float, patience: int) -> None:
        self.limit, self.patience, self.since = limit, patience, 0

    def hear(self, accuracy: float) -> None:
        self.since = self.since + 1 if accuracy > self.limit else 0

    @property
    def rings(self) -> bool:
        return self.since >= self.patience


def _mlp(inputs: int, widths: Sequence[int]) -> nn.Sequential:
    sizes, layers = [inputs, *widths], []
    for before, after in zip(sizes, widths, strict=False):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
