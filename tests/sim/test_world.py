"""Properties of every world: deterministic, varied, without aliases."""

import gc
import weakref

import mujoco
import numpy as np
import pytest

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.spaces import ActionSpec
from vgps_sim.env import execute, start
from vgps_sim.kinematics import ToolServo
from vgps_sim.tasks import ALL_TASKS
from vgps_sim.world import World


@pytest.fixture(scope="module", params=list(ALL_TASKS))
def world(request):
    world = World(request.param)
    yield world
    world.close()


def drive(world: World, seed: int, steps: int = 6) -> list[np.ndarray]:
    servo, rng = ToolServo(), np.random.default_rng(seed)
    start(world, servo, seed)
    states = [world.state()]
    for _ in range(steps):
        execute(world, servo, np.r_[rng.uniform(-0.03, 0.03, 3), rng.uniform(-0.2, 0.2, 3), rng.integers(2)])
        states.append(world.state())
    return states


def test_same_seed_and_actions_give_bit_equal_states(world):
    first, other, again = drive(world, 3), drive(world, 4), drive(world, 3)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    fresh = World(world.task.id)
    assert all(np.array_equal(a, b) for a, b in zip(first, drive(fresh, 3), strict=True))
    fresh.close()


def test_same_seed_gives_the_same_picture(world):
    world.reset(5)
    first = world.images()
    world.reset(6)
    world.images()
    world.reset(5)
    for name, image in world.images().items():
        np.testing.assert_array_equal(image, first[name])
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8 and image.std() > 10


def test_observations_are_copies(world):
    world.reset(1)
    observation = world.observation()
    kept = {name: image.copy() for name, image in observation.images.items()}
    proprio = observation.proprio.copy()
    drive(world, 1, 2)
    world.images()
    for name, image in observation.images.items():
        np.testing.assert_array_equal(image, kept[name])
    np.testing.assert_array_equal(observation.proprio, proprio)


def test_state_can_be_restored(world):
    states = drive(world, 7)
    world.set_state(states[2])
    np.testing.assert_array_equal(world.state(), states[2])


def test_layouts_differ_and_start_unsolved(world):
    seen = set()
    for seed in range(40):
        world.reset(seed)
        assert not world.success and world.events == ()
        goal = world.task.goal(world)
        seen.add(tuple(np.round([*world.position(goal.object), *world.position(goal.target)], 4)))
    assert len(seen) == 40


def test_project_agrees_with_the_picture(world):
    """Where the object is said to appear, taking it away changes the picture."""
    world.reset(2)
    name = world.task.goal(world).object
    at = world.data.geom_xpos[world.model.geom_bodyid == world.model.body(name).id].mean(
        0
    )  # a bottle's frame is its foot
    u, v, inside = world.project("front", at)
    before = world.render("front", 128, 128).astype(int)
    world.data.joint(f"{name}_free").qpos[2] = -1.0
    mujoco.mj_kinematics(world.model, world.data)
    changed = np.abs(world.render("front", 128, 128).astype(int) - before).sum(-1) > 30
    rows, columns = np.nonzero(changed)
    assert inside and len(rows) > 20
    np.testing.assert_allclose([columns.mean() / 128, rows.mean() / 128], [u, v], atol=0.05)


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(UnknownNameError, match="put_spoon_on_towel"):
        World("make_coffee")
    with pytest.raises(UnknownNameError, match="wrist"):
        World("put_spoon_on_towel", cameras=("back",))
    with pytest.raises(UnknownNameError, match="widowx_ai"):
        World("put_spoon_on_towel", spec=ActionSpec(arm="panda"))


def test_a_control_period_must_be_a_multiple_of_the_physics_step():
    with pytest.raises(SpecError, match="multiple"):
        World("put_spoon_on_towel", spec=ActionSpec(control_hz=7.0))


def test_closing_one_world_leaves_the_others_pictures_alone():
    kept, closed = World("put_carrot_on_plate"), World("put_spoon_on_towel")
    for world in (kept, closed):
        world.reset(3)
    before = kept.images()
    closed.images()
    closed.close()
    for name, image in kept.images().items():
        np.testing.assert_array_equal(image, before[name])
    kept.close()


@pytest.mark.parametrize("when", ["between pictures", "while drawing"])
def test_a_world_that_is_dropped_leaves_the_others_pictures_alone(when, monkeypatch):
    """Nobody closes it, and the collector comes when it pleases."""
    kept = World("put_carrot_on_plate", cameras=("front",))
    kept.reset(3)
    before = kept.images()
    dropped = World("put_spoon_on_towel", cameras=("front",))
    dropped.reset(3)
    dropped.images()
    cycle: list = [dropped]
    cycle.append(cycle)  # only the collector finds it now, and takes its parts in any order
    kept.images()  # now the context of `kept` is the current one
    gone = weakref.ref(dropped)
    del dropped, cycle
    if when == "while drawing":
        real = mujoco.mjr_render
        monkeypatch.setattr(mujoco, "mjr_render", lambda *arguments: (gc.collect(), real(*arguments)))
        np.testing.assert_array_equal(kept.images()["front"], before["front"])
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(kept.images()["front"], before["front"])
    kept.close()


def test_clutter_is_seen_and_nothing_else(task_id: str = "put_spoon_on_towel") -> None:
    from vgps_sim.domain import get_domain

    plain, cluttered = World(task_id), World(task_id, domain=get_domain("cluttered"))
    for seed in (5, 6):
        plain.reset(seed)
        cluttered.reset(seed)
        assert np.array_equal(plain.data.qpos, cluttered.data.qpos)
        before, after = plain.images()["front"], cluttered.images()["front"]
        assert (before != after).any(axis=-1).mean() > 0.02
        places = cluttered.data.mocap_pos[[cluttered.model.body(f"clutter_{i}").mocapid[0] for i in range(6)]]
        assert (places[:, 2] > 0).all() and len(np.unique(places[:, 0])) == 6
    again = World(task_id, domain=get_domain("cluttered"))
    again.reset(6)
    assert np.array_equal(again.images()["front"], after)
