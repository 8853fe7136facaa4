"""Recorded demonstrations: unique layouts, flaws and outcomes kept, resumed without repeating."""

import numpy as np
import pytest

from vgps_models.data.store import EpisodeStore
from vgps_models.errors import UnknownNameError
from vgps_sim.collect import CollectConfig, _record, collect, demonstrate
from vgps_sim.env import execute, start
from vgps_sim.kinematics import ToolServo
from vgps_sim.tasks import TASKS
from vgps_sim.world import World


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "mixed"
    collect(CollectConfig(out=root, episodes=4, processes=1))
    return root


def test_resumes_and_grows(recorded):
    again = collect(CollectConfig(out=recorded, episodes=4, processes=1))
    assert again.recorded == 0 and again.found == 4
    more = collect(CollectConfig(out=recorded, episodes=8, processes=1))
    assert more.recorded == 4 and more.found == 4
    store = EpisodeStore(recorded)
    assert len(store) == 8


def test_what_another_process_has_recorded_meanwhile_is_passed_over(tmp_path):
    config = CollectConfig(out=tmp_path / "two", episodes=1, processes=1)
    key = (config.tasks[0], config.seed)
    assert len(_record((config, (key,)))) == 1
    assert _record((config, (key,))) == []  # as when both began before either had finished
    assert collect(config).found == 1


def test_recorded_actions_replay_to_the_recorded_outcome():
    world, servo = World("put_carrot_on_plate"), ToolServo()
    episode = demonstrate(world, 11, "mixed")
    start(world, servo, 11)
    for t, action in enumerate(episode.actions):
        joints = world.joints()
        np.testing.assert_array_equal(episode.joints[t], np.float32(np.r_[joints.q, joints.gripper]))
        execute(world, servo, action)
    assert world.success == episode.success


@pytest.mark.parametrize("bad", [{"quality": "good"}, {"tasks": ("make_coffee",)}])
def test_bad_settings_list_the_valid_ones(bad):
    with pytest.raises(UnknownNameError):
        CollectConfig(**bad)


def test_layouts_are_unique(recorded):
    store = EpisodeStore(recorded)
    hashes = [str(h) for h in store.episodes()["layout_hash"]]
    assert len(set(hashes)) == len(hashes)
    assert set(map(str, store.episodes()["task_id"])) == set(TASKS)
