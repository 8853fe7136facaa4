"""CQL: the backups, the Bellman target by hand, and what its pessimism does."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_batch import descend, make_batch, make_learner

from vgps_models.critics.base import backup_value
from vgps_models.critics.cql import CQL, conservatism, soft_maximum
from vgps_models.critics.heads import Scalar

BACKUPS = ("per_head", "mean", "min")


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7), st.integers(0, 10**6))
def test_backups_are_ordered_and_agree_for_one_head_or_one_chunk(heads, batch, chunks, seed):
    q = torch.randn(heads, batch, chunks, generator=torch.Generator().manual_seed(seed))
    per_head, mean, smallest = (backup_value(q, b) for b in BACKUPS)
    assert per_head.shape == mean.shape == smallest.shape == (heads, batch)
    assert (per_head >= mean).all() and (per_head.amin(0) >= smallest[0] - 1e-6).all()
    if heads == 1:
        assert torch.equal(per_head, mean) and torch.equal(mean, smallest)
    if chunks == 1:
        assert torch.equal(per_head, mean) and torch.equal(smallest[0], q.amin(0)[:, 0])


@pytest.mark.parametrize("backup", BACKUPS)
@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_td_target_is_reward_plus_discounted_backup(backup, head):
    learner = make_learner("cql", head, backup=backup, backup_chunks=2)
    assert isinstance(learner, CQL)
    batch = make_batch(learner)
    y = learner.td_target(batch)
    q = learner.net(batch.next_features, batch.sentence, batch.next_chunks[:, :2])
    assert torch.allclose(y, batch.reward + batch.discount * backup_value(q, backup))
    ended = batch.discount == 0
    assert ended.any() and torch.allclose(y[:, ended], batch.reward[ended].expand(3, -1))


@given(st.integers(1, 8), st.integers(0, 10**6))
def test_the_soft_maximum_lies_between_mean_and_maximum(chunks, seed):
    q = 5 * torch.randn(2, 3, chunks, generator=torch.Generator().manual_seed(seed))
    soft = soft_maximum(q)
    assert (soft <= q.amax(-1) + 1e-4).all() and (soft >= q.mean(-1) - 1e-4).all()
    assert (soft >= q.amax(-1) - math.log(chunks) - 1e-4).all()


def test_a_scalar_heads_conservatism_is_the_published_one():
    """Its gradient is that of the soft maximum minus the data's Q."""
    head = Scalar(-25.0, 10.0)
    raw_data, raw_others = torch.randn(2, 5, 1), torch.randn(2, 5, 6, 1)
    grads = []
    for published in (True, False):
        data, others = raw_data.clone().requires_grad_(True), raw_others.clone().requires_grad_(True)
        q, q_others = head.value(data), head.value(others)
        if published:
            loss = (soft_maximum(q_others) - q).mean()
        else:
            loss = conservatism(head, data, others, q_others.softmax(-1))
        grads.append(torch.autograd.grad(loss, [data, others]))
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_the_conservative_term_lowers_unseen_chunks_relative_to_the_data(head):
    learner = make_learner("cql", head, alpha=5.0, wrong_weight=0.0)
    told = descend(learner, make_batch(learner, 32), 300, rate=1e-2)
    gap = [t["q_data"] - max(t["q_random"], t["q_policy"]) for t in told]
    assert gap[-1] > gap[0] + 1.0


def test_without_pessimism_the_loss_is_the_bellman_error():
    learner = make_learner("cql", alpha=0.0, wrong_weight=0.0)
    told = learner.losses(make_batch(learner))
    assert torch.equal(told["loss"], told["td"])
