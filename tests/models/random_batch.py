"""Learners and batches of random numbers, for properties that hold whatever is in them."""

from __future__ import annotations

import torch

from vgps_models.critics import ALGORITHMS, CriticConfig, Learner
from vgps_models.critics.base import Batch

FEATURES, CHUNK = 6, 14
CASES = [(algorithm, head) for algorithm in ALGORITHMS for head in ("scalar", "hl_gauss")]


def make_learner(algorithm: str, head: str = "scalar", *, seed: int = 0, heads: int = 3, **settings) -> Learner:
    torch.manual_seed(seed)
    config, learner = ALGORITHMS[algorithm]
    model = CriticConfig(features=FEATURES, chunk=CHUNK, heads=heads, width=32, words=4, head=head, bins=25)
    return learner(model, config(**settings))


def make_batch(learner: Learner, size: int = 8, wrong: int = 3, seed: int = 0, mc_return: float = -50.0) -> Batch:
    """As many transitions as `size`, with all that the learner needs."""
    g = torch.Generator().manual_seed(seed)
    needs = learner.config.needs
    option = size if needs.option else 0

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g)

    return Batch(
        features=normal(size, FEATURES), sentence=normal(size, 384), chunk=normal(size, CHUNK),
        reward=-torch.rand(size, generator=g) * 4, discount=0.9 * (torch.rand(size, generator=g) > 0.3),
        next_features=normal(size, FEATURES), mc_return=torch.full((size,), mc_return),
        policy_chunks=normal(size, needs.policy, CHUNK), next_chunks=normal(size, needs.following, CHUNK),
        uniform_chunks=normal(size, needs.uniform, CHUNK),
        option_reward=-torch.rand(option, generator=g) * 12, option_features=normal(option, FEATURES),
        option_discount=0.7 * (torch.rand(option, generator=g) > 0.5),
        wrong_features=normal(wrong, FEATURES), wrong_sentence=normal(wrong, 384), wrong_chunk=normal(wrong, CHUNK),
    )  # fmt: skip


def descend(learner: Learner, batch: Batch, updates: int, rate: float = 3e-3) -> list[dict[str, float]]:
    """Minimise the loss on one batch; what was logged at every update."""
    optimiser = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], rate)
    told = []
    for _ in range(updates):
        parts = learner.losses(batch)
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        learner.follow()
        told.append({name: value.item() for name, value in parts.items()})
    return told
