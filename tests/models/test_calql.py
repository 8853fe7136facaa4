"""Cal-QL: CQL whose pessimism stops at the return that the data got."""

from __future__ import annotations

import pytest
import torch
from random_batch import make_batch, make_learner


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_calibration_stops_the_push_below_the_datas_return(head):
    learner = make_learner("calql", head)
    low = learner.losses(make_batch(learner, mc_return=-1e6))
    high = learner.losses(make_batch(learner, mc_return=0.1))
    assert low["calibrated"] == 0 and high["calibrated"] == 1
    assert low["conservative"] < high["conservative"]
    assert torch.equal(low["td"], high["td"])


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_where_the_data_did_better_policy_chunks_are_let_alone(head):
    """Their Q then has no gradient at all; CQL goes on pushing."""
    for algorithm, pushed in (("calql", False), ("cql", True)):
        learner = make_learner(algorithm, head, random_chunks=0)
        batch = make_batch(learner, mc_return=1.0, wrong=0)
        for name in ("policy_chunks", "next_chunks"):
            getattr(batch, name).requires_grad_(True)
        learner.losses(batch)["conservative"].backward()
        assert batch.policy_chunks.grad is not None
        assert bool(batch.policy_chunks.grad.abs().sum() > 0) is pushed


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_without_a_bound_it_is_cql(head):
    calql, cql = make_learner("calql", head), make_learner("cql", head)
    batch = make_batch(calql, mc_return=-1e6)
    assert torch.equal(calql.losses(batch)["loss"], cql.losses(batch)["loss"])
