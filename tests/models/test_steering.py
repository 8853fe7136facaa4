"""Steering: every rule, the bare policy inside the guided one, and sides that do not fit together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.selection import RULES, UNSCORED, Selection, SelectionError
from vgps_models.selection.making import PROBE
from vgps_models.spaces import Normaliser
from vgps_models.steering import Steering


@pytest.fixture(scope="module")
def files(policy_file, critic_file):
    return policy_file, critic_file


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("k", [1, 10])
def test_every_rule_decides_and_decides_the_same_again(files, observe, rule, k):
    selection = Selection(rule)
    first, again = (Steering.from_checkpoints(*files, k=k, selection=selection)(observe(2)) for _ in range(2))
    assert first.chosen == -1 or np.array_equal(first.chunk, first.candidates[first.chosen])
    assert first.candidates.shape == (k, 4, 7)
    assert first.chosen == again.chosen and np.array_equal(first.chunk, again.chunk)
    assert set(first.ms) == {"encode", "policy", "value"} and all(v >= 0 for v in first.ms.values())
    assert len(first.mean) == len(first.std) == (0 if rule in UNSCORED else k)


def test_worst_is_not_argmax(files, observe):
    worst, best = (Steering.from_checkpoints(*files, k=10, selection=Selection(rule)) for rule in ("worst", "argmax"))
    for step in range(5):
        low, high = worst(observe(step)), best(observe(step))
        assert low.chosen != high.chosen and low.mean.min() < high.mean.max()


def test_the_bare_policy_is_the_guided_ones_first_candidate(files, observe):
    bare = Steering.from_checkpoints(files[0], k=1)
    guided = Steering.from_checkpoints(*files, k=10)
    for step in range(4):
        assert np.allclose(bare(observe(step)).chunk, guided(observe(step)).candidates[0], atol=1e-5)


def test_equal_encoders_are_shared_and_change_nothing(files, observe):
    shared = Steering.from_checkpoints(*files, k=5)
    assert shared.critic is not None
    assert shared.critic.perception is getattr(shared.policy, "perception")  # noqa: B009
    apart = Steering(checkpoint.load_policy(files[0]), checkpoint.load_critic(files[1]), k=5)
    assert np.allclose(shared(observe(1)).mean, apart(observe(1)).mean, atol=1e-4)


def test_a_policy_alone_needs_a_rule_that_needs_no_scores(files, observe):
    random = Steering.from_checkpoints(files[0], k=3, selection=Selection("random"))
    assert random(observe(0)).candidates.shape[0] == 3
    with pytest.raises(SelectionError, match="needs a critic"):
        Steering.from_checkpoints(files[0], selection=Selection("argmax"))


def test_sides_that_disagree_are_refused_by_field(files):
    policy, critic = checkpoint.load_policy(files[0]), checkpoint.load_critic(files[1])
    critic.normaliser = Normaliser(critic.normaliser.low, (*critic.normaliser.high[:-1], 2.0))
    with pytest.raises(SpecError, match=r"normaliser\.high"):
        Steering(policy, critic)


def test_empty_choices_are_refused(files):
    with pytest.raises(SpecError, match="at least one"):
        Steering.from_checkpoints(*files, k=0)


class _Spoiled:
    """A policy some of whose numbers are broken on the way."""

    def __init__(self, policy, bad):
        self.policy, self.bad = policy, bad
        self.spec, self.normaliser = policy.spec, policy.normaliser

    def sample(self, observation, k):
        proposal = self.policy.sample(observation, k)
        proposal.chunks[self.bad] = np.nan
        return proposal


def test_broken_candidates_are_dropped_and_counted(files, observe):
    policy, critic = checkpoint.load_policy(files[0]), checkpoint.load_critic(files[1])
    steering = Steering(_Spoiled(policy, slice(2, 5)), critic, k=10)
    decision = steering(observe(0))
    assert decision.dropped == 3 and len(decision.candidates) == len(decision.mean) == 10
    assert np.flatnonzero(np.isnan(decision.mean)).tolist() == [2, 3, 4] and np.isfinite(decision.chunk).all()
    with pytest.raises(SelectionError, match="all 10"):
        Steering(_Spoiled(policy, slice(None)), critic, k=10)(observe(0))


def test_a_doubtful_critic_hands_over_to_the_policy(files, observe):
    trusting, careful = (
        Steering.from_checkpoints(*files, k=10, selection=Selection("argmax", abstain=a)) for a in (0.0, 1e-6)
    )
    for step in range(3):
        decision = careful(observe(step))
        assert decision.abstained and decision.chosen == 0 and not trusting(observe(step)).abstained
        assert np.array_equal(decision.chunk, decision.candidates[0])


def test_the_gradient_by_differences_is_the_networks_gradient(files, observe):
    """Refinement asks for scores alone; what it climbs is what torch would say."""
    critic, seen = checkpoint.load_critic(files[1]), observe(1)
    chunk = checkpoint.load_policy(files[0]).sample(seen, 1).chunks[0] * 0.5
    with torch.inference_mode(False):
        encoded = critic.encode(seen).clone()
        x = torch.tensor(critic.normaliser.normalise(chunk).reshape(1, 1, -1), dtype=torch.float32, requires_grad=True)
        critic.net.score(encoded, x).mean().backward()
    assert x.grad is not None
    exact = x.grad.numpy().reshape(4, 7)

    def value(offset):
        return critic.score(encoded, critic.normaliser.denormalise(critic.normaliser.normalise(chunk) + offset))[0]

    step = np.eye(28).reshape(28, 4, 7) * PROBE
    numeric = ((value(step) - value(-step)) / (2 * PROBE)).reshape(4, 7)
    # PROBE is as coarse as a camera's noise, so the two agree in direction and size, not digit for digit.
    assert np.linalg.norm(numeric - exact) < 0.25 * np.linalg.norm(exact)
