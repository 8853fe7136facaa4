"""The CVAE: its KL is torch's, and what varies comes back when z is drawn from the prior."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as D

from vgps_models.policies.cvae import CVAEConfig, CVAENet, kl_divergence


def test_the_kl_is_torchs():
    generator = torch.Generator().manual_seed(0)
    mean, log_std, other_mean, other_log_std = torch.randn(4, 6, 3, generator=generator)
    expected = D.kl_divergence(D.Normal(mean, log_std.exp()), D.Normal(other_mean, other_log_std.exp())).sum(-1)
    assert torch.allclose(kl_divergence(mean, log_std, other_mean, other_log_std), expected, rtol=1e-4)
    assert torch.allclose(kl_divergence(mean, log_std, mean, log_std), torch.zeros(6), atol=1e-6)


def test_the_loss_is_l1_and_beta_times_the_kl_by_hand():
    """A decoder that says .25, a posterior N(1, 1) and a prior N(0, 1) in each of 4 numbers: KL = 4 x 1/2."""
    net = CVAENet(CVAEConfig(features=2, chunk=3, width=8, words=4, latent=4))
    for part, says in ((net.encoder, [1.0] * 4 + [0.0] * 4), (net.prior, [0.0] * 8), (net.decoder, [0.25] * 3)):
        weight, bias = list(part.parameters())[-2:]
        weight.data.zero_()
        bias.data.copy_(torch.tensor(says))
    loss = net.requires_grad_(False).loss(
        torch.full((5, 3), -0.5), torch.zeros(5, 2), torch.zeros(5, 384), torch.Generator()
    )
    assert float(loss) == pytest.approx(0.75 + net.config.beta * 2, rel=1e-5)


def test_a_spread_that_differs_from_moment_to_moment_comes_back():
    """The feature tells how far chunks spread; samples from the learned prior must spread as far."""
    torch.manual_seed(0)
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
    made, log_prob = net.draw(torch.randn(2, 500, 16, generator=generator), asked, torch.zeros(2, 384))
    assert torch.allclose(made.std(1), 0.4 * asked.expand(2, 3), rtol=0.35)
    assert log_prob is None
