"""Every registered environment keeps Gymnasium's contract."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import vgps_sim.env
from vgps_sim.tasks import ALL_TASKS


@pytest.mark.parametrize("task", ALL_TASKS)
def test_passes_gymnasiums_checker(task):
    env = gym.make(vgps_sim.env.env_id(task), render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=False)
    env.close()


def test_reward_is_minus_one_a_step_and_truncates_in_time():
    env = gym.make("VGPS/PutCarrotOnPlate-v0").unwrapped
    env.reset(seed=1)
    rewards, truncated = [], False
    while not truncated:
        _, reward, terminated, truncated, info = env.step(np.zeros(7, np.float32))
        rewards.append(reward)
        assert not terminated and not info["success"]
    assert set(rewards) == {-1.0} and len(rewards) == 60
    env.close()
