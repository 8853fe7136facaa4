"""OTA: V over options, Q over one chunk, targets by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from random_batch import make_batch, make_learner

from vgps_models.critics.ota import OTA


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_v_looks_up_to_what_its_option_led_to_and_q_to_v_after_one_chunk(head):
    learner = make_learner("ota", head, expectile=0.8, wrong_weight=0.0)
    assert isinstance(learner, OTA) and learner.config.needs.option == learner.config.option
    batch = make_batch(learner)
    told = learner.losses(batch)
    misfit = learner.net.head.misfit
    with torch.no_grad():
        outcome = batch.option_reward + batch.option_discount * learner.target(batch.option_features, batch.sentence)
        v = learner.value(batch.features, batch.sentence)
        weight = torch.where(outcome < v, 0.2, 0.8)
        raw = learner.value.raw(batch.features, batch.sentence)
        assert torch.allclose(told["value"], (weight * misfit(raw, outcome)).mean())
        y = batch.reward + batch.discount * learner.value(batch.next_features, batch.sentence)
        raw = learner.net.raw(batch.features, batch.sentence, batch.chunk[:, None])[:, :, 0]
        assert torch.allclose(told["td"], misfit(raw, y).mean())


def test_an_option_that_ended_asks_for_no_value_beyond_it():
    learner = make_learner("ota")
    batch = make_batch(learner)
    ended = replace(batch, option_discount=torch.zeros_like(batch.option_discount))
    elsewhere = replace(ended, option_features=batch.option_features + 7.0)
    assert torch.equal(learner.losses(ended)["value"], learner.losses(elsewhere)["value"])
    assert not torch.equal(learner.losses(batch)["value"], learner.losses(ended)["value"])
