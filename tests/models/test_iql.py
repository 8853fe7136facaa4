"""IQL: expectiles by both heads, and targets by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_batch import make_batch, make_learner

from vgps_models.critics.heads import HLGauss, Scalar
from vgps_models.critics.iql import IQL, expectile_weight


def expectile(values: np.ndarray, tau: float) -> float:
    """Where the pull of what is above, weighted tau, and of what is below, 1 - tau, are equal; by bisection."""
    low, high = values.min(), values.max()
    for _ in range(60):
        middle = (low + high) / 2
        pull = np.where(values < middle, 1 - tau, tau) * (values - middle)
        low, high = (middle, high) if pull.sum() > 0 else (low, middle)
    return float((low + high) / 2)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-45, -5), min_size=2, max_size=6), st.sampled_from([0.5, 0.7, 0.9]))
def test_the_weighted_misfit_of_either_head_is_least_at_the_expectile(values, tau):
    """Newton steps are too clever for a loss whose weights jump: what is tested is that the gradient vanishes there."""
    targets = torch.tensor(values)
    e = torch.tensor(expectile(np.array(values), tau))
    scalar = Scalar(-25.0, 10.0)
    raw = ((e - scalar.centre) / scalar.scale).reshape(1, 1).requires_grad_(True)
    weight = expectile_weight(targets - e, tau)
    (weight * scalar.misfit(raw.expand(len(values), 1), targets)).sum().backward()
    assert raw.grad is not None and raw.grad.abs().max() < 0.05 * max(1.0, float(targets.std()))
    # A histogram's best answer under fixed weights is the weighted mean of the labels; its value is the expectile.
    histogram = HLGauss(-50.0, 50)
    best = (weight[:, None] * histogram.labels(targets)).sum(0) / weight.sum()
    assert histogram.value(best.clamp_min(1e-30).log()).item() == pytest.approx(float(e), abs=0.05)


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
@pytest.mark.parametrize("clipped", [False, True])
def test_v_looks_up_to_target_q_and_q_to_v_of_what_followed(head, clipped):
    learner = make_learner("iql", head, expectile=0.7, clipped=clipped, wrong_weight=0.0)
    assert isinstance(learner, IQL)
    batch = make_batch(learner)
    told = learner.losses(batch)
    misfit = learner.net.head.misfit
    with torch.no_grad():
        q = learner.target(batch.features, batch.sentence, batch.chunk[:, None])[..., 0]
        q = q.amin(0).expand_as(q) if clipped else q
        v = learner.value(batch.features, batch.sentence)
        weight = torch.where(q < v, 0.3, 0.7)
        assert torch.allclose(
            told["value"], (weight * misfit(learner.value.raw(batch.features, batch.sentence), q)).mean()
        )
        y = batch.reward + batch.discount * learner.value(batch.next_features, batch.sentence)
        raw = learner.net.raw(batch.features, batch.sentence, batch.chunk[:, None])[:, :, 0]
        assert torch.allclose(told["td"], misfit(raw, y).mean())
    assert torch.allclose(told["loss"], told["td"] + told["value"])


def test_it_asks_for_no_policy_samples():
    needs = make_learner("iql").config.needs
    assert (needs.policy, needs.following, needs.uniform, needs.option) == (0, 0, 0, 0)
