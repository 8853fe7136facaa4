"""Action tokens: bins that lose at most half their width, and a density that is the product over tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.policies.tokens import TokenNet, TokensConfig, centre, tokenise

BINS = st.sampled_from([2, 3, 64, 128, 256])


@pytest.fixture
def asked() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sentences = torch.nn.functional.normalize(torch.randn(2, 384, generator=generator))
    return torch.randn(2, 5, generator=generator), sentences


def make(temperature: float = 1.0, chunk: int = 14) -> TokenNet:
    torch.manual_seed(0)
    config = TokensConfig(features=5, chunk=chunk, width=32, words=8, bins=16, state=24, temperature=temperature)
    return TokenNet(config).eval().requires_grad_(False)


@given(value=st.floats(-1, 1, width=32), bins=BINS)
def test_a_number_comes_back_within_half_a_bin(value, bins):
    token = tokenise(torch.tensor(value), bins)
    assert 0 <= token < bins
    assert abs(float(centre(token, bins)) - value) <= 1 / bins + 1e-6


@given(token=st.integers(0, 255), bins=BINS)
def test_the_middle_of_a_bin_is_in_that_bin(token, bins):
    token = torch.tensor(token % bins)
    assert tokenise(centre(token, bins), bins) == token


@given(value=st.floats(1, 1e6), bins=BINS)
def test_numbers_outside_go_to_the_end_bins(value, bins):
    assert tokenise(torch.tensor([value, -value]), bins).tolist() == [bins - 1, 0]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_density_is_the_sum_over_a_teacher_forced_pass(asked, temperature):
    net = make(temperature)
    chunks, log_prob = net.draw(torch.randn(2, 9, 14), *asked)
    tokens = tokenise(chunks, 16).flatten(0, 1)
    context = net.context(*asked).repeat_interleave(9, dim=0)
    forced = (net.log_probs(tokens, context) / temperature).log_softmax(-1)
    expected = forced.gather(-1, tokens[..., None])[..., 0].sum(-1).unflatten(0, (2, 9))
    assert torch.allclose(log_prob, expected, atol=1e-4)


def test_the_loss_is_the_cross_entropy_of_that_pass(asked):
    net = make()
    chunks, log_prob = net.draw(torch.randn(2, 1, 14), *asked)
    loss = net.loss(chunks[:, 0], asked[0], asked[1], torch.Generator())
    assert float(loss) == pytest.approx(-float(log_prob.mean()) / 14, rel=1e-4)


def test_a_token_does_not_see_what_comes_after_it(asked):
    net, context = make(), make().context(*asked)
    tokens = torch.randint(1, 15, (2, 14), generator=torch.Generator().manual_seed(4))
    other = tokens.clone()
    other[:, 8] = 0
    one, two = net.log_probs(tokens, context), net.log_probs(other, context)
    assert torch.allclose(one[:, :9].exp(), two[:, :9].exp(), atol=1e-6)
    assert not torch.allclose(one[:, 9:].exp(), two[:, 9:].exp(), atol=1e-6)


def test_the_densities_of_all_first_tokens_sum_to_one(asked):
    net, features, sentence = make(chunk=1), asked[0][:1], asked[1][:1]
    noise = torch.special.ndtri((torch.arange(4000) + 0.5) / 4000)
    chunks, log_prob = net.draw(noise[None, :, None], features, sentence)
    tokens = tokenise(chunks, 16).flatten()
    mass = {int(t): float(p.exp()) for t, p in zip(tokens, log_prob.flatten(), strict=True)}
    assert sum(mass.values()) == pytest.approx(1, abs=1e-4)
    for token, p in mass.items():
        assert float((tokens == token).float().mean()) == pytest.approx(p, abs=1e-3)


def test_a_gripper_is_open_or_closed(asked):
    chunks, _ = make().draw(torch.randn(2, 400, 14), *asked)
    gripper = tokenise(chunks[..., [6, 13]], 16)
    assert set(gripper.unique().tolist()) == {0, 15}
    assert len(tokenise(chunks[..., 0], 16).unique()) > 8


def test_a_lower_temperature_draws_likelier_chunks(asked):
    noise = torch.randn(2, 300, 14, generator=torch.Generator().manual_seed(5))
    warm, cold = make(1.0), make(0.3)
    tokens = [tokenise(net.draw(noise, *asked)[0], 16).flatten(0, 1) for net in (warm, cold)]
    context = warm.context(*asked).repeat_interleave(300, dim=0)
    likely = [warm.log_probs(t, context).gather(-1, t[..., None]).sum(1).mean() for t in tokens]
    assert likely[1] > likely[0]
