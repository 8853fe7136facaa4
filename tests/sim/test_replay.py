"""A person's motions as the robot's demonstrations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data import EpisodeStore
from vgps_models.errors import UnknownNameError
from vgps_sim.collect import CollectConfig, collect, demonstrate
from vgps_sim.human.demonstrations import SIDEWAYS, Shot, demonstrated
from vgps_sim.objects import get_thing
from vgps_sim.retarget.handled import holds
from vgps_sim.retarget.replay import ASTRAY, Replay, ReplayConfig, gripping, planned
from vgps_sim.retarget.replayed import ReplayBench, bench_replay
from vgps_sim.tasks import ALL_TASKS
from vgps_sim.world import World

TASK = "put_carrot_on_plate"


@pytest.fixture(scope="module")
def shot() -> Shot:
    return demonstrated(TASK, 400_000)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World(TASK, image_size=32)
    yield made
    made.close()


def test_all_of_a_demonstration_is_drawn_from_its_seed(shot: Shot) -> None:
    again = demonstrated(TASK, 400_000)
    assert np.array_equal(again.demonstration.person.tip.position, shot.demonstration.person.tip.position)
    assert again.demonstration.places == shot.demonstration.places
    assert demonstrated(TASK, 400_001).demonstration.places != shot.demonstration.places


@pytest.mark.parametrize("task", list(ALL_TASKS))
def test_the_hand_points_as_the_arms_tool_does(task: str) -> None:
    tip = demonstrated(task, 400_003).demonstration.person.tip
    ahead = np.median(tip.rotation[:, :, 0], axis=0)
    # Of a hand that reaches down little is left of where it points to.
    sideways = np.arctan2(ahead[1], ahead[0])
    assert abs(sideways) < SIDEWAYS + 0.75 or ahead[2] < -0.9


def test_what_is_held_is_taken_where_a_gripper_holds_best(shot: Shot) -> None:
    shown = shot.demonstration
    (hold, *_) = holds(shown)
    moved = gripping(shown, [hold], into=0.012)
    by = moved.tip.position - shown.person.tip.position
    assert np.allclose(by, by[0])  # all alike: the thing goes where the person took it
    thing = get_thing(hold.thing)
    lies = shown.things[hold.thing][hold.first][2] - thing.rest_height
    assert moved.tip.position[hold.first][2] == pytest.approx(lies + thing.grasp_height)
    assert gripping(shown, [], into=0.012) is shown.person


def test_a_plan_asks_for_steps_that_an_arm_can_make(shot: Shot, world: World) -> None:
    plan = planned(shot.demonstration, world)
    assert np.linalg.norm(np.diff(plan.position, axis=0), axis=1).max() < world.spec.max_translation * 1.1
    assert set(plan.gripper) == {0.0, 1.0}
    assert plan.gripper[0] == plan.gripper[-1] == 1.0
    slower = replace(ReplayConfig(), pace=replace(ReplayConfig().pace, speed=0.06))
    assert len(planned(shot.demonstration, world, slower)) > 1.3 * len(plan)


@pytest.mark.parametrize("task", [*ALL_TASKS][:4] + ["sort_onions"])
def test_the_robot_does_what_a_person_has_shown(task: str) -> None:
    """One of four performances at the latest; docs/reference/retarget.md has the shares."""
    made = World(task, image_size=16)
    try:
        for seed in range(400_000, 400_004):
            episode = demonstrate(made, seed, "expert", by="person")
            if episode.success:
                break
    finally:
        made.close()
    assert episode.success and episode.quality == "person, expert" and "lifted" in episode.events


def test_things_lie_where_the_person_had_them(shot: Shot, world: World) -> None:
    places = shot.demonstration.places
    world.reset(5)
    drawn = {name: world.position(name)[:2] for name in places}
    world.reset(5, places)
    for name, place in places.items():
        assert world.position(name)[:2] == pytest.approx([place.x, place.y], abs=0.01)
    assert any(np.linalg.norm(drawn[name] - world.position(name)[:2]) > 0.02 for name in places)


def test_a_motion_goes_on_from_where_the_tool_really_is(shot: Shot, world: World) -> None:
    """When something holds the tool back the next action starts from where it is, not from where it should be."""
    plan = planned(shot.demonstration, world)
    world.reset(1)
    acting = Replay(plan)
    for _ in range(3):
        acting.act(world)  # none of it carried out
    tool, _ = world.tool_pose()
    action, flawed = acting.act(world)
    assert not flawed
    wanted = plan.position[min(acting.done, len(plan) - 1)] - tool
    assert action[:3] @ wanted > 0
    assert np.linalg.norm(acting._position - tool) <= ASTRAY + world.spec.max_translation + 1e-9


def test_a_data_set_of_what_people_showed(tmp_path: Path) -> None:
    config = CollectConfig(
        out=tmp_path / "shown", episodes=2, by="person", quality="mixed", tasks=(TASK,), processes=1, seed=400_000
    )
    done = collect(config)
    assert (done.recorded, done.found) == (2, 0)
    assert collect(config).found == 2  # goes on where it stopped
    columns = EpisodeStore(config.out).columns()
    assert len(columns.bounds) == 3


def test_the_bench_tells_shares_with_intervals() -> None:
    told = bench_replay(ReplayBench(tasks=(TASK,), episodes=2, seed=400_000))["tasks"][TASK]
    assert told["episodes"] == 2
    assert told["ci95"][0] <= told["rate"] <= told["ci95"][1]
    assert told["flawless"]["episodes"] <= 2
    with pytest.raises(UnknownNameError, match=TASK):
        ReplayBench(tasks=("juggle",))


def test_bad_choices_name_the_good_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="person, robot"):
        CollectConfig(out=tmp_path, by="dog")
    with pytest.raises(UnknownNameError, match="expert, mixed"):
        CollectConfig(out=tmp_path, by="person", quality="poor")
