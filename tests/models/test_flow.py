"""Flow matching: Euler steps follow the velocity."""

from __future__ import annotations

import pytest
import torch

from vgps_models.policies.flow import FlowConfig, VelocityNet


class Straight(VelocityNet):
    """Knows the one chunk there is: from x_t on the straight path the velocity is (x_1 - x_t) / (1 - t)."""

    target = torch.tensor([0.4, -0.8, 0.1])

    def schedule(self, times, features, sentence):
        return times.expand(len(features), -1)

    def predict(self, x, modulation):
        return (self.target - x) / (1 - modulation[:, None, None])


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_an_exact_velocity_ends_at_the_chunk_in_any_number_of_steps(steps):
    net = Straight(FlowConfig(features=2, chunk=3, euler_steps=steps))
    made, log_prob = net.draw(torch.randn(2, 5, 3), torch.zeros(2, 2), torch.zeros(2, 384))
    assert torch.allclose(made, Straight.target.expand(2, 5, 3), atol=1e-5)
    assert log_prob is None


def test_a_network_that_knows_the_velocity_has_no_loss():
    net = Straight(FlowConfig(features=2, chunk=3))
    net.forward = lambda x, t, features, sentence: (Straight.target - x) / (1 - t)
    loss = net.loss(Straight.target.expand(64, 3), torch.zeros(64, 2), torch.zeros(64, 384), torch.Generator())
    assert float(loss) < 1e-6
