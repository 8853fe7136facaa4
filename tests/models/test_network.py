"""The critic: scores of K chunks, one by one or all at once, from heads that share nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.critics.network import CriticConfig, QEnsemble
from vgps_models.errors import SpecError
from vgps_models.training.bench import ScoreBench, bench_score


@pytest.fixture(scope="module")
def critic(critic_file):
    return checkpoint.load_critic(critic_file)


@pytest.fixture(scope="module")
def candidates(policy_file, observe):
    return checkpoint.load_policy(policy_file).sample(observe(0), 12).chunks


def test_scores_have_one_mean_and_spread_a_chunk(critic, candidates, observe):
    mean, std = critic.score(critic.encode(observe(0)), candidates)
    assert mean.shape == std.shape == (12,)
    assert np.isfinite(mean).all() and (std > 0).all()


def test_scoring_all_at_once_is_scoring_one_by_one_in_any_order(critic, candidates, observe):
    features = critic.encode(observe(0))
    mean, std = critic.score(features, candidates)
    alone = np.array([critic.score(features, candidates[i : i + 1]) for i in range(12)])[:, :, 0]
    assert np.allclose(alone, np.stack([mean, std], axis=1), atol=1e-3)
    order = np.random.default_rng(0).permutation(12)
    assert np.allclose(critic.score(features, candidates[order])[0], mean[order], atol=1e-3)


def test_another_moment_or_sentence_gives_other_scores(critic, candidates, observe):
    here = critic.score(critic.encode(observe(0)), candidates)[0]
    assert np.allclose(here, critic.score(critic.encode(observe(0)), candidates)[0])
    assert not np.allclose(here, critic.score(critic.encode(observe(1)), candidates)[0])
    other = observe(0, instruction="put the carrot on the plate")
    assert not np.allclose(here, critic.score(critic.encode(other), candidates)[0])


@pytest.mark.parametrize("shape", [(4, 7), (2, 3, 7), (2, 4, 6)])
def test_candidates_of_another_shape_are_refused(critic, observe, shape):
    with pytest.raises(SpecError, match=r"\(K, 4, 7\)"):
        critic.score(critic.encode(observe(0)), np.zeros(shape))


def test_heads_share_no_layer():
    net = QEnsemble(CriticConfig(features=5, chunk=14, heads=4, width=16))
    q = net(torch.randn(3, 5), torch.randn(3, 384), torch.randn(3, 2, 14))
    assert q.shape == (4, 3, 2)
    q[1].sum().backward()
    for name, parameter in net.named_parameters():
        grad = parameter.grad
        assert grad is not None and grad.shape[0] == 4, name
        assert grad[1].abs().sum() > 0 and grad[[0, 2, 3]].abs().sum() == 0, name


def test_the_bench_reports_what_the_design_asks_for():
    told = bench_score(ScoreBench(rounds=3, k=(1, 10, 50)))
    assert told["image"] == 128 and set(told["k"]) == {"1", "10", "50"}
    assert all(row["p99_ms"] >= row["p50_ms"] > 0 for row in told["k"].values())
    assert told["candidates_to_choice_ms"]["p50"] > 0
