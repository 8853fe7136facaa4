"""What every algorithm promises, with either head."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_batch import CASES, descend, make_batch, make_learner

from vgps_models.critics import ALGORITHMS, require_algorithm
from vgps_models.critics.network import Ensemble
from vgps_models.errors import UnknownNameError


@pytest.mark.parametrize(("algorithm", "head"), CASES)
def test_learning_lowers_the_loss_and_changes_no_target_by_gradient(algorithm, head):
    learner = make_learner(algorithm, head, polyak=0.0)
    targets = [copy.deepcopy(target) for _, target in learner.pairs()]
    told = descend(learner, make_batch(learner), 40)
    assert told[-1]["loss"] < told[0]["loss"]
    for before, (_, after) in zip(targets, learner.pairs(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


@pytest.mark.parametrize(("algorithm", "head"), CASES)
def test_heads_learn_alone(algorithm, head):
    """Every head's loss asks nothing of another head, unless the ensemble chooses together."""
    learner = make_learner(algorithm, head)
    if algorithm in ("calql", "cql"):
        learner = make_learner(algorithm, head, backup="per_head")
    batch = make_batch(learner)
    learner.losses(batch)["loss"].backward()
    before = {name: p.grad[1].clone() for name, p in learner.named_parameters() if p.grad is not None}
    learner.zero_grad()
    with torch.no_grad():
        for module in learner.modules():
            if isinstance(module, Ensemble):
                for parameter in module.parameters():
                    parameter[[0, 2]] += torch.randn_like(parameter[[0, 2]])
    learner.losses(batch)["loss"].backward()
    for name, parameter in learner.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(parameter.grad[1], before[name], atol=1e-5), name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=10, deadline=None)
@given(rate=st.floats(0.001, 1.0))
def test_targets_follow_by_their_rate(algorithm, rate):
    learner = make_learner(algorithm, polyak=rate)
    for network, target in learner.pairs():
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(1.0)
        before, goal = copy.deepcopy(target), copy.deepcopy(network)
        learner.follow()
        for a, b, now in zip(before.parameters(), goal.parameters(), target.parameters(), strict=True):
            assert torch.allclose(now, a + rate * (b - a), atol=1e-5)
        assert all(torch.equal(a, b) for a, b in zip(goal.parameters(), network.parameters(), strict=True))


@pytest.mark.parametrize(("algorithm", "head"), CASES)
def test_a_wrong_instruction_is_worth_never_succeeding(algorithm, head):
    learner = make_learner(algorithm, head, wrong_weight=5.0)
    told = descend(learner, make_batch(learner), 200, rate=1e-2)
    assert told[-1]["q_wrong"] == pytest.approx(learner.config.never, abs=3.0)
    assert told[-1]["q_data"] > told[-1]["q_wrong"] + 5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_negatives_can_be_missing_or_left_out(algorithm):
    learner = make_learner(algorithm)
    told = learner.losses(make_batch(learner, wrong=0))
    assert "wrong" not in told and torch.isfinite(told["loss"])
    without = make_learner(algorithm, wrong_weight=0.0)
    assert torch.equal(without.losses(make_batch(without, wrong=3))["loss"], told["loss"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_network_knows_the_scale_of_the_features(algorithm):
    learner = make_learner(algorithm)
    batch = make_batch(learner)
    mean, std = torch.randn(6), torch.rand(6) + 0.5
    plain = learner.losses(batch)["loss"]
    learner.standardise(mean, std)
    names = ("features", "next_features", "option_features", "wrong_features")
    moved = {f: getattr(batch, f) * std + mean for f in names}
    fields = {f: getattr(batch, f) for f in batch.__dataclass_fields__} | moved
    assert torch.allclose(learner.losses(type(batch)(**fields))["loss"], plain, rtol=1e-4)


def test_an_unknown_algorithm_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="calql, cql, iql, ota"):
        require_algorithm("sarsa")
