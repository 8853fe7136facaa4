"""Diffusion: the cosine schedule, and DDIM steps that are exact when the noise is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.policies.ddim import DDIMConfig, DiffusionNet, ddim_step, signal_and_noise

TIMES = st.floats(0.01, 1.0)


def test_the_schedule_goes_from_the_chunk_to_pure_noise():
    t = torch.linspace(0, 1, 101)
    a, s = signal_and_noise(t)
    assert torch.allclose(a**2 + s**2, torch.ones(101), atol=1e-6)
    assert float(a[0]) == pytest.approx(1, abs=1e-6) and float(a[-1]) == pytest.approx(0, abs=1e-6)
    assert (a.diff() < 0).all()


def test_the_schedule_at_half_time_by_hand():
    """abar(t) = cos^2(pi/2 (t + .008) / 1.008) / cos^2(pi/2 .008 / 1.008), Nichol and Dhariwal's equation 17."""
    abar = math.cos(math.pi / 2 * 0.508 / 1.008) ** 2 / math.cos(math.pi / 2 * 0.008 / 1.008) ** 2
    assert float(signal_and_noise(torch.tensor(0.5))[0]) == pytest.approx(math.sqrt(abar), rel=1e-6)


@given(t=TIMES, fraction=st.floats(0, 1), chunk=st.floats(-1.5, 1.5), noise=st.floats(-4, 4))
def test_a_step_with_known_noise_lands_on_the_less_noisy_point(t, fraction, chunk, noise):
    now, following = torch.tensor(t, dtype=torch.float64), torch.tensor(t * fraction, dtype=torch.float64)
    (a, s), (next_a, next_s) = signal_and_noise(now), signal_and_noise(following)
    made = ddim_step(a * chunk + s * noise, a * noise - s * chunk, now, following)
    assert float(made) == pytest.approx(float(next_a * chunk + next_s * noise), abs=1e-9)


def test_a_step_by_hand():
    """a = .6, s = .8, x = .5, e = -1: x_t = .6 x + .8 e = -.5 and v = .6 e - .8 x = -1; the step to 0 gives x back."""
    t = torch.tensor(2 / math.pi * 1.008 * math.acos(0.6 * math.cos(math.pi / 2 * 0.008 / 1.008)) - 0.008)
    assert [float(n) for n in signal_and_noise(t)] == pytest.approx([0.6, 0.8], abs=1e-6)
    assert float(ddim_step(torch.tensor(-0.5), torch.tensor(-1.0), t, torch.tensor(0.0))) == pytest.approx(
        0.5, abs=1e-6
    )


class Knowing(DiffusionNet):
    """Knows the one chunk there is: e = (x_t - a x) / s, hence v = a e - s x."""

    target = torch.tensor([0.4, -0.8, 0.1])

    def schedule(self, times, features, sentence):
        return times.expand(len(features), -1)

    def predict(self, x, modulation):
        a, s = signal_and_noise(modulation[:, None, None])
        return a * (x - a * self.target) / s - s * self.target


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_sampling_with_known_noise_recovers_the_chunk_in_any_number_of_steps(steps):
    net = Knowing(DDIMConfig(features=2, chunk=3, ddim_steps=steps))
    made, log_prob = net.draw(torch.randn(2, 5, 3), torch.zeros(2, 2), torch.zeros(2, 384))
    assert torch.allclose(made, Knowing.target.expand(2, 5, 3), atol=1e-4)
    assert log_prob is None


class Spread(DiffusionNet):
    """Knows the best v for chunks from N(0, .08^2): the expected chunk given x_t is a .08^2 x_t / (a^2 .08^2 + s^2)."""

    def schedule(self, times, features, sentence):
        return times.expand(len(features), -1)

    def predict(self, x, modulation):
        a, s = signal_and_noise(modulation[:, None, None])
        chunk = a * 0.08**2 / ((a * 0.08) ** 2 + s**2) * x
        return a * (x - a * chunk) / s - s * chunk


@pytest.mark.parametrize(("steps", "least"), [(10, 0.75), (100, 0.95)])
def test_few_steps_keep_most_of_a_small_spread(steps, least):
    net = Spread(DDIMConfig(features=2, chunk=3, ddim_steps=steps))
    made, _ = net.draw(torch.ones(1, 1, 3), torch.zeros(1, 2), torch.zeros(1, 384))
    # Every step is linear in the noise here, so what becomes of a 1 is the spread of what becomes of N(0, 1).
    assert least * 0.08 < float(made[0, 0, 0]) < 0.08
