"""Labelled pictures of a person and of the robot: every task, points where something is to be seen, the same again."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.keypoints.pictures import Pictures
from vgps_sim.human.arranging import arranged
from vgps_sim.human.labelling import ARM, POINTS, fitted
from vgps_sim.human.posing import PosesConfig, collect_poses, poses
from vgps_sim.human.robot_posing import robot_poses, robot_world
from vgps_sim.objects import get_thing
from vgps_sim.tasks import ALL_TASKS, SORTING, get_task

SIZE = (256, 192)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_the_robot_is_pictured_with_its_things_and_no_arm_of_a_person(task: str):
    world = robot_world(task)
    made = robot_poses(world, np.random.default_rng([3, len(task)]), 8, SIZE, 0.3)
    world.close()
    shown = np.array([one.shown for one in made])
    assert all(one.rgb.shape == (192, 256, 3) for one in made)
    assert not shown[:, [POINTS.index(name) for name in ARM]].any()
    own = [POINTS.index(name) for name in get_task(task).landmarks]
    assert shown[:, own].mean() > 0.3 and not np.delete(shown, own, 1).any()
    for one in made:
        inside = one.pixels[one.shown]
        assert ((inside > -0.5) & (inside < np.array(SIZE) - 0.5)).all()


def test_from_nearer_by_things_are_larger_and_where_they_are_said_to_be():
    """A yellow block is yellow at its label, in whole pictures and in parts."""
    task, k = get_task("stack_green_block_on_yellow_block"), POINTS.index("yellow_block")
    for near in (0.0, 1.0):
        made = poses(task, np.random.default_rng(4), 24, SIZE, near)
        yellow = []
        for one in made:
            if one.shown[k] and one.under[k] > 0.004:
                u, v = np.round(one.pixels[k]).astype(int)
                red, green, blue = one.rgb[v, u].astype(float)
                yellow.append(min(red, green) > 1.3 * blue)
        assert len(yellow) >= 4 and np.mean(yellow) > 0.7


def test_some_things_are_where_they_belong_and_some_where_they_do_not():
    rng, in_own, in_other = np.random.default_rng(0), 0, 0
    for _ in range(60):
        places = arranged(SORTING, rng)
        for goal, other in zip(SORTING.goals, SORTING.goals[::-1], strict=True):
            at = places[goal.object]
            if at.lift:
                assert at.lift == get_thing(goal.target).top
                off = [np.hypot(at.x - places[t].x, at.y - places[t].y) for t in (goal.target, other.target)]
                assert min(off) < 0.05
                in_own, in_other = in_own + (off[0] < off[1]), in_other + (off[1] < off[0])
    assert in_own > 10 and in_other > 10


def test_small_pictures_are_fitted_with_their_labels():
    world = robot_world("put_carrot_on_plate")
    one = robot_poses(world, np.random.default_rng(1), 1, SIZE)[0]
    world.close()
    small = fitted(one, 128, 128)
    assert small.rgb.shape == (128, 128, 3) and (small.rgb[0] == 127).all()
    at = one.pixels[one.shown]
    assert small.pixels[one.shown] == pytest.approx((at + 0.5) / 2 - 0.5 + [0, 16])


def test_shards_are_the_same_again(tmp_path):
    config = PosesConfig(tmp_path / "a", count=24, shard=24, settings=6, processes=1)
    again = PosesConfig(tmp_path / "b", count=24, shard=24, settings=6, processes=1)
    one, two = (Pictures(collect_poses(c)) for c in (config, again))
    assert one.points == POINTS and len(one) == 24 and one.sha256() == two.sha256()
