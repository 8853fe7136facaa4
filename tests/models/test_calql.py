"""Cal-QL: CQL whose pessimism stops at the return that the data got."""

from __future__ import annotations

import pytest
import torch
from random_batch import make_batch, make_learner


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_calibration_stops_the_push_below_the_datas_return(head):
    """Where the data did better than Q says, no gradient reaches the policy's chunks; CQL goes on pushing."""
    for algorithm, pushed in (("calql", False), ("cql", True)):
        learner = make_learner(algorithm, head)
        batch = make_batch(learner, mc_return=1.0, wrong=0)
        for chunks in (batch.policy_chunks, batch.uniform_chunks):
            chunks.requires_grad_(True)
        told = learner.losses(batch)
        told["loss"].backward()
        assert batch.policy_chunks.grad is not None and batch.uniform_chunks.grad is not None
        assert bool(batch.policy_chunks.grad.abs().sum() > 0) is pushed
        assert batch.uniform_chunks.grad.abs().sum() > 0  # what nobody would do is pushed all the same
        assert algorithm == "cql" or told["calibrated"] == 1


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_without_a_bound_it_is_cql(head):
    calql, cql = make_learner("calql", head), make_learner("cql", head)
    batch = make_batch(calql, mc_return=-1e6)
    told = calql.losses(batch)
    assert torch.equal(told["loss"], cql.losses(batch)["loss"]) and told["calibrated"] == 0
