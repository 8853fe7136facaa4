"""Predicates of the tasks that people are watched at, on worlds that are arranged by hand."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import SpecError
from vgps_sim.collect import CollectConfig
from vgps_sim.objects import KITCHEN, THINGS, get_thing
from vgps_sim.objects.kitchen import BALLS, BOWL_RADIUS
from vgps_sim.scenes import label_names, labels
from vgps_sim.tasks import ALL_TASKS, TASKS, WATCHED, Place, Pouring, Sorting, get_task, number_of
from vgps_sim.world import World

SEEDS = st.integers(0, 2**31)


def test_all_things_of_all_tasks_are_known():
    assert not set(THINGS) & set(KITCHEN)
    for task in ALL_TASKS.values():
        assert all(get_thing(name).name == name for name in task.things)
        assert len(task.unseen) >= 1 and not set(task.unseen) & {task.instruction, *task.paraphrases}


def test_the_standard_tasks_keep_their_numbers():
    """Seeds are mixed with them: another number would be another layout."""
    assert [number_of(task) for task in TASKS] == [0, 1, 2, 3]
    assert sorted(map(number_of, ALL_TASKS)) == list(range(len(ALL_TASKS)))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(sorted(ALL_TASKS)))
def test_layouts_leave_room_and_are_drawn_from_the_seed(seed, task_id):
    task = get_task(task_id)
    places, again = (task.layout(np.random.default_rng(seed)) for _ in range(2))
    assert places == again and set(places) == set(task.things)
    on_table = [(name, place) for name, place in places.items() if not place.lift]
    for i, (name, here) in enumerate(on_table):
        assert 0.12 < here.x < 0.46 and abs(here.y) < 0.26
        for other, there in on_table[:i]:
            apart = np.hypot(here.x - there.x, here.y - there.y)
            assert apart > 0.9 * (get_thing(name).radius + get_thing(other).radius), (name, other)


@pytest.fixture(scope="module")
def sorting():
    world = World("sort_onions", image_size=32, cameras=())
    yield world
    world.close()


@pytest.fixture(scope="module")
def pouring():
    world = World("pour_balls", image_size=32, cameras=())
    yield world
    world.close()


def arrange(world: World, onto: dict[str, str]) -> None:
    """Put things above others and let them fall."""
    rng = np.random.default_rng(0)
    places = world.task.layout(rng)
    lift = {}
    for thing, target in onto.items():
        shift = 0.022 * list(onto.values())[: len(lift)].count(target)  # beside what is there already
        places[thing] = Place(places[target].x - 0.011 + shift, places[target].y, 0.0)
        lift[thing] = 0.012 + shift
    world.place(places, world.solve(np.array([0.22, 0.0, 0.16]), np.diag([1.0, -1.0, -1.0])), 1.0, lift)
    mujoco.mj_step(world.model, world.data, 400)
    mujoco.mj_forward(world.model, world.data)


@pytest.mark.parametrize(
    ("onto", "sorted_"),
    [
        ({}, False),
        ({"good_onion": "green_bin"}, False),
        ({"good_onion": "green_bin", "blemished_onion": "red_bin"}, True),
        ({"good_onion": "red_bin", "blemished_onion": "green_bin"}, False),
        ({"good_onion": "green_bin", "blemished_onion": "green_bin"}, False),
    ],
)
def test_onions_are_sorted_when_each_is_in_its_own_bin(sorting, onto, sorted_):
    arrange(sorting, onto)
    assert sorting.task.success(sorting) == sorting.task.placed(sorting) == sorted_
    assert ("placed" in sorting.task.events(sorting)) == sorted_


def test_the_onion_that_is_next_is_the_one_that_is_not_yet_there(sorting):
    task = sorting.task
    assert isinstance(task, Sorting)
    arrange(sorting, {})
    assert task.goal(sorting) is task.goals[0]
    arrange(sorting, {"good_onion": "green_bin"})
    assert task.goal(sorting) is task.goals[1]
    arrange(sorting, {"blemished_onion": "red_bin"})
    assert task.goal(sorting) is task.goals[0]


def test_blemishes_can_be_seen():
    """From the front camera the onions differ in more than noise does."""
    world = World("sort_onions", image_size=128, cameras=("front",))
    dark = []
    for seed in range(3):
        world.reset(seed)
        picture, counts = world.render("front", 128, 128).astype(int), []
        for onion in ("good_onion", "blemished_onion"):
            u, v, _ = world.project("front", world.position(onion))
            row, column = round(v * 128), round(u * 128)
            patch = picture[row - 6 : row + 7, column - 6 : column + 7]
            counts.append(int((patch.sum(-1) < 200).sum()))
        dark.append(counts)
    world.close()
    assert all(blemished > 3 * good + 8 for good, blemished in dark), dark


def pour_at(world: World, offset: float, count: int) -> None:
    """`count` balls fall `offset` [m] beside the bowl's middle, one after the other."""
    places = world.task.layout(np.random.default_rng(1))
    world.place(places, world.solve(np.array([0.22, 0.0, 0.16]), np.diag([1.0, -1.0, -1.0])), 1.0)
    bowl = places["bowl"]
    for number, ball in enumerate(BALLS[:count]):
        world.put(ball, Place(bowl.x + offset, bowl.y, 0.0, lift=0.03 + 0.014 * number), KITCHEN[ball].rest_height)
    mujoco.mj_step(world.model, world.data, 600)
    mujoco.mj_forward(world.model, world.data)


@pytest.mark.parametrize(
    ("offset", "count", "poured"), [(0.0, 8, True), (0.0, 7, True), (0.0, 6, False), (0.1, 8, False)]
)
def test_poured_is_what_lies_in_the_bowl(pouring, offset, count, poured):
    task = pouring.task
    assert isinstance(task, Pouring)
    pour_at(pouring, offset, count)
    assert task.success(pouring) == poured and task.left(pouring) == len(BALLS) - count
    assert task.poured(pouring) == (count if offset < BOWL_RADIUS else 0)


def test_a_bottle_that_lies_has_not_been_stood_back(pouring):
    task = pouring.task
    assert isinstance(task, Pouring)
    pour_at(pouring, 0.0, 8)
    assert task.success(pouring)
    joint = pouring.data.joint("bottle_free")
    joint.qpos[2:] = [0.03, np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    mujoco.mj_step(pouring.model, pouring.data, 400)
    mujoco.mj_forward(pouring.model, pouring.data)
    assert task.placed(pouring) and not task.stands(pouring) and not task.success(pouring)


@pytest.mark.parametrize("task", list(WATCHED))
def test_labels_are_named_by_landmark(task):
    world = World(task, image_size=32, cameras=())
    world.reset(1)
    found = dict(zip(label_names(world.task), labels(world), strict=True))
    for landmark in set(world.task.landmarks) & set(world.task.things):
        np.testing.assert_allclose([found[f"{landmark}_{axis}"] for axis in "xyz"], world.position(landmark))
    if isinstance(world.task, Pouring):
        mouth = [found[f"bottle_mouth_{axis}"] for axis in "xyz"]
        np.testing.assert_allclose(mouth, world.position("bottle") + [0, 0, 0.15], atol=2e-3)
        balls = np.mean([world.position(ball) for ball in BALLS], axis=0)
        np.testing.assert_allclose([found[f"balls_{axis}"] for axis in "xyz"], balls)
    assert found["held"] == 0
    world.close()


def test_data_of_tasks_with_different_things_do_not_share_a_folder():
    with pytest.raises(SpecError, match="folders of their own"):
        CollectConfig(tasks=("put_spoon_on_towel", "sort_onions"))
    assert CollectConfig(tasks=("sort_onions",)).tasks == ("sort_onions",)
