"""Encoding when the image comes, choosing when the candidates come, in whichever order that is."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.policies.base import Proposal
from vgps_models.selection import RULES, Selection, SelectionError
from vgps_models.spaces import ActionSpec, Observation
from vgps_models.steering import Steering
from vgps_models.training.bench import untrained_critic
from vgps_node.moments import Candidates, Moment
from vgps_node.ranking import Answer, Ranker

CRITIC = untrained_critic()
MOMENT = Moment(10**9, seed=3, step=4)


def observation(seed: int = 0) -> Observation:
    random, config = np.random.default_rng(seed), CRITIC.perception.config
    shape = (config.image_size, config.image_size, 3)
    images = {name: random.integers(0, 256, shape, np.uint8) for name in config.cameras}
    return Observation(images, random.normal(size=10).astype(np.float32), "put the spoon on the towel", key=MOMENT.key)


def candidates(k: int = 6, seed: int = 0) -> Candidates:
    actions = ActionSpec().clip(np.random.default_rng(seed).normal(size=(k, 4, 7)) * ActionSpec().high)
    return Candidates(MOMENT, actions, log_prob=np.random.default_rng(seed + 1).normal(size=k))


def ranker(selection: Selection) -> Ranker:
    ranker = Ranker(None)
    ranker.configure(CRITIC, selection)
    return ranker


SELECTIONS = [Selection(rule, beta=0.5) for rule in RULES] + [
    Selection("pessimistic", density="policy"),
    Selection("mean_std", expand=9),
    Selection("argmax", refine="cem"),
    Selection("argmax", refine="gradient"),
    Selection("argmax", abstain=1e-6),
]


class Given:
    """A policy that proposes what it is told to."""

    spec, normaliser = CRITIC.spec, CRITIC.normaliser

    def __init__(self, candidates: Candidates) -> None:
        self.proposal = Proposal(candidates.actions, candidates.log_prob)

    def sample(self, observation: Observation, k: int) -> Proposal:
        return self.proposal


@pytest.mark.parametrize("image_first", [True, False])
@pytest.mark.parametrize("broken", [[], [0, 4]])
@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_it_chooses_what_steering_chooses_in_either_order(
    selection: Selection, broken: list[int], image_first: bool
) -> None:
    seen, proposed, node = observation(), candidates(), ranker(selection)
    proposed.actions[broken] = np.nan
    decision = Steering(Given(proposed), CRITIC, k=6, selection=selection)(seen)
    if image_first:
        assert node.see(MOMENT, seen) is None
        answer = node.choose(proposed)
    else:
        answer = node.choose(proposed) or node.see(MOMENT, seen)
    assert isinstance(answer, Answer) and answer.chunk.moment == MOMENT and not answer.problem
    scores = answer.scores
    assert (scores.chosen, scores.abstained, scores.dropped) == (decision.chosen, decision.abstained, len(broken))
    assert decision.abstained == bool(selection.abstain) and decision.dropped == len(broken)
    np.testing.assert_array_equal(answer.chunk.actions, decision.chunk)
    np.testing.assert_allclose(scores.mean, decision.mean, atol=1e-5)


def test_encoding_costs_nothing_when_the_candidates_come() -> None:
    """What is counted from candidates to choice does not contain the encoding."""
    now = [0.0]
    node = Ranker(None, seconds=lambda: now[0])

    class Slow(type(CRITIC)):
        def encode(self, observation: Observation):
            now[0] += 0.5
            return super().encode(observation)

    slow = Slow(CRITIC.perception, CRITIC.net, CRITIC.spec, CRITIC.normaliser)
    node.configure(slow, Selection("argmax"))
    node.see(MOMENT, observation())
    choice = node.choose(candidates())
    assert choice is not None
    assert (choice.scores.encode_ms, choice.scores.candidates_to_choice_ms) == (500.0, 0.0)


def test_asked_again_it_answers_the_same() -> None:
    node = ranker(Selection("argmax"))
    node.see(MOMENT, observation())
    first = node.choose(candidates())
    assert first is not None and node.choose(candidates()) is first
    assert node.see(MOMENT, observation()) is None


def test_when_nothing_can_be_chosen_the_first_is_passed_on_and_said_so() -> None:
    """The gate then refuses it by its reason."""
    proposed, node = candidates(), ranker(Selection("argmax"))
    proposed.actions[:] = np.nan
    node.see(MOMENT, observation())
    choice = node.choose(proposed)
    assert choice is not None and choice.scores.abstained and "NaN" in choice.problem
    assert choice.scores.dropped == 6 and len(choice.scores.mean) == 0


def test_settings_that_cannot_work_are_refused_and_change_nothing() -> None:
    node = ranker(Selection("argmax"))
    with pytest.raises(SelectionError, match="needs a critic"):
        node.configure(None, Selection("argmax"))
    assert node.selection == Selection("argmax") and node.critic is CRITIC


def test_when_time_goes_back_the_same_stamp_is_another_moment() -> None:
    ranked = ranker(Selection("argmax"))
    ranked.see(MOMENT, observation(0))
    first = ranked.choose(candidates(seed=0))
    assert first is not None
    ranked.rewind()
    assert ranked.choose(candidates(seed=5)) is None  # its image is still to come
    again = ranked.see(MOMENT, observation(1))
    assert again is not None and not np.array_equal(again.scores.mean, first.scores.mean)


def test_stamps_in_any_order_are_scored() -> None:
    """Two simulators in one domain: stamps jump to and fro."""
    ranked = ranker(Selection("argmax"))
    for stamp in (*range(100, 120), 1, 101, 2, 102, 3):
        moment = Moment(stamp, seed=3, step=4)
        assert ranked.choose(Candidates(moment, candidates().actions)) is None
        answer = ranked.see(moment, observation())
        assert answer is not None and not answer.problem and len(answer.scores.mean)
