"""Cal-QL: targets by hand, calibration, and a chain whose true values are known."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.critics import calql
from vgps_models.critics.calql import Batch, CalQLConfig
from vgps_models.critics.network import CriticConfig, QEnsemble

FEATURES, CHUNK = 6, 14


def make_net(seed: int = 0) -> QEnsemble:
    torch.manual_seed(seed)
    return QEnsemble(CriticConfig(features=FEATURES, chunk=CHUNK, heads=4, width=32, words=4))


def make_batch(size: int = 8, wrong: int = 3, seed: int = 0, never: float = -50.0) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g)

    return Batch(
        features=normal(size, FEATURES), sentence=normal(size, 384), chunk=normal(size, CHUNK),
        reward=-torch.rand(size, generator=g) * 4, discount=0.9 * (torch.rand(size, generator=g) > 0.3),
        next_features=normal(size, FEATURES), next_chunks=normal(size, 4, CHUNK), policy_chunks=normal(size, 4, CHUNK),
        mc_return=torch.full((size,), never),
        wrong_features=normal(wrong, FEATURES), wrong_sentence=normal(wrong, 384), wrong_chunk=normal(wrong, CHUNK),
    )  # fmt: skip


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7), st.integers(0, 10**6))
def test_backups_are_ordered_and_agree_for_one_head_or_one_chunk(heads, batch, chunks, seed):
    q = torch.randn(heads, batch, chunks, generator=torch.Generator().manual_seed(seed))
    per_head, mean, smallest = (calql.backup_value(q, b) for b in ("per_head", "mean", "min"))
    assert per_head.shape == mean.shape == smallest.shape == (heads, batch)
    assert (per_head >= mean).all() and (per_head.amin(0) >= smallest[0] - 1e-6).all()
    if heads == 1:
        assert torch.equal(per_head, mean) and torch.equal(mean, smallest)
    if chunks == 1:
        assert torch.equal(per_head, mean) and torch.equal(smallest[0], q.amin(0)[:, 0])


@pytest.mark.parametrize("backup", ["per_head", "mean", "min"])
def test_td_target_is_reward_plus_discounted_backup(backup):
    net, batch = make_net(), make_batch()
    y = calql.td_target(net, batch, CalQLConfig(backup=backup))
    q = net(batch.next_features, batch.sentence, batch.next_chunks)
    assert torch.allclose(y, batch.reward + batch.discount * calql.backup_value(q, backup))
    ended = batch.discount == 0
    assert ended.any() and torch.allclose(y[:, ended], batch.reward[ended].expand(4, -1))


def test_calibration_stops_the_push_below_the_datas_return():
    """Where the data did better than Q says, raising the policy chunks' Q costs nothing."""
    net, config = make_net(), CalQLConfig(random_chunks=1, wrong_weight=0.0)
    high = replace(make_batch(), mc_return=torch.zeros(8))
    told = calql.losses(net, net, high, config, torch.Generator().manual_seed(0))
    assert told["calibrated"] == 1
    low = calql.losses(net, net, make_batch(never=-1e6), config, torch.Generator().manual_seed(0))
    assert low["calibrated"] == 0 and low["conservative"] < told["conservative"]


def test_the_conservative_term_lowers_unseen_chunks_relative_to_the_data():
    net, batch = make_net(), make_batch(32)
    target = copy.deepcopy(net)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    gaps = []
    for i in range(60):
        told = calql.losses(net, target, batch, CalQLConfig(alpha=5.0), torch.Generator().manual_seed(i))
        gaps.append(float(told["q_data"] - told["q_random"]))
        optimiser.zero_grad()
        told["loss"].backward()
        optimiser.step()
    assert gaps[-1] > gaps[0] + 1.0


def test_a_batch_without_negatives_is_a_batch():
    net = make_net()
    told = calql.losses(net, net, make_batch(wrong=0), CalQLConfig(), torch.Generator().manual_seed(0))
    assert "wrong" not in told and torch.isfinite(told["loss"])


@settings(max_examples=20)
@given(st.floats(0.001, 1.0))
def test_polyak_moves_the_target_by_its_rate(rate):
    net, target = make_net(0), make_net(1)
    before, goal = target.out.weight.clone(), net.out.weight.clone()
    calql.polyak(net, target, rate)
    assert torch.allclose(target.out.weight, before + rate * (goal - before), atol=1e-6)
    assert torch.equal(net.out.weight, goal)


def test_a_chain_is_valued_as_it_deserves():
    """States 0..5 in a row, one good chunk (a step on) and a bad one (stay); success on leaving the last.

    Chunks of n = 2 steps cost -(1 + gamma); the last one succeeds on its second step and costs 1.
    A policy that proposes both chunks is worth its best, so Q(s, good) = -(1 - gamma^(2 d - 1)) / (1 - gamma)
    with d chunks to go, and Q(s, bad) is a chunk's cost and the discounted value of the same state.
    """
    gamma, length = 0.9, 6
    config = CalQLConfig(gamma=gamma, alpha=0.0, polyak=0.05, wrong_weight=0.0, backup="mean")
    good, bad = torch.ones(CHUNK), -torch.ones(CHUNK)
    state, moves = torch.arange(length).repeat(2), torch.arange(2).repeat_interleave(length)
    following = (state + 1 - moves).clamp(max=length - 1)
    ends = (state == length - 1) & (moves == 0)
    sentence = torch.full((2 * length, 384), 384**-0.5)
    both = torch.stack([good, bad]).expand(2 * length, 2, CHUNK)
    eye = 3 * torch.eye(length)
    batch = Batch(
        features=eye[state], sentence=sentence, chunk=torch.where(moves[:, None] == 0, good, bad),
        reward=torch.where(ends, -1.0, -(1 + gamma)), discount=torch.where(ends, 0.0, gamma**2),
        next_features=eye[following], next_chunks=both, policy_chunks=both, mc_return=torch.zeros(2 * length),
        wrong_features=eye[:0], wrong_sentence=sentence[:0], wrong_chunk=both[:0, 0],
    )  # fmt: skip
    torch.manual_seed(0)
    net = QEnsemble(CriticConfig(features=length, chunk=CHUNK, heads=2, width=64, words=4, centre=-5.0, scale=5.0))
    target = copy.deepcopy(net)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for i in range(600):
        loss = calql.losses(net, target, batch, config, torch.Generator().manual_seed(i))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        calql.polyak(net, target, config.polyak)
    q = net(batch.features, sentence, batch.chunk[:, None]).mean(0)[:, 0].detach().numpy()
    steps = 2 * (length - np.arange(length)) - 1
    value = -(1 - gamma**steps) / (1 - gamma)
    assert np.abs(q[:length] - value).max() < 0.25
    assert np.abs(q[length:] - (-(1 + gamma) + gamma**2 * value)).max() < 0.25
    assert (q[:length] > q[length:]).all()
