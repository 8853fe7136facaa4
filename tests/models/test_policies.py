"""What holds for every architecture: executable chunks of the moment alone, and a distribution that is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vgps_models import checkpoint
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.policies import ARCHITECTURES, describe, make_net
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.policies.network import ChunkNet, gripper_numbers, inverse_cdf
from vgps_models.spaces import GRIPPER, ActionSpec
from vgps_models.training.policy import PolicyTraining, train_policy

SMALL = {"width": 32, "words": 8}
DENSITIES = {"gmm", "tokens"}  # architectures that can tell how likely a chunk is


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def policy(name, encoder_file, episodes, cache, tmp_path_factory) -> ChunkPolicy:
    """Trained for a moment, written and read again."""
    out = tmp_path_factory.mktemp(name) / "policy.safetensors"
    train_policy(
        PolicyTraining(
            data=episodes, architecture=name, encoder=str(encoder_file), out=out, cache=cache,
            steps=4, batch=16, threads=1, held_out=0.2, model=dict(SMALL),
        )
    )  # fmt: skip
    return checkpoint.load_policy(out)


@pytest.fixture
def net(name) -> ChunkNet:
    torch.manual_seed(0)
    return make_net({"name": name, "features": 5, "chunk": 14, **SMALL}).eval()


@pytest.fixture
def asked() -> tuple[torch.Tensor, torch.Tensor]:
    """Features and sentences of three moments."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 5, generator=generator), nn.functional.normalize(torch.randn(3, 384, generator=generator))


def noise_for(net: ChunkNet, k: int, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, k, net.noise_width, generator=torch.Generator().manual_seed(2))


# ---------------------------------------------------------------- the policy, from an observation


@pytest.mark.parametrize("k", [1, 2, 10, 50])
def test_samples_are_executable_as_they_are(policy, observe, k):
    chunks = policy.sample(observe(3), k).chunks
    assert chunks.shape == (k, policy.spec.horizon, 7) and chunks.dtype == np.float64
    assert np.allclose(policy.spec.clip(chunks), chunks, rtol=0, atol=1e-12)
    assert set(np.unique(chunks[..., GRIPPER])) <= {0.0, 1.0}


def test_the_same_moment_gives_the_same_proposal(policy, observe):
    first, again, later = policy.sample(observe(3), 5), policy.sample(observe(3), 5), policy.sample(observe(4), 5)
    assert np.array_equal(first.chunks, again.chunks)
    assert not np.allclose(first.chunks, later.chunks)


@pytest.mark.parametrize("step", range(3))
def test_the_bare_policys_chunk_is_the_first_of_any_k(policy, observe, step):
    ten = policy.sample(observe(step), 10)
    for k in (1, 3, 50):
        made, fewer = policy.sample(observe(step), k), min(k, 10)
        assert np.allclose(made.chunks[:fewer], ten.chunks[:fewer], atol=1e-5)
        if ten.log_prob is not None:
            assert np.allclose(made.log_prob[:fewer], ten.log_prob[:fewer], atol=1e-3)


def test_chunks_are_diverse(policy, observe):
    assert policy.sample(observe(0), 10).chunks[..., :3].std(axis=0).min() > 0


def test_densities_are_finite_numbers_or_none(name, policy, observe):
    log_prob = policy.sample(observe(0), 6).log_prob
    assert (log_prob is not None) == (name in DENSITIES)
    if log_prob is not None:
        assert log_prob.shape == (6,) and log_prob.dtype == np.float64 and np.isfinite(log_prob).all()


def test_no_chunks_is_refused(policy, observe):
    with pytest.raises(SpecError, match="at least one"):
        policy.sample(observe(0), 0)


def test_a_chunk_of_another_length_is_refused(policy):
    with pytest.raises(SpecError, match="8 x 7"):
        ChunkPolicy(policy.perception, policy.net, ActionSpec(horizon=8), policy.normaliser)


# ---------------------------------------------------------------- the network, from noise


def test_a_chunk_depends_on_its_row_of_noise_alone(net, asked):
    noise = noise_for(net, 6)
    chunks, log_prob = net.draw(noise, *asked)
    assert chunks.shape == (3, 6, 14)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(net.draw(noise[:, order], *asked)[0], chunks[:, order], atol=1e-5)
    other = noise.clone()
    other[:, 2] += 1.0
    changed, changed_log_prob = net.draw(other, *asked)
    same = (changed - chunks).abs().amax((0, 2)) < 1e-5
    assert same.tolist() == [True, True, False, True, True, True]
    if log_prob is not None:
        assert torch.allclose(changed_log_prob[:, [0, 1, 3, 4, 5]], log_prob[:, [0, 1, 3, 4, 5]], atol=1e-4)


def test_a_moment_in_a_batch_is_drawn_as_alone(net, asked):
    noise = noise_for(net, 4)
    together, _ = net.draw(noise, *asked)
    for b in range(3):
        alone, _ = net.draw(noise[b : b + 1], asked[0][b : b + 1], asked[1][b : b + 1])
        assert torch.allclose(alone[0], together[b], atol=1e-5)


def test_the_loss_reaches_every_weight(net, asked):
    chunk = torch.rand(3, 14, generator=torch.Generator().manual_seed(3)) * 2 - 1
    chunk[:, gripper_numbers(14)] = chunk[:, gripper_numbers(14)].sign()
    loss = net.loss(chunk, *asked, torch.Generator().manual_seed(4))
    loss.backward()
    assert loss.shape == () and torch.isfinite(loss)
    for weight, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), weight
        assert parameter.grad.abs().sum() > 0, weight


def test_the_loss_is_a_function_of_the_generator(net, asked):
    chunk = torch.full((3, 14), 1.0)
    one, same = (net.loss(chunk, *asked, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, same)


def test_a_described_network_can_be_made_again(net, asked):
    twin = make_net(describe(net)).eval()
    assert type(twin) is type(net) and twin.config == net.config
    twin.load_state_dict(net.state_dict())
    noise = noise_for(net, 3)
    assert torch.equal(twin.draw(noise, *asked)[0], net.draw(noise, *asked)[0])


def test_a_conditional_distribution_is_learned(name):
    """One sentence has two places, the other has one: both places are visited and nothing between them."""
    torch.manual_seed(0)
    net = make_net({"name": name, "features": 2, "chunk": 2, "width": 64, "words": 8})
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    words = nn.functional.normalize(torch.randn(2, 384), dim=-1)
    places = torch.tensor([[[0.7, 0.3], [-0.6, -0.4]], [[-0.5, 0.6], [-0.5, 0.6]]])
    generator = torch.Generator().manual_seed(1)
    for step in range(600):
        sentence = torch.randint(0, 2, (256,), generator=generator)
        place = torch.randint(0, 2, (256,), generator=generator)
        chunk = places[sentence, place] + 0.08 * torch.randn(256, 2, generator=generator)
        loss = net.loss(chunk, torch.zeros(256, 2), words[sentence], generator)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / 600)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    made, _ = net.draw(noise_for(net, 500, batch=2), torch.zeros(2, 2), words)

    def visited(drawn: torch.Tensor) -> torch.Tensor:
        """Which places samples (2 sentences, 500, 2) are at: (2, 500, 2)."""
        return (drawn[:, :, None] - places[:, None]).norm(dim=-1) < 0.3

    near = visited(made)
    # What has one place only to go to, with the right mean and spread, is mostly at none.
    middle, apart = places.mean(1, keepdim=True), places.diff(dim=1) / 2
    single = visited(middle + apart * torch.randn(2, 500, 1, generator=generator))
    assert near[0].any(-1).float().mean() > single[0].any(-1).float().mean() + 0.25
    assert near[1].any(-1).float().mean() > 0.75
    assert (near[0].float().mean(0) > 0.2).all()  # both places, and each is at most the other 80 %
    for sentence, place in ((0, 0), (0, 1), (1, 0)):
        there = made[sentence, near[sentence, :, place]]
        assert (there.mean(0) - places[sentence, place]).norm() < 0.1 * (places[0, 0] - places[0, 1]).norm()
        assert 0.25 * 0.08 < float(there.std(0).mean()) < 2 * 0.08


# ---------------------------------------------------------------- names and sizes


def test_an_unknown_architecture_lists_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        make_net({"name": "gan"})
    assert caught.value.valid == tuple(sorted(ARCHITECTURES))


def test_an_unknown_size_lists_the_known_ones(name):
    with pytest.raises(SpecError) as caught:
        make_net({"name": name, "wings": 2})
    config, _ = ARCHITECTURES[name]
    assert "wings" in str(caught.value) and all(size in str(caught.value) for size in config.__dataclass_fields__)


# ---------------------------------------------------------------- drawing a choice by one number


def test_choices_come_as_often_as_they_should():
    probability = torch.tensor([0.1, 0.0, 0.6, 0.3])
    noise = torch.special.ndtri((torch.arange(1000) + 0.5) / 1000)
    assert torch.bincount(inverse_cdf(noise, probability), minlength=4).tolist() == [100, 0, 600, 300]


@pytest.mark.parametrize("probability", [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1e-7, 1.0]])
def test_what_cannot_be_is_never_chosen(probability):
    chosen = inverse_cdf(torch.tensor([-40.0, -6.0, 0.0, 6.0, 40.0]), torch.tensor(probability))
    assert (torch.tensor(probability)[chosen] > 0).all()
