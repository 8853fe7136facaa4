"""Others at the tasks: every embodiment does every task, fails when it is meant to, and looks as if it were there."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vgps_models.errors import SpecError, UnknownNameError
from vgps_sim.people import performance
from vgps_sim.people.embodiments import EMBODIMENTS
from vgps_sim.people.manner import FAULTS, MENDED, draw_manner
from vgps_sim.people.parts import Tip, knee
from vgps_sim.people.performance import SHORTEST, perform
from vgps_sim.people.setting import pattern
from vgps_sim.people.stage import Stage, Stroke
from vgps_sim.people.views import FRONT
from vgps_sim.tasks import ALL_TASKS, TASKS, get_task

# Nobody but a person can tilt what it holds.
PAIRS = [(who, task) for who in EMBODIMENTS for task in ALL_TASKS if who == "person" or task != "pour_balls"]
SEED = 60_000


class Watched(Stage):
    """A stage that is measured whenever it is shown, and not drawn."""

    deepest = 0.0  # [m] that a manipulator reached into the table or a thing
    last: tuple

    def __init__(self, *arguments) -> None:
        self._near: list[tuple[int, int]] | None = None
        super().__init__(*arguments)

    def _show(self) -> None:
        super()._show()
        model, data = self.model, self.data
        if self._near is None:
            names = [model.body(body).name for body in model.geom_bodyid]
            drawn = [g for g, name in enumerate(names) if name.split("_")[0] in EMBODIMENTS and name != "crane_stand"]
            self._near = [(g, int(solid)) for g in drawn for solid in np.flatnonzero(model.geom_contype)]
            self._reach = [model.geom_rbound[g] + model.geom_rbound[solid] for g, solid in self._near]
        first, second = np.transpose(self._near)
        apart = np.linalg.norm(data.geom_xpos[first] - data.geom_xpos[second], axis=1)
        for pair in np.flatnonzero(apart < self._reach):
            distance = mujoco.mj_geomDistance(model, data, *self._near[pair], 0.005, None)
            Watched.deepest = max(Watched.deepest, -distance)
        goal = self.task.goal(self)
        Watched.last = (self.position(goal.object) - self.position(goal.target), self.held, self.speed(goal.object))

    def picture(self, camera: str, size: int) -> np.ndarray:
        return np.zeros((size, size, 3), np.uint8)


@pytest.mark.parametrize(("who", "task"), PAIRS)
def test_it_ends_as_it_was_meant_to_and_nothing_goes_through_anything(who, task, monkeypatch):
    monkeypatch.setattr(performance, "Stage", Watched)
    for failures in (0.0, 1.0):
        Watched.deepest = 0.0
        shown = perform(who, task, SEED, size=16, failures=failures)
        assert shown.success == (failures == 0.0)
        assert SHORTEST <= shown.length <= get_task(task).max_steps
        assert Watched.deepest < 0.006  # [m]
        if shown.success:
            offset, held, speed = Watched.last
            assert np.abs(offset[:2]).max() < (0.17 if task == "pour_balls" else 0.085)
            assert (offset[2] > 0 or task == "pour_balls") and held is None and speed < 0.05
            assert not shown.fault or shown.mended
        else:
            assert shown.fault in FAULTS and not shown.mended


def test_the_same_seed_gives_the_same_pictures_whoever_else_looks_on():
    one = perform("hand", "put_spoon_on_towel", SEED, size=48)
    again = perform("hand", "put_spoon_on_towel", SEED, size=48, views=2)
    other = perform("hand", "put_spoon_on_towel", SEED + 1, size=48)
    (name, frames), *_ = one.frames.items()
    np.testing.assert_array_equal(frames, again.frames[name])
    assert (one.words, one.success, one.fault) == (again.words, again.success, again.fault)
    first, second = again.frames.values()
    assert len(again.frames) == 2 and first.shape == second.shape and not np.array_equal(first, second)
    assert len(other.frames) == 1 and not np.array_equal(frames[0], next(iter(other.frames.values()))[0])
    assert frames.dtype == np.uint8 and frames[0].std() > 5
    assert np.abs(frames[len(frames) // 2].astype(int) - frames[0]).max() > 30  # somebody came


@pytest.mark.parametrize("front", [0.0, 1.0])
def test_the_first_view_is_the_robots_as_often_as_asked(front, monkeypatch):
    monkeypatch.setattr(performance, "Stage", Watched)
    monkeypatch.setattr(Watched, "_show", Stage._show)
    views = [set(perform("trident", "put_carrot_on_plate", s, size=16, views=2, front=front).frames) for s in range(3)]
    assert all((FRONT in names) == (front == 1.0) and len(names) == 2 for names in views)


def test_who_cannot_tilt_does_not_pour():
    with pytest.raises(SpecError, match="a person can"):
        perform("crane", "pour_balls", SEED, size=16)


@pytest.mark.parametrize("tilt", [0.7, -2.0])
def test_what_is_held_turns_with_the_tip(tilt):
    """And what is in it, too: physics is told how fast its walls move."""
    rng = np.random.default_rng(0)
    tip = Tip(np.array([0.3, 0.0, 0.2]), 0.4, 0.03, tilt)
    np.testing.assert_allclose(tip.axes @ tip.axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(tip.axes[:, 0], Tip(tip.position, 0.4, 0.03).axes[:, 0])  # about its own x axis
    for _ in range(5):
        local = rng.normal(0, 0.1, 3)
        np.testing.assert_allclose(tip.axes.T @ (tip.world(local) - tip.position), local, atol=1e-12)


def test_words_are_those_that_demonstrations_are_told_with(monkeypatch):
    monkeypatch.setattr(performance, "Stage", Watched)
    for name, task in TASKS.items():
        shown = perform("crane", name, SEED, size=16)
        assert shown.words in (task.instruction, *task.paraphrases)
        assert not any("action" in field for field in vars(shown))


def test_what_goes_wrong_is_drawn_with_the_stated_shares():
    rng = np.random.default_rng(0)
    drawn = [draw_manner(rng, 0.25) for _ in range(4000)]
    failing = [m for m in drawn if m.fault and not m.mended]
    assert abs(len(failing) / len(drawn) - 0.25) < 0.03
    for fault in FAULTS:
        assert abs(np.mean([m.fault == fault for m in failing]) - 1 / len(FAULTS)) < 0.05
    ending_well = [m for m in drawn if m not in failing]
    for fault, share in MENDED.items():
        assert abs(np.mean([m.fault == fault for m in ending_well]) - share) < 0.03
    paces = [m.pace for m in drawn]
    assert 0.5 <= min(paces) < 0.55 and 1.9 < max(paces) <= 2.0


def test_a_stroke_begins_and_ends_at_rest_where_it_should():
    start = Tip(np.array([0.2, 0.0, 0.1]), 0.0, 0.05)
    stroke = Stroke(np.array([0.3, 0.1, 0.02]), 1.0, 0.01, 1.0, np.array([0.0, 0.02, 0.03]))
    end = stroke.at(start, 1.0)
    np.testing.assert_allclose(end.position, stroke.position)
    np.testing.assert_allclose([end.yaw, end.gap], [1.0, 0.01])
    for near in (0.0, 1.0 - 1e-3):
        step = stroke.at(start, near + 1e-3).position - stroke.at(start, near).position
        assert np.linalg.norm(step) < 1e-5


def test_bones_keep_their_lengths():
    rng = np.random.default_rng(1)
    for _ in range(50):
        start, end = rng.normal(0, 0.03, 3), rng.normal(0, 0.03, 3)
        joint = knee(start, end, 0.2, 0.15, rng.normal(0, 1, 3))
        assert abs(np.linalg.norm(joint - start) - 0.2) < 1e-9
        if np.linalg.norm(end - start) > 0.05:
            assert abs(np.linalg.norm(joint - end) - 0.15) < 1e-9


def test_table_tops_differ():
    tops = [pattern(np.random.default_rng(seed)) for seed in range(8)]
    assert all(top.dtype == np.uint8 and top.shape == tops[0].shape for top in tops)
    assert len({top.tobytes() for top in tops}) == len(tops)


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(UnknownNameError, match="trident"):
        perform("octopus", "put_spoon_on_towel", 0)
    with pytest.raises(UnknownNameError, match="put_spoon_on_towel"):
        perform("hand", "make_coffee", 0)
