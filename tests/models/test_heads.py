"""Output heads: labels of HL-Gauss, and the value that is said when the misfit is least."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vgps_models.critics.heads import BLUR, HEADS, MARGIN, HLGauss, make_head
from vgps_models.errors import SpecError, UnknownNameError

histograms = st.builds(HLGauss, st.floats(-200, -1), st.integers(2, 200))
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(histograms, fractions)
def test_labels_are_probabilities_whose_mean_is_the_target(head, where):
    target = head.low * torch.tensor(where)
    labels = head.labels(target)
    assert labels.shape == (len(where), head.outputs) and (labels >= 0).all()
    assert torch.allclose(labels.sum(-1), torch.ones(len(where)), atol=1e-5)
    assert torch.allclose(labels @ head.centres, target, atol=0.01 * head.step)  # also at both ends


@given(histograms, fractions)
def test_labels_are_as_wide_as_the_paper_says(head, where):
    """sigma is .75 of a bin; sorting into bins adds the variance of a uniform bin."""
    target = head.low * torch.tensor(where)
    spread = (head.labels(target) * (head.centres - target[:, None]).square()).sum(-1).sqrt() / head.step
    assert torch.allclose(spread, torch.full_like(spread, math.sqrt(BLUR**2 + 1 / 12)), atol=0.02)


@given(histograms)
def test_impossible_returns_are_clipped(head):
    beyond = torch.tensor([head.low * 3, 2 * head.step])
    assert torch.equal(head.labels(beyond), head.labels(torch.tensor([head.low - head.step, head.step])))


@given(histograms, fractions)
def test_the_best_histogram_says_the_target(head, where):
    target = head.low * torch.tensor(where)
    best = head.labels(target).clamp_min(1e-30).log()
    assert torch.allclose(head.value(best), target, atol=0.01 * head.step)
    entropy = head.misfit(best, target)
    worse = head.misfit(best + 0.1 * torch.randn_like(best), target)
    assert (worse >= entropy - 1e-5).all()


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=5, deadline=None)
@given(where=st.lists(st.floats(0.05, 0.95), min_size=1, max_size=6))
def test_descent_on_the_misfit_finds_the_mean_of_the_targets(name, where):
    head = make_head(name, centre=-25.0, scale=10.0, low=-50.0, bins=25)
    targets = -50.0 * torch.tensor(where)
    raw = torch.zeros(1, head.outputs, requires_grad=True)
    optimiser = torch.optim.Adam([raw], 0.1)
    for _ in range(400):
        loss = head.misfit(raw.expand(len(where), -1), targets).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert head.value(raw).item() == pytest.approx(targets.mean().item(), abs=0.3)


@given(st.floats(-40, -10), st.floats(0.1, 3.0))
def test_pulling_a_scalar_is_a_linear_term(value, weight):
    head = make_head("scalar", centre=-25.0, scale=10.0, low=-50.0, bins=25)
    for direction in (1, -1):
        raw = torch.tensor([(value + 25.0) / 10.0], requires_grad=True)
        (weight * head.pull(raw, direction)).backward()
        assert raw.grad is not None and raw.grad.item() == pytest.approx(-direction * weight * 10.0, rel=1e-3)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(("up", "down"), [(0.0, 1.0), (1.5, 0.5), (0.0, 4.0)])
def test_a_misfit_and_pulls_balance_at_the_same_value_with_either_head(name, up, down):
    """(v - y)^2 + (down - up) v is least at v = y - (down - up) / 2."""
    head = make_head(name, centre=-25.0, scale=10.0, low=-50.0, bins=25)
    raw = torch.zeros(1, head.outputs, requires_grad=True)
    optimiser = torch.optim.Adam([raw], 0.1)
    for i in range(1500):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - i / 1500)
        loss = (head.misfit(raw, torch.tensor([-20.0])) + up * head.pull(raw, 1) + down * head.pull(raw, -1)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert head.value(raw).item() == pytest.approx(-20.0 - (down - up) / 2, abs=0.05)


@pytest.mark.parametrize("name", HEADS)
def test_any_shape_in_front_and_half_precision_are_fine(name):
    head = make_head(name, centre=-25.0, scale=10.0, low=-50.0, bins=25)
    raw = torch.randn(2, 3, 4, head.outputs)
    assert head.value(raw).shape == head.misfit(raw, torch.full((3, 4), -7.0)).shape == (2, 3, 4)
    rough: Tensor = head.value(raw.bfloat16())
    assert rough.dtype == torch.float32 and torch.allclose(rough, head.value(raw), atol=0.5)


def test_a_head_has_nothing_to_save():
    """So that checkpoints from before there were heads still load."""
    assert all(not make_head(n, centre=0.0, scale=1.0, low=-1.0, bins=4).state_dict() for n in HEADS)


def test_what_makes_no_histogram_is_refused():
    for low, bins in ((0.0, 10), (-1.0, 1)):
        with pytest.raises(SpecError, match="low < 0 and at least 2 bins"):
            HLGauss(low, bins)
    with pytest.raises(UnknownNameError, match="hl_gauss, scalar"):
        make_head("quantile", centre=0.0, scale=1.0, low=-1.0, bins=4)
    assert HLGauss(-1.0, 10).outputs == 10 + 2 * MARGIN
