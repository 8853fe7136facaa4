"""Encoding when the image comes, choosing when the candidates come, in whichever order that is."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.critics import selection
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.policies.base import Proposal
from vgps_models.spaces import ActionSpec, Observation
from vgps_models.steering import Steering
from vgps_models.training.bench import untrained_critic
from vgps_node.moments import Candidates, Moment
from vgps_node.ranking import Choice, Ranker

CRITIC = untrained_critic()
MOMENT = Moment(10**9, seed=3, step=4)


def observation(seed: int = 0) -> Observation:
    random, config = np.random.default_rng(seed), CRITIC.perception.config
    shape = (config.image_size, config.image_size, 3)
    images = {name: random.integers(0, 256, shape, np.uint8) for name in config.cameras}
    return Observation(images, random.normal(size=10).astype(np.float32), "put the spoon on the towel", key=MOMENT.key)


def candidates(k: int = 6, seed: int = 0) -> Candidates:
    actions = ActionSpec().clip(np.random.default_rng(seed).normal(size=(k, 4, 7)) * ActionSpec().high)
    return Candidates(MOMENT, actions)


def ranker(rule: str) -> Ranker:
    ranker = Ranker(None)
    ranker.configure(CRITIC, rule, beta=0.5, penalty=1.0)
    return ranker


class Given:
    """A policy that proposes what it is told to."""

    spec, normaliser = CRITIC.spec, CRITIC.normaliser

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def sample(self, observation: Observation, k: int) -> Proposal:
        return Proposal(self.actions[:k])


@pytest.mark.parametrize("image_first", [True, False])
@pytest.mark.parametrize("rule", selection.RULES)
def test_it_chooses_what_steering_chooses_in_either_order(rule: str, image_first: bool) -> None:
    seen, proposed, node = observation(), candidates(), ranker(rule)
    decision = Steering(Given(proposed.actions), CRITIC, k=6, rule=rule, beta=0.5)(seen)
    if image_first:
        assert node.see(MOMENT, seen) is None
        choice = node.choose(proposed)
    else:
        choice = node.choose(proposed) or node.see(MOMENT, seen)
    assert isinstance(choice, Choice) and choice.chunk.moment == MOMENT
    assert choice.scores.chosen == decision.chosen and not choice.scores.abstained
    np.testing.assert_array_equal(choice.chunk.actions, decision.chunk)
    np.testing.assert_allclose(choice.scores.mean, decision.mean, atol=1e-5)


def test_encoding_costs_nothing_when_the_candidates_come() -> None:
    """What is counted from candidates to choice does not contain the encoding."""
    now = [0.0]
    node = Ranker(None, seconds=lambda: now[0])

    class Slow(type(CRITIC)):
        def encode(self, observation: Observation):
            now[0] += 0.5
            return super().encode(observation)

    slow = Slow(CRITIC.perception, CRITIC.net, CRITIC.spec, CRITIC.normaliser)
    node.configure(slow, "argmax", 1.0, 1.0)
    node.see(MOMENT, observation())
    choice = node.choose(candidates())
    assert choice is not None
    assert (choice.scores.encode_ms, choice.scores.candidates_to_choice_ms) == (500.0, 0.0)


def test_asked_again_it_answers_the_same() -> None:
    node = ranker("argmax")
    node.see(MOMENT, observation())
    first = node.choose(candidates())
    assert first is not None and node.choose(candidates()) is first
    assert node.see(MOMENT, observation()) is None


@pytest.mark.parametrize("rule", ["first", "argmax", "random"])
def test_broken_candidates_are_left_out_and_indices_stay_true(rule: str) -> None:
    proposed, node = candidates(), ranker(rule)
    proposed.actions[[0, 2]] = np.nan
    node.see(MOMENT, observation())
    choice = node.choose(proposed)
    assert choice is not None and choice.scores.chosen not in (0, 2)
    np.testing.assert_array_equal(choice.chunk.actions, proposed.actions[choice.scores.chosen])


def test_when_nothing_can_be_chosen_the_first_is_passed_on_and_said_so() -> None:
    """The gate then refuses it by its reason."""
    proposed, node = candidates(), ranker("argmax")
    proposed.actions[:] = np.nan
    node.see(MOMENT, observation())
    choice = node.choose(proposed)
    assert choice is not None and choice.scores.abstained and "NaN" in choice.problem


def test_settings_that_cannot_work_are_refused_and_change_nothing() -> None:
    node = ranker("argmax")
    with pytest.raises(UnknownNameError, match="softmax"):
        node.configure(CRITIC, "best", 1.0, 1.0)
    with pytest.raises(SpecError, match="needs a critic"):
        node.configure(None, "argmax", 1.0, 1.0)
    with pytest.raises(SpecError, match="beta"):
        node.configure(CRITIC, "softmax", 0.0, 1.0)
    assert node.rule == "argmax" and node.critic is CRITIC
