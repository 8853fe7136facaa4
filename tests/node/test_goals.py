"""What is asked for becomes a goal, or a sentence that says what would be right."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_node.goals import Goal, GoalError, make
from vgps_sim.tasks import ALL_TASKS


def asked(instruction: str = "", task: str = "", **other: Any) -> Goal:
    settings = {"seed": 0, "time_limit": 0.0, "success_progress": 0.0, "simulator": True, "limit": 12.0} | other
    return make(instruction, task, **settings)


@pytest.mark.parametrize("task", ALL_TASKS.values(), ids=lambda task: task.id)
def test_every_sentence_of_a_task_finds_it_however_it_is_typed(task: Any) -> None:
    for sentence in (task.instruction, *task.paraphrases, *task.unseen):
        for typed in (sentence, f"  {sentence.upper()}. ", sentence.replace(" ", "  ")):
            assert (asked(typed).task, asked(typed).instruction) == (task.id, sentence)


def test_a_task_goes_with_its_own_sentence_or_with_any_other() -> None:
    assert asked(task="put_carrot_on_plate").instruction == ALL_TASKS["put_carrot_on_plate"].instruction
    free = asked("feed the rabbit", task="put_carrot_on_plate", seed=7, time_limit=3.0)
    assert free == Goal("feed the rabbit", "put_carrot_on_plate", 7, 3.0)


def test_an_arm_is_told_any_sentence_and_needs_no_task() -> None:
    assert asked("open the drawer", simulator=False) == Goal("open the drawer")


def test_what_cannot_be_says_what_could() -> None:
    with pytest.raises(GoalError, match=r"'fold the shirt'.*put the spoon on the towel.*name a task"):
        asked("fold the shirt")
    with pytest.raises(UnknownNameError, match=r"'fly'.*put_spoon_on_towel"):
        asked("put the spoon on the towel", task="fly")
    with pytest.raises(UnknownNameError, match="'fly'"):
        asked(task="fly")
    with pytest.raises(GoalError, match="say what to do"):
        asked(simulator=False)


@given(limit=st.floats(max_value=0, exclude_max=True) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_time_limits_that_are_none_are_refused(limit: float) -> None:
    with pytest.raises(VgpsError, match="time limit"):
        asked("put the spoon on the towel", time_limit=limit)


@given(least=st.floats(min_value=1, exclude_min=True) | st.floats(max_value=0, exclude_max=True) | st.just(math.nan))
def test_progress_outside_0_to_1_is_refused(least: float) -> None:
    with pytest.raises(VgpsError, match="success_progress"):
        asked("put the spoon on the towel", success_progress=least)
