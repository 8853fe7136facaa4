"""A hand's policy: from where things lie to its next move, with the density of every move.

A mixture of Gaussians, since a person may go for either of two things. Moves are counted in units that are typical of a
fifth of a second.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vgps_models.spaces import Array

UNITS = np.array([0.03, 0.03, 0.03, 0.02, 0.4])  # of a move: way [m], gap [m], tilt [rad]
LARGEST = (4.0, 4.0, 4.0, 3.0, 3.0)  # move within one moment, in units


class HandPolicy(nn.Module):
    """Moves (B, 5) given what is seen (B, S), as of `Track`.

    least: smallest standard deviation, in units: no density becomes infinite where a person never varied. wander: share
    of moves that are drawn from all that a hand can do (`LARGEST`), so that no density becomes 0 either.
    """

    def __init__(
        self, inputs: int, *, modes: int = 6, width: int = 128, least: float = 0.15, wander: float = 0.01
    ) -> None:
        super().__init__()
        self.modes, self.least, self.wander = modes, least, wander
        sizes = (inputs, width, width)
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(width, modes * (2 * len(UNITS) + 1)))

    def moves(self, seen: Tensor) -> MixtureSameFamily:
        """Distribution of moves in `UNITS`."""
        shares, mean, deviation = self._modes(seen)
        return MixtureSameFamily(Categorical(logits=shares), Independent(Normal(mean, deviation), 1))

    def _modes(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, K), means and deviations (B, K, 5)."""
        k, a = self.modes, len(UNITS)
        made = self.net(seen)
        mean, spread = made[..., : k * a].unflatten(-1, (k, a)), made[..., k * a : 2 * k * a].unflatten(-1, (k, a))
        return made[..., 2 * k * a :], mean, self.least + F.softplus(spread)

    def log_prob(self, seen: Tensor, moves: Tensor) -> Tensor:
        """Log density of moves (B, 5) in `UNITS` and within `LARGEST`, per unit volume: (B,)."""
        anywhere = math.log(self.wander) - sum(math.log(2 * most) for most in LARGEST)
        known = math.log1p(-self.wander) + self.moves(seen).log_prob(moves)
        return torch.logaddexp(known, torch.full_like(known, anywhere))

    @torch.no_grad()
    def act(self, seen: Array, random: torch.Generator) -> Array:
        """One move (5,) [m], [rad] drawn for what is seen (S,)."""
        most = torch.tensor(LARGEST)
        if float(torch.rand((), generator=random)) < self.wander:
            return (most * (2 * torch.rand(len(UNITS), generator=random) - 1)).double().numpy() * UNITS
        shares, mean, deviation = self._modes(torch.from_numpy(seen).float())
        mode = int(torch.multinomial(shares.softmax(-1), 1, generator=random))
        drawn = torch.normal(mean[mode], deviation[mode], generator=random)
        return torch.clamp(drawn, -most, most).double().numpy() * UNITS


def units(moves: Array) -> Array:
    """Moves (N, 5) [m], [rad] in `UNITS`, cut to what a hand can do."""
    return np.clip(moves / UNITS, np.negative(LARGEST), LARGEST)


def clone(
    policy: HandPolicy,
    seen: Tensor,
    moves: Tensor,
    weights: Tensor,
    *,
    steps: int,
    batch: int = 256,
    rate: float = 1e-3,
) -> float:
    """Fit the policy to moves (N, 5) in `UNITS`, drawn in proportion to weights (N,). The last loss."""
    optimiser = torch.optim.AdamW(policy.parameters(), rate, weight_decay=1e-4)
    loss = torch.zeros(())
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        rows = torch.multinomial(weights, batch, replacement=True)
        loss = -policy.log_prob(seen[rows], moves[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())
