"""AIRL over points in space: from tracks of a person who succeeds to a reward that any hand can be scored by.

A policy tries things out, at first without any idea; the discriminator tells its tracks from the person's; the policy
then learns from the demonstrations, and from its own tracks what the discriminator rewards (advantage-weighted
regression, Peng et al. 1910.00177). A reward is only known where somebody was, so all tracks are kept: those of early
rounds show what the person does not do. All paths have one length and stay where they end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgps_models.irl.airl import AIRL, AIRLConfig, Moves
from vgps_models.irl.hand_policy import UNITS, HandPolicy, clone, units
from vgps_models.irl.keypoint_reward import KeypointReward
from vgps_models.irl.learned import Scale, stretched
from vgps_models.irl.tracks import Track, alike, strayed
from vgps_models.spaces import Array

Rehearse = Callable[[int, Callable[[Array], Array]], Track]  # a seed and who moves -> what became of it


@dataclass(frozen=True)
class ImitationConfig:
    rounds: int = 4  # of trying out and learning; in the first the policy knows nothing yet
    rehearsals: int = 60  # episodes of each round
    updates: int = 1200  # of the discriminator in each round
    cloning: int = 1500  # steps of the policy in each round
    batch: int = 256  # moves of either side
    rate: float = 1e-3  # of the discriminator
    stray: float = 0.03  # [m] beside the demonstrations' paths from where the policy is taught to come back
    strayed: int = 3  # times that each demonstration is strayed from
    greed: float = 1.0  # how sharply the policy prefers its better moves, per standard deviation of their advantage
    horizon: int = 100  # moments of every path
    seed: int = 0
    airl: AIRLConfig = field(default_factory=lambda: AIRLConfig(penalty=0.2))


@dataclass(frozen=True, eq=False)
class Imitated:
    """What was learned, and a line for each round: discriminator's loss and accuracy, success of the policy, alarm."""

    reward: KeypointReward
    policy: HandPolicy
    rounds: list[dict[str, Any]]


def imitate(
    demonstrations: Sequence[Track], rehearse: Rehearse, config: ImitationConfig = ImitationConfig(),
    reads: str = "all", progress: Callable[[dict[str, Any]], None] = lambda line: None,
) -> Imitated:  # fmt: skip
    """Learn from demonstrations of one task. Raises DataError when they differ in what they show.

    reads: what the reward does, see `Scale.of`; the policy sees all.
    """
    alike(demonstrations)
    torch.manual_seed(config.seed)
    random = torch.Generator().manual_seed(config.seed)
    scale = Scale.of(demonstrations, reads)
    shown = _Paths.of(demonstrations, scale, config.horizon)
    taught = _taught(demonstrations, config)
    model, policy = AIRL(shown.states.shape[-1], config.airl), HandPolicy(shown.seen.shape[-1])
    optimiser = torch.optim.Adam(model.parameters(), config.rate)
    own: _Paths | None = None
    lines: list[dict[str, Any]] = []
    tried = 0
    for number in range(config.rounds):
        if number:  # at first it knows nothing, and shows the discriminator what else a hand could do
            _improve(policy, model, taught, own, config)
        tracks = [
            rehearse(config.seed * 100_000 + tried + i, lambda seen: policy.act(seen, random))
            for i in range(config.rehearsals)
        ]
        tried += len(tracks)
        fresh = _Paths.of(tracks, scale, config.horizon)
        own = fresh if own is None else own.joined(fresh)
        told = _discriminate(model, optimiser, policy, shown, own, config)
        success = float(np.mean([track.success for track in tracks]))
        lines.append({"round": number, **told, "success": success, "alarm": model.alarm.rings})
        progress(lines[-1])
    return Imitated(KeypointReward.learned(demonstrations, scale, model), policy, lines)


@dataclass(frozen=True, eq=False)
class _Paths:
    """N paths of T moments: states (N, T, D), seen (N, T, S), moves (N, T - 1, 5) in units, moving (N, T - 1) bool."""

    states: Tensor
    seen: Tensor
    moves: Tensor
    moving: Tensor

    @classmethod
    def of(cls, tracks: Sequence[Track], scale: Scale, horizon: int) -> _Paths:
        states = np.stack([stretched(scale(track.geometry), horizon) for track in tracks])
        seen = np.stack([stretched(track.seen, horizon) for track in tracks])
        moves, moving = np.zeros((len(tracks), horizon - 1, len(UNITS))), np.zeros((len(tracks), horizon - 1), bool)
        for row, track in enumerate(tracks):
            made = units(track.moves)[: horizon - 1]
            moves[row, : len(made)], moving[row, : len(made)] = made, True
        made, there, given = (torch.from_numpy(array).float() for array in (moves, states, seen))
        return cls(there, given, made, torch.from_numpy(moving))

    def joined(self, other: _Paths) -> _Paths:
        names = ("states", "seen", "moves", "moving")
        return _Paths(*(torch.cat([getattr(self, n), getattr(other, n)]) for n in names))

    @torch.no_grad()
    def densities(self, policy: HandPolicy) -> Tensor:
        """Log density of every move under the policy (N, T - 1), 0 where nothing moves any more."""
        return torch.where(self.moving, policy.log_prob(self.seen[:, :-1], self.moves), 0.0)

    def drawn(self, log_pi: Tensor, count: int) -> Moves:
        """Moments at random."""
        n, t = torch.randint(len(self.states), (count,)), torch.randint(self.moves.shape[1], (count,))
        over = torch.zeros(count, dtype=torch.bool)
        return Moves(self.states[n, t], self.states[n, t + 1], log_pi[n, t], over)


def _taught(demonstrations: Sequence[Track], config: ImitationConfig) -> tuple[Tensor, Tensor]:
    """What the policy clones: the demonstrations, and how one comes back to them from beside their paths."""
    rng = np.random.default_rng(config.seed)
    rows = [(track.seen[:-1], track.moves) for track in demonstrations]
    rows += [strayed(track, config.stray, rng) for track in demonstrations for _ in range(config.strayed)]
    seen, moves = (np.concatenate(side) for side in zip(*rows, strict=True))
    return torch.from_numpy(seen).float(), torch.from_numpy(units(moves)).float()


def _discriminate(
    model: AIRL,
    optimiser: torch.optim.Optimizer,
    policy: HandPolicy,
    shown: _Paths,
    own: _Paths,
    config: ImitationConfig,
) -> dict[str, float]:
    told = dict[str, float]()
    densities = [paths.densities(policy) for paths in (shown, own)]
    # In units in which the person's moves have density 1 on average: what is the same everywhere is no reward.
    usual = densities[0][shown.moving].mean()
    log_pi = [torch.where(p.moving, d - usual, 0.0) for p, d in zip((shown, own), densities, strict=True)]
    for _ in range(config.updates):
        sides = [p.drawn(d, config.batch) for p, d in zip((shown, own), log_pi, strict=True)]
        loss, told = model.loss(*sides)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: round(value, 4) for name, value in told.items()}


def _improve(
    policy: HandPolicy, model: AIRL, taught: tuple[Tensor, Tensor], own: _Paths | None, config: ImitationConfig
) -> None:
    """Clone what was shown (M, S), (M, 5), and of the policy's own moves those that were worth more than others."""
    seen, moves = [taught[0]], [taught[1]]
    weights = [torch.full((len(taught[0]),), 1.0 / len(taught[0]))]
    if own is not None:
        worth = torch.exp(torch.clamp(config.greed * _advantages(model, own)[own.moving], max=3.0))
        seen.append(own.seen[:, :-1][own.moving])
        moves.append(own.moves[own.moving])
        weights.append(0.5 * worth / worth.sum())
    clone(policy, torch.cat(seen), torch.cat(moves), torch.cat(weights), steps=config.cloning)


@torch.no_grad()
def _advantages(model: AIRL, own: _Paths) -> Tensor:
    """Discounted sum of f from every move on, less what is usual at that time of a path, in deviations (N, T - 1)."""
    over = torch.zeros(own.states.shape[0], dtype=torch.bool)
    f = torch.stack([model.f(own.states[:, t], own.states[:, t + 1], over) for t in range(own.moves.shape[1])], 1)
    ahead, total = torch.zeros(len(f)), torch.empty_like(f)
    for t in reversed(range(f.shape[1])):
        ahead = f[:, t] + model.config.gamma * ahead
        total[:, t] = ahead
    total = total - total.mean(0)
    return total / total.std().clamp(min=1e-6)
