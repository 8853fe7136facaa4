"""Sentences that mean the same: which there are, and how training draws them."""

from __future__ import annotations

import numpy as np

from vgps_models.perception.language import Language
from vgps_models.perception.phrases import COUNT, GROUPS, same_meaning
from vgps_models.training.wording import Wording


def test_every_group_is_its_known_sentences_and_as_many_others():
    for group in GROUPS:
        sentences = group.sentences()
        assert sentences[: len(group.known)] == group.known
        assert len(set(sentences)) == len(sentences) == len(group.known) + COUNT
        assert all(same_meaning(s) == sentences for s in sentences[:: len(sentences) // 9])
        assert all(s == s.strip() and "{" not in s for s in sentences)
    everything = [s for group in GROUPS for s in group.sentences()]
    assert len(set(everything)) == len(everything)  # no sentence means two things


def test_case_and_full_stop_do_not_matter_and_other_tasks_have_their_own_words_alone():
    assert same_meaning("Put the carrot on the plate.") == same_meaning("put the carrot on the plate")
    assert same_meaning("water the plants") == ("water the plants",)


def test_drawn_sentences_are_of_the_same_meaning_and_all_of_them_come():
    recorded = ["put the carrot on the plate", "water the plants", "put the spoon on the towel"]
    language = Language()
    wording = Wording(recorded, language)
    asked = np.repeat(np.arange(3), 4000)
    drawn = wording.draw(asked, np.random.default_rng(0)).numpy()
    for i, sentence in enumerate(recorded):
        meant = np.unique(language.table(same_meaning(sentence)), axis=0)
        heard = np.unique(drawn[asked == i], axis=0)
        assert np.array_equal(meant, heard)
