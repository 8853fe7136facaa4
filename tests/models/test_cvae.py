"""The CVAE: prior and KL are torch's, and what varies comes back when z is drawn from the prior."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as D
from torch import nn

from vgps_models.policies.cvae import CVAEConfig, CVAENet, Gaussian


@pytest.fixture
def net() -> CVAENet:
    torch.manual_seed(0)
    config = CVAEConfig(features=2, chunk=3, width=8, words=4, latent=4, modes=3)
    return CVAENet(config).eval().requires_grad_(False)


def says(part: nn.Sequential, numbers: list[float]) -> None:
    """Make a network answer these whatever it is asked."""
    weight, bias = list(part.parameters())[-2:]
    weight.data.zero_()
    bias.data.copy_(torch.tensor(numbers))


def test_the_prior_is_torchs_mixture(net):
    says(net.prior, torch.randn(3 * 9, generator=torch.Generator().manual_seed(1)).tolist())
    z, context = torch.randn(5, 4), torch.zeros(5, 8)
    log_weight, modes = net.mixture(context)
    reference = D.MixtureSameFamily(
        D.Categorical(logits=log_weight), D.Independent(D.Normal(modes.mean, modes.log_std.exp()), 1)
    )
    assert torch.allclose(net.log_prior(z, context), reference.log_prob(z), atol=1e-4)


def test_the_kl_of_the_loss_is_torchs_on_average():
    """z ~ q, as in the loss: the mean of log q - log p is the closed form."""
    generator = torch.Generator().manual_seed(0)
    q, p = (Gaussian(*(0.5 * torch.randn(2, 3, generator=generator))) for _ in range(2))
    z = q.mean + q.log_std.exp() * torch.randn(100_000, 3, generator=generator)
    expected = D.kl_divergence(D.Normal(q.mean, q.log_std.exp()), D.Normal(p.mean, p.log_std.exp())).sum(-1)
    assert float((q.log_prob(z) - p.log_prob(z)).mean()) == pytest.approx(float(expected), rel=0.02)


def test_the_loss_by_hand(net):
    """.25 made of -.5 is an error of .75 - .1 / 2; q = N(1, 1) and p = N(0, 1) in 4 numbers have a KL of 4 x 1/2."""
    says(net.encoder, [1.0] * 4 + [0.0] * 4)
    says(net.prior, [0.0] * 27)
    says(net.decoder, [0.25] * 3)
    many = 50_000
    chunk, features, sentence = torch.full((many, 3), -0.5), torch.zeros(many, 2), torch.zeros(many, 384)
    loss = net.loss(chunk, features, sentence, torch.Generator().manual_seed(0))
    assert (float(loss) - 0.70) / net.config.beta == pytest.approx(2, rel=0.02)


def test_z_is_drawn_from_the_mode_that_the_first_number_chooses(net):
    """Modes of equal weight at -1, 0 and 1 with next to no spread, and a decoder that tells them apart."""
    says(net.prior, [0.0, *[-1.0] * 4, *[-6.0] * 4, 0.0, *[0.0] * 4, *[-6.0] * 4, 0.0, *[1.0] * 4, *[-6.0] * 4])
    noise = torch.zeros(1, 3, 5)
    noise[0, :, 0] = torch.tensor([-2.0, 0.0, 2.0])
    made, _ = net.draw(noise, torch.zeros(1, 2), torch.zeros(1, 384))
    context = nn.functional.silu(net.context(torch.zeros(1, 2), torch.zeros(1, 384)))
    for k, z in enumerate((-1.0, 0.0, 1.0)):
        expected = net.decoder(torch.cat([context, torch.full((1, 4), z)], dim=-1))[0]
        assert torch.allclose(made[0, k], expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_every_number_gets_its_spread_back_as_it_differs_from_moment_to_moment(seed):
    """The feature tells how far chunks spread; samples from the learned prior must spread as far in every number."""
    torch.manual_seed(seed)
    net = CVAENet(CVAEConfig(features=1, chunk=3, width=64, words=4, depth=2))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(1)
    for step in range(500):
        spread = torch.rand(256, 1, generator=generator)
        chunk = 0.4 * spread * torch.randn(256, 3, generator=generator)
        loss = net.loss(chunk, spread, torch.zeros(256, 384), generator)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / 500)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    asked = torch.tensor([[0.3], [0.9]])
    made, log_prob = net.draw(torch.randn(2, 500, 17, generator=generator), asked, torch.zeros(2, 384))
    spread = made.std(1) / (0.4 * asked)  # (2, 3): 1 is right; with no feature read, 2 and .67; collapsed, 0
    assert (spread > 0.4).all() and (spread < 1.6).all() and log_prob is None
    assert (made.std(1)[1] > 1.8 * made.std(1)[0]).all()  # 3 is right, 1 is what reads no feature
