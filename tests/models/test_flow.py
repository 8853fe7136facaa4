"""The flow policy: executable chunks, the same for the same moment, whatever K is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.policies.flow import FlowConfig, VelocityNet
from vgps_models.spaces import GRIPPER


@pytest.fixture(scope="module")
def policy(policy_file):
    return checkpoint.load_policy(policy_file)


@pytest.mark.parametrize("k", [1, 2, 10, 50])
def test_samples_are_executable_as_they_are(policy, observe, k):
    chunks = policy.sample(observe(3), k).chunks
    assert chunks.shape == (k, policy.spec.horizon, 7) and chunks.dtype == np.float64
    assert np.allclose(policy.spec.clip(chunks), chunks, rtol=0, atol=1e-12)
    assert set(np.unique(chunks[..., GRIPPER])) <= {0.0, 1.0}


def test_the_same_moment_gives_the_same_chunks(policy, observe):
    first, again, later = (
        policy.sample(observe(3), 5).chunks,
        policy.sample(observe(3), 5).chunks,
        policy.sample(observe(4), 5).chunks,
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, later)


@pytest.mark.parametrize("step", range(5))
def test_the_bare_policys_chunk_is_the_first_of_any_k(policy, observe, step):
    ten = policy.sample(observe(step), 10).chunks
    for k in (1, 3, 50):
        fewer = min(k, 10)
        assert np.allclose(policy.sample(observe(step), k).chunks[:fewer], ten[:fewer], atol=1e-5)


def test_chunks_are_diverse(policy, observe):
    assert policy.sample(observe(0), 10).chunks[..., :3].std(axis=0).min() > 0


def test_no_chunks_is_refused(policy, observe):
    with pytest.raises(SpecError, match="at least one"):
        policy.sample(observe(0), 0)


def test_a_chunk_of_another_length_is_refused(policy):
    from vgps_models.policies.chunk import ChunkPolicy
    from vgps_models.spaces import ActionSpec

    with pytest.raises(SpecError, match="8 x 7"):
        ChunkPolicy(policy.perception, policy.net, ActionSpec(horizon=8), policy.normaliser)


def test_the_flow_learns_a_conditional_distribution():
    """Two sentences, two places: samples end near the right one, with the spread of the data."""
    torch.manual_seed(0)
    net = VelocityNet(FlowConfig(features=2, chunk=2, width=64, depth=3, words=8))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    words = torch.nn.functional.normalize(torch.randn(2, 384), dim=-1)
    centres = torch.tensor([[0.7, 0.3], [-0.5, -0.6]])
    generator = torch.Generator().manual_seed(1)
    for _ in range(400):
        which = torch.randint(0, 2, (256,), generator=generator)
        chunk = centres[which] + 0.1 * torch.randn(256, 2, generator=generator)
        loss = net.loss(chunk, torch.zeros(256, 2), words[which], generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    start = torch.randn(2, 300, 2, generator=generator)
    made = net.draw(start, torch.zeros(2, 2), words)[0]
    assert torch.allclose(made.mean(1), centres, atol=0.1)
    assert 0.04 < float(made.std(1).mean()) < 0.2
