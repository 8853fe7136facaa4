"""What is asked for becomes a goal, or a sentence that says what would be right."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.checkpoint_files import instructions_of
from vgps_models.errors import UnknownNameError, VgpsError
from vgps_node.goals import Goal, GoalError, known_tasks, make, simulated
from vgps_sim.tasks import ALL_TASKS, TASKS


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
    with pytest.raises(GoalError, match=r"(?s)'fold the shirt'.*put the spoon on the towel.*--task"):
        asked("fold the shirt")
    with pytest.raises(UnknownNameError, match=r"'fly'.*put_spoon_on_towel"):
        asked("put the spoon on the towel", task="fly")
    with pytest.raises(UnknownNameError, match="'fly'"):
        asked(task="fly")
    with pytest.raises(GoalError, match="say what to do"):
        asked(simulator=False)


@pytest.mark.parametrize(
    "typed",
    [
        "please put the spoon on the towel",
        "Could you put the spoon on the towel, please?",
        "Hey robot! Put the spoon on the towel now. Thank you!",
        "i would like you to put the spoon on the towel",
        "put spoon on towel",
        "PUT A SPOON ON THE TOWEL!!!",
    ],
)
def test_polite_words_and_articles_change_nothing(typed: str) -> None:
    assert asked(typed) == Goal("put the spoon on the towel", "put_spoon_on_towel")


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("put the spoon on the towl", "put the spoon on the towel"),
        ("put the carot on the plate please", "put the carrot on the plate"),
        ("stack the green block on the yelow one", "yellow"),
        ("do not put the spoon on the towel", None),
        ("don't put the spoon on the towel", None),
        ("put the spoon on the towel and burn it", None),
        ("asdf qwer", None),
        ("\u5f97\u4e86 \U0001f916", None),
        ("' OR 1=1; --", None),
    ],
)
def test_a_sentence_that_names_no_task_gets_the_nearest_one_and_the_list(typed: str, suggested: str | None) -> None:
    with pytest.raises(GoalError) as refused:
        asked(typed)
    message = str(refused.value)
    assert typed.strip() in message and "--task put_carrot_on_plate" in message
    if suggested is not None:
        assert "did you mean" in message and suggested in message.split("?")[0]
    elif "not" in typed or "n't" in typed or "qwer" in typed:
        assert "did you mean" not in message


def test_tasks_that_the_policy_does_not_know_are_neither_offered_nor_begun() -> None:
    tasks = known_tasks(("Put the carrot on the plate.", "lay the spoon down on the blue towel"))
    assert tasks.keys() == {"put_carrot_on_plate", "put_spoon_on_towel"}
    with pytest.raises(GoalError) as refused:
        asked("stack the green block on the yellow block", tasks=tasks)
    message = str(refused.value)
    assert "was not trained on the task stack_green_block" in message and "put_carrot_on_plate" in message
    assert "put_eggplant_in_basket" not in message
    with pytest.raises(GoalError, match="was not trained"):
        asked("pile it up", task="stack_green_block_on_yellow_block", tasks=tasks)
    with pytest.raises(GoalError, match=r"(?s)no task 'fold the shirt'.*put_carrot_on_plate"):
        asked("fold the shirt", tasks=tasks)
    assert known_tasks(None) == ALL_TASKS and known_tasks(()) == {}
    with pytest.raises(GoalError, match="no task of the simulator"):
        asked("fold the shirt", tasks={})


def test_the_shipped_policy_knows_the_four_standard_tasks() -> None:
    assert known_tasks(instructions_of("policy")).keys() == TASKS.keys()


@given(limit=st.floats(max_value=0, exclude_max=True) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_time_limits_that_are_none_are_refused(limit: float) -> None:
    with pytest.raises(VgpsError, match="time limit"):
        asked("put the spoon on the towel", time_limit=limit)


@given(least=st.floats(min_value=1, exclude_min=True) | st.floats(max_value=0, exclude_max=True) | st.just(math.nan))
def test_progress_outside_0_to_1_is_refused(least: float) -> None:
    with pytest.raises(VgpsError, match="success_progress"):
        asked("put the spoon on the towel", success_progress=least)


def test_every_request_of_the_documentation_finds_its_task() -> None:
    root = Path(__file__).resolve().parents[2]
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    asked = {
        (words, named)
        for page in pages
        for words, named in re.findall(r'^vgps run "([^"]+)"(.*)$', page.read_text(encoding="utf-8"), re.M)
    }
    assert len(asked) >= 4
    for words, named in asked:
        if "--task" not in named:
            assert simulated(Goal(words)).task in ALL_TASKS, words
