"""VLM-RM as an estimator: what it makes of looks and prompts, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from vgps_models.errors import DataError
from vgps_models.progress import Clip, Example
from vgps_models.progress.vlmrm import VLMRM, VLMRMConfig
from vgps_models.progress.vlmrm.encoding import Fitted
from vgps_models.progress.vlmrm.prompts import GENERIC, Prompts, understood
from vgps_models.progress.vlmrm.reward import reward

TASK = "put the spoon on the towel"


class Brightness:
    """An image-text model of two words: bright is done, dark is not. Angle of an embedding = brightness."""

    name, prompts = "brightness", Prompts(("{task}",), ("still to do: {task}", GENERIC))

    def __init__(self, fitted: Fitted | None = None) -> None:
        self.fitted, self.heard = fitted, list[str]()

    def see(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.stack([_at(views[name].mean(axis=(1, 2, 3)) / 255) for name in sorted(views)])

    def read(self, sentences: Sequence[str]) -> np.ndarray:
        self.heard += sentences
        return _at(np.array([{"still": 0.0, "a": 0.2}.get(s.split()[0], 1.0) for s in sentences]))


def _at(share: np.ndarray) -> np.ndarray:
    angle = share * np.pi / 2
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def clip(*views: Sequence[int], task: str = TASK) -> Clip:
    """One camera a list of grey levels."""
    return Clip(
        {str(i): np.full((len(v), 4, 4, 3), np.array(v, np.uint8)[:, None, None, None]) for i, v in enumerate(views)},
        task,
    )


def test_brighter_is_farther_along():
    estimator = VLMRM(Brightness())
    made = estimator.estimate(clip([0, 60, 120, 180, 255]))
    assert (np.diff(made.values) > 0).all() and made.values[-1] == pytest.approx(1.0)
    assert made.source == "vlmrm:brightness:alpha=0.25" and made.asked == 1 and not made.failures
    assert estimator.threshold is None


def test_the_spread_is_over_views_and_prompts():
    same, differ = VLMRM(Brightness(), VLMRMConfig(baselines=(GENERIC,))), VLMRM(Brightness())
    assert np.allclose(same.estimate(clip([0, 255], [0, 255])).spread, 0)
    assert same.estimate(clip([0, 255], [100, 255])).spread[0] > 0  # two views disagree
    assert differ.estimate(clip([100, 255])).spread[0] > 0  # two baselines do


def test_a_picture_that_stands_still_is_seen_once_and_has_one_value():
    model = Brightness()
    seen = []
    see, model.see = model.see, lambda views: seen.append(views) or see(views)
    made = VLMRM(model).estimate(clip([7, 7, 7, 90, 90, 7], [5, 5, 5, 5, 5, 5]))
    assert [len(views["0"]) for views in seen] == [3]
    assert np.ptp(made.values[:3]) == 0 and made.values[3] == made.values[4] > made.values[5] == made.values[0]


def test_a_fit_holds_for_the_words_and_the_alpha_it_was_made_for():
    model = Brightness(Fitted(0.5, low=0.2, high=0.8, threshold=0.6))
    fitted = VLMRM(model)
    assert (fitted.config.alpha, fitted.low, fitted.high, fitted.threshold) == (0.5, 0.2, 0.8, 0.6)
    goal, baselines = model.read([TASK])[0], model.read(["still", GENERIC])
    image = model.see({"0": np.full((1, 2, 2, 3), 100, np.uint8)})[0, 0]
    expected = np.mean([(reward(image, goal, b, 0.5) - 0.2) / 0.6 for b in baselines])
    assert fitted.estimate(clip([100, 100])).values[0] == pytest.approx(np.clip(expected, 0, 1))
    for other in (
        VLMRMConfig(alpha=0.25), VLMRMConfig(alpha=0.5, goals=("the {thing} is there",)),
        VLMRMConfig(alpha=0.5, baseline_of={TASK: "the spoon lies beside the towel"}),
    ):  # fmt: skip
        assert (VLMRM(model, other).low, VLMRM(model, other).threshold) == (-1.0, None)


def test_a_task_may_have_a_baseline_of_its_own():
    model = Brightness()
    estimator = VLMRM(model, VLMRMConfig(baseline_of={TASK: "still beside the towel"}))
    estimator.estimate(clip([0, 255]))
    estimator.estimate(clip([0, 255]))
    assert model.heard == [TASK, "still beside the towel"]  # once
    estimator.estimate(clip([0, 255], task="open the drawer"))
    assert model.heard[2:] == ["open the drawer", "still to do: open the drawer", GENERIC]


@pytest.mark.parametrize(
    ("task", "thing", "link", "target"),
    [
        ("put the spoon on the towel", "spoon", "on", "towel"),
        ("Stack the green block on top of the yellow block.", "green block", "on top of", "yellow block"),
        ("lay the spoon down on the blue towel", "spoon", "on", "blue towel"),
        ("pick up the carrot and put it on the plate", "carrot", "on", "plate"),
        ("place the eggplant into the basket", "eggplant", "into", "basket"),
    ],
)
def test_an_instruction_is_taken_apart(task, thing, link, target):
    assert understood(task) == {"task": task.rstrip("."), "thing": thing, "link": link, "target": target}


def test_a_template_that_a_task_cannot_fill_is_left_out():
    prompts = Prompts(("the {thing} is {link} the {target}", "done: {task}"), ("the {thing} lies beside the {target}",))
    assert prompts.of(TASK) == (("the spoon is on the towel", f"done: {TASK}"), ("the spoon lies beside the towel",))
    assert prompts.of("open the drawer") == (("done: open the drawer",), (GENERIC,))


@pytest.mark.parametrize("template", ["{tusk}", "the {thing", "{}", "{0}"])
def test_a_template_that_nothing_can_fill_is_refused(template):
    with pytest.raises(DataError, match="template"):
        VLMRM(Brightness(), VLMRMConfig(goals=(template,)))


def test_examples_and_a_bad_alpha_are_refused():
    made = clip([0, 255])
    with pytest.raises(DataError, match="no examples"):
        VLMRM(Brightness()).estimate(made, [Example(made, np.array([0.0, 1.0]))])
    with pytest.raises(DataError, match="alpha"):
        VLMRMConfig(alpha=1.2)
