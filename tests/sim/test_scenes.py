"""Random scenes: varied, labelled truthfully, resumable."""

import numpy as np
import pytest

from vgps_models.training.scenes import SceneSet
from vgps_sim.scenes import ScenesConfig, collect_scenes, random_scene
from vgps_sim.tasks import TASKS
from vgps_sim.world import World


@pytest.mark.parametrize("task", TASKS)
def test_labels_are_the_world(task):
    world = World(task)
    for seed in range(5):
        scene = random_scene(world, np.random.default_rng(seed))
        np.testing.assert_allclose(scene["object_position"], world.position(world.task.goal(world).object), atol=1e-6)
        for view, camera in enumerate(("front", "wrist")):
            u, v, inside = world.project(camera, scene["target_position"])
            np.testing.assert_allclose(scene["pixels"][view, 1], [u * 128, v * 128], atol=1e-2)
            assert scene["visible"][view, 1] == inside
    again = random_scene(world, np.random.default_rng(4))
    np.testing.assert_array_equal(scene["front"], again["front"])
    world.close()


def test_collects_shards_once(tmp_path):
    config = ScenesConfig(out=tmp_path / "scenes", count=12, shard=3, processes=1)
    seen: list[int] = []
    collect_scenes(config, seen.append)
    scenes = SceneSet(config.out)
    assert len(scenes) == 12 and sum(seen) == 12 and len(set(scenes.instructions)) == 16
    written = (config.out / "0000000" / "meta.json").stat().st_mtime_ns
    collect_scenes(config)
    assert (config.out / "0000000" / "meta.json").stat().st_mtime_ns == written
