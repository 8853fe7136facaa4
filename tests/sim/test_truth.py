"""The facts that captions are made of agree with the simulated tasks, and the shipped image-text model with both."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.progress.measures import voc
from vgps_models.training.truth import SCENES, STATE_NAMES, Facts
from vgps_sim.collect import demonstrate
from vgps_sim.objects import BASKET_HALF
from vgps_sim.scenes import labels
from vgps_sim.tasks import LIFTED, TASKS
from vgps_sim.world import World


def test_scenes_are_those_of_the_tasks():
    from vgps_models.training import truth

    assert set(SCENES) == set(TASKS) and truth.LIFTED == LIFTED
    for task_id, scene in SCENES.items():
        task = TASKS[task_id]
        assert (scene.object, scene.target, scene.distractor) == task.things
        assert min(task.reach) <= scene.reach <= max(task.reach) and scene.height == task.heights[1]
    assert TASKS["put_eggplant_in_basket"].reach == BASKET_HALF


@pytest.mark.parametrize("task", ["put_spoon_on_towel"])
def test_labels_are_named(task):
    world = World(task, image_size=32)
    found: dict[str, float] = dict(zip(STATE_NAMES, labels(world), strict=True))
    for who, name in zip(("object", "target", "distractor"), world.task.things, strict=True):
        assert np.allclose([found[f"{who}_{axis}"] for axis in "xyz"], world.position(name))
    assert found["object_yaw"] == world.yaw(world.task.goal(world).object) and found["held"] == 0
    world.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    """An expert's episode of two tasks."""
    root = tmp_path_factory.mktemp("truth") / "expert"
    writer = EpisodeWriter(root)
    for task in ("put_spoon_on_towel", "put_eggplant_in_basket"):
        world = World(task)
        writer.write(demonstrate(world, 77, "expert"))
        world.close()
    writer.finalise()
    return EpisodeStore(root)


def test_an_expert_gets_along_by_the_facts(store):
    columns, events = store.columns(), store.episodes()["events"]
    facts = Facts.of(columns)
    for episode, (first, end) in enumerate(zip(columns.bounds, columns.bounds[1:], strict=False)):
        assert columns.success[end - 1] and facts.done[end - 1] == 1 and facts.done[first] < 0.35
        assert voc(facts.done[first:end].astype(np.float64)) > 0.9
        held = np.flatnonzero(facts.held[first:end])
        assert held[0] in (events[episode]["grasped"], events[episode]["grasped"] + 1)
        lifted = np.flatnonzero(facts.lifted[first:end] == 1)
        assert held[0] < lifted[0] and facts.beside[first] == 1 and not facts.other_held[first:end].any()


def test_the_shipped_model_judges_what_is_simulated(store):
    from vgps_models.progress.backends import BackendConfig, make_estimator
    from vgps_models.progress.clips import of_episode

    estimator = make_estimator(BackendConfig(backend="vlmrm"))
    spoon = next(i for i, record in enumerate(store.records) if record.task_id == "put_spoon_on_towel")
    clip = of_episode(store, spoon, 8)
    made = estimator.estimate(clip)
    assert voc(made.values) > 0.8 and made.values[0] < 0.4 < made.values[-1] and made.spread.max() < 0.2
    frozen = estimator.estimate(clip.take([3] * 20))
    assert voc(frozen.values) == 0
    wrong = estimator.estimate(type(clip)(clip.views, TASKS["put_carrot_on_plate"].instruction))
    assert wrong.values[-1] < made.values[-1] - 0.2
    for sentence in TASKS["put_spoon_on_towel"].unseen[:2]:  # words that nothing was trained on
        assert voc(estimator.estimate(type(clip)(clip.views, sentence)).values) > 0.6
