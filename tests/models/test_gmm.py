"""The mixture: an exact density of the chunks that it draws."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as D

from vgps_models.policies.gmm import GMMConfig, MixtureNet


@pytest.fixture
def asked() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sentences = torch.nn.functional.normalize(torch.randn(2, 384, generator=generator))
    return torch.randn(2, 5, generator=generator), sentences


def make(chunk: int, modes: int = 3) -> MixtureNet:
    torch.manual_seed(0)
    net = MixtureNet(GMMConfig(features=5, chunk=chunk, width=32, words=8, modes=modes)).eval().requires_grad_(False)
    net.out.weight *= 5  # modes that differ
    return net


def test_the_density_is_torchs(asked):
    net, chunks = make(5), torch.randn(2, 7, 5)
    mixture = net.mixture(*asked)
    for b in range(2):
        reference = D.MixtureSameFamily(
            D.Categorical(logits=mixture.log_weight[b]),
            D.Independent(D.Normal(mixture.mean[b], mixture.std[b]), 1),
        )
        assert torch.allclose(net.log_prob(chunks, mixture)[b], reference.log_prob(chunks[b]), atol=1e-4)


def test_the_density_of_a_gripper_number_is_a_coins(asked):
    net, chunks = make(7), torch.randn(2, 6, 7)
    chunks[..., 6] = chunks[..., 6].sign()
    mixture = net.mixture(*asked)
    for b in range(2):
        motion = D.Independent(D.Normal(mixture.mean[b, :, :6], mixture.std[b, :, :6]), 1)
        coin = D.Bernoulli(logits=mixture.mean[b, :, 6])
        in_mode = motion.log_prob(chunks[b, :, None, :6]) + coin.log_prob((chunks[b, :, None, 6] + 1) / 2)
        expected = (mixture.log_weight[b] + in_mode).logsumexp(-1)
        assert torch.allclose(net.log_prob(chunks, mixture)[b], expected, atol=1e-4)


def test_the_density_integrates_to_one(asked):
    net = make(2)
    grid = torch.linspace(-9, 9, 901)
    points = torch.cartesian_prod(grid, grid).expand(2, -1, -1)
    mass = net.log_prob(points, net.mixture(*asked)).exp().sum(-1) * float(grid[1] - grid[0]) ** 2
    assert torch.allclose(mass, torch.ones(2), atol=1e-3)


def test_samples_have_the_mean_and_spread_of_the_mixture(asked):
    net = make(3)
    made, log_prob = net.draw(torch.randn(2, 20_000, 4, generator=torch.Generator().manual_seed(2)), *asked)
    mixture = net.mixture(*asked)
    weight = mixture.log_weight.exp()[..., None]
    mean = (weight * mixture.mean).sum(1)
    variance = (weight * (mixture.std**2 + mixture.mean**2)).sum(1) - mean**2
    assert torch.allclose(made.mean(1), mean, atol=0.05)
    assert torch.allclose(made.var(1), variance, rtol=0.05)
    assert torch.allclose(log_prob, net.log_prob(made, mixture))


def test_gripper_numbers_are_drawn_open_or_closed_as_often_as_said(asked):
    net = make(14)
    made, _ = net.draw(torch.randn(2, 20_000, 15, generator=torch.Generator().manual_seed(3)), *asked)
    mixture = net.mixture(*asked)
    for number in (6, 13):
        assert set(made[..., number].unique().tolist()) == {-1.0, 1.0}
        is_open = (mixture.log_weight.exp() * mixture.mean[..., number].sigmoid()).sum(1)
        assert torch.allclose((made[..., number] > 0).float().mean(1), is_open, atol=0.02)


def test_no_spread_is_below_the_least(asked):
    net = make(5)
    net.out.bias.data -= 100
    assert torch.allclose(net.mixture(*asked).std, torch.tensor(net.config.min_std))
