"""The same episode in other words: what is drawn, who hears it, and what no training has heard."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.perception.phrases import GROUPS, same_meaning
from vgps_models.selection import Selection
from vgps_models.spaces import Decision, Observation
from vgps_node.commands.evaluation import evaluate
from vgps_node.conditions import Steered
from vgps_node.eval_config import EvalConfig
from vgps_node.wording import Worded, in_words, reword
from vgps_sim.tasks import TASKS


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Observation] = []

    def __call__(self, observation: Observation) -> Decision:
        self.heard.append(observation)
        return Decision(np.zeros((4, 7)), np.zeros((1, 4, 7)))


def observation(instruction: str, seed: int, step: int) -> Observation:
    return Observation({}, np.zeros(10, np.float32), instruction, stamp=0.2 * step, key=(seed, step))


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_an_episode_keeps_its_sentence_and_episodes_use_them_all(task) -> None:
    for wording, sentences in (("seen", task.paraphrases), ("unseen", task.unseen)):
        listener = Listener()
        controller = Worded(listener, wording)
        for seed in range(60):
            for step in (0, 2):
                controller(observation(task.instruction, seed, step))
        told = [o.instruction for o in listener.heard]
        assert told[::2] == told[1::2] and set(told) == set(sentences)
        assert [(o.key, o.stamp) for o in listener.heard[:2]] == [((0, 0), 0.0), ((0, 2), 0.4)]
    assert reword(task.instruction, "canonical", 3) == task.instruction


def test_a_side_in_other_words_is_another_condition_that_workers_can_make() -> None:
    bare, unseen = EvalConfig(sides=("bare", "bare:unseen")).conditions()
    assert "wording" not in bare.settings
    assert unseen.settings == {**bare.settings, "wording": "unseen"} and unseen.name == "bare:unseen"
    factory = ForkingPickler.loads(ForkingPickler.dumps(unseen.factory))  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(factory(), Worded)


def test_unknown_words_list_the_valid_ones() -> None:
    side = Steered("policy", None, 1, Selection("first")).condition("bare")
    with pytest.raises(UnknownNameError, match="canonical, seen, unseen"):
        in_words(side, "loud")
    with pytest.raises(UnknownNameError, match="put the spoon on the towel"):
        reword("make coffee", "unseen", 0)


# Adjectives and prepositions: a sentence is not unseen for their sake.
SMALL = {"silver", "metal", "orange", "root", "round", "wicker", "purple", "over", "lying", "inside", "above", "onto"}


def vocabulary() -> set[str]:
    """Every word that training may hear: of recorded sentences, and of all that they are replaced by."""
    groups = [same_meaning(task.instruction) for task in TASKS.values()]
    made_of = [(*g.templates, *g.objects, *g.targets, *g.links) for g in GROUPS]
    return {word for sentences in (*groups, *made_of) for sentence in sentences for word in sentence.split()}


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_training_may_say_a_task_as_it_is_recorded_and_in_many_other_words(task) -> None:
    recorded = (task.instruction, *task.paraphrases)
    heard = same_meaning(task.instruction)
    assert heard[: len(recorded)] == recorded and len(heard) > 200
    assert not set(heard) & set(task.unseen)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_unseen_sentences_have_a_verb_and_a_noun_that_no_training_sentence_has(task) -> None:
    known = vocabulary()
    assert 3 <= len(task.unseen) <= 5
    for sentence in task.unseen:
        verb, *rest = sentence.split()
        assert verb not in known, sentence
        assert set(rest) - known - SMALL, sentence


def test_an_oracle_may_hear_other_words_and_neither_goes_over_ros() -> None:
    (side,) = EvalConfig(sides=("oracle:unseen",), k=3).conditions()
    assert side.name == "oracle:unseen" and side.settings["k"] == 3
    assert (side.settings["oracle"], side.settings["wording"]) == ("expert", "unseen")
    for name, says in (("oracle", "simulator"), ("guided:unseen", "paraphrases")):
        with pytest.raises(VgpsError, match=says):
            evaluate(EvalConfig(sides=("bare", name), ros=True), command="")
