"""Every registered environment keeps Gymnasium's contract, alone, wrapped, in vectors and in other processes."""

import copy
import importlib.util
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import vgps_sim.env
from vgps_models.errors import UnknownNameError
from vgps_models.spaces import ActionSpec
from vgps_sim.tasks import ALL_TASKS

SPOON, CARROT = "vgps_sim:VGPS/PutSpoonOnTowel-v0", "vgps_sim:VGPS/PutCarrotOnPlate-v0"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "gymnasium.md"
STILL = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
make: Callable[..., Any] = partial(gym.make, image_size=32)
make_vec: Callable[..., Any] = partial(gym.make_vec, image_size=32)


@pytest.fixture(scope="module")
def env():
    env = make(SPOON)
    yield env
    env.close()


@pytest.mark.parametrize("task", ALL_TASKS)
def test_passes_gymnasiums_checker(task):
    env = gym.make(vgps_sim.env.env_id(task), render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=False)
    env.close()


def test_reward_is_minus_one_a_step_and_truncates_in_time():
    env: Any = gym.make("VGPS/PutCarrotOnPlate-v0").unwrapped
    env.reset(seed=1)
    rewards, truncated = [], False
    while not truncated:
        _, reward, terminated, truncated, info = env.step(np.zeros(7, np.float32))
        rewards.append(reward)
        assert not terminated and not info["success"]
    assert set(rewards) == {-1.0} and len(rewards) == 60
    env.close()


def test_an_environment_says_what_it_is(env):
    assert "VGPS/PutSpoonOnTowel-v0" in str(env) and "ManipulationEnv" in repr(env)
    for one in (env, env.unwrapped):
        assert one.spec is not None and one.spec.id == "VGPS/PutSpoonOnTowel-v0"
    assert env.unwrapped.action_spec == ActionSpec()
    assert str(vgps_sim.env.ManipulationEnv("sort_onions"))  # also without a registry


def test_the_spec_of_an_environment_travels(env):
    for spec in (pickle.loads(pickle.dumps(env.spec)), EnvSpec.from_json(env.spec.to_json())):
        other = gym.make(spec)
        assert other.observation_space == env.observation_space and other.action_space == env.action_space
        other.close()
    assert copy.deepcopy(env.observation_space) == env.observation_space


@pytest.mark.parametrize("before", ["import gymnasium", "import vgps_sim", "from vgps_sim.world import World"])
def test_the_documented_id_makes_an_environment_whatever_was_imported_first(before):
    code = (
        f"{before}\nimport gymnasium, sys\n"
        f"for _ in range(2):\n    env = gymnasium.make('{SPOON}')\n    env.reset(seed=0)\n    env.close()\n"
        "assert gymnasium.spec('VGPS/PourBalls-v0')\n"
        "assert not {'torch', 'rclpy', 'vgps_node'} & set(sys.modules), 'heavy'\nprint(env)"
    )
    if before == "import vgps_sim":
        code = code.replace("import gymnasium, sys", "import sys\nassert 'mujoco' not in sys.modules\nimport gymnasium")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and "PutSpoonOnTowel" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "action, why",
    [
        (np.full(7, np.nan), "finite"), (np.r_[np.zeros(6), np.inf], "finite"), (np.full(7, -np.inf), "finite"),
        (np.zeros(6), r"shape \(7,\), not \(6,\)"), (np.zeros((1, 7)), r"not \(1, 7\)"), (np.float32(0), r"not \(\)"),
        (np.zeros(0), r"not \(0,\)"), (None, "."), ("left", "7 numbers, not left"), ([0.0] * 6 + ["open"], "7 numbers"),
        ({"dx": 1}, "7 numbers"), (np.array([[0.0], [0.0, 1.0]], dtype=object), "7 numbers"),
    ],
)  # fmt: skip
def test_what_is_no_action_is_refused_and_the_arm_holds(env, action, why):
    env.reset(seed=2)
    for _ in range(2):  # what is left of the motion to the start
        env.step(STILL)
    before = env.unwrapped.world.tool_pose()[0]
    observation, reward, terminated, truncated, info = env.step(action)
    assert re.search(why, info["refused"]) and reward == -1.0 and not terminated and not truncated
    assert np.abs(env.unwrapped.world.tool_pose()[0] - before).max() < 1e-3
    assert env.observation_space.contains(observation) and env.unwrapped.world.step == 3
    *_, info = env.step(STILL)
    assert info["refused"] == ""


def test_what_the_arm_cannot_reach_is_refused_and_the_episode_goes_on(env):
    env.reset(seed=2)
    turn = np.array([0, 0, 0, 0, 0.25, 0, 1], np.float32)  # about the tool's y: soon the arm would have to fold
    said = [env.step(turn)[4]["refused"] for _ in range(16)]
    assert said[0] == "" and "cannot bring its tool to" in said[-1] and env.unwrapped.world.step == 16


@pytest.mark.parametrize("size", [1.0, 5.0, 1e6])
def test_a_displacement_that_is_too_long_is_shortened_and_keeps_its_direction(env, size):
    env.reset(seed=2)
    before = env.unwrapped.servo.position.copy()
    *_, info = env.step(np.array([0.03 * size, 0, 0, 0, 0, 0, 1]))
    assert info["refused"] == "" and np.allclose(env.unwrapped.servo.position - before, [0.03, 0, 0], atol=2e-3)


def rollout(env, seed, steps=3):
    observation, info = env.reset(seed=seed)
    random, low, high = np.random.default_rng(0), env.action_space.low, env.action_space.high
    actions = [random.uniform(low, high).astype(np.float32) for _ in range(steps)]
    return info["seed"], [observation, *(env.step(action)[0] for action in actions)]


def same(a, b):
    return all(np.array_equal(x[name], y[name]) for x, y in zip(a, b, strict=True) for name in x)


def test_the_same_seed_gives_the_same_episode_and_the_next_ones_follow_from_it(env):
    other = make(SPOON)
    assert same(rollout(env, 7)[1], rollout(other, 7)[1])
    following = [(one.reset()[1]["seed"], one.reset()[1]["seed"]) for one in (env, other)]
    assert following[0] == following[1] and len({7, *following[0]}) == 3
    assert not same(rollout(env, 7)[1], rollout(other, 8)[1])
    assert rollout(other, 2**40)[0] == 2**40
    with pytest.raises(gym.error.Error):
        env.reset(seed=-1)
    other.close()


def test_render_modes():
    silent, seen = make(SPOON), make(SPOON, render_mode="rgb_array")
    for env in (silent, seen):
        env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render mode"):
        assert silent.unwrapped.render() is None
    picture = seen.render()
    assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8 and picture.std() > 10
    listed = make(SPOON, render_mode="rgb_array_list")
    listed.reset(seed=0)
    listed.step(STILL)
    assert [frame.shape for frame in listed.render()] == [(480, 640, 3)] * 2
    with pytest.raises(UnknownNameError, match="rgb_array"):
        vgps_sim.env.ManipulationEnv("sort_onions", render_mode="ansi")
    for env in (silent, seen, listed):
        env.close()
        env.close()
    assert seen.unwrapped.render().shape == (480, 640, 3)  # a closed one draws again


def test_wrappers(tmp_path):
    env = make(SPOON, render_mode="rgb_array", max_episode_steps=3)
    env = wrappers.RecordEpisodeStatistics(wrappers.ClipAction(env))
    env = wrappers.TransformObservation(
        env, lambda o: o["front"].astype(np.float32) / 255, gym.spaces.Box(0, 1, (32, 32, 3))
    )
    env.reset(seed=0)
    for step in range(3):
        observation, _, _, truncated, info = env.step(np.ones(7, np.float32))
        assert truncated == (step == 2) and observation.max() <= 1
    assert info["episode"]["r"] == -3.0 and info["episode"]["l"] == 3
    env.close()
    flat = wrappers.FlattenObservation(make(SPOON))
    observation, _ = flat.reset(seed=0)
    assert observation.shape == (2 * 32 * 32 * 3 + 10 + 200,) and flat.observation_space.contains(observation)
    words = gym.spaces.unflatten(flat.env.observation_space, observation)["instruction"]
    assert words == ALL_TASKS["put_spoon_on_towel"].instruction
    flat.close()


@pytest.mark.skipif(not importlib.util.find_spec("moviepy"), reason="Gymnasium records videos by moviepy")
def test_a_video_is_recorded(tmp_path):
    env = make(SPOON, render_mode="rgb_array", max_episode_steps=2)
    env = wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    env.step(STILL)
    env.step(STILL)
    env.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


SETTINGS = {"sync": None, "async": {}, "spawn": {"context": "spawn"}, "view": {"copy": False}}
SEEDS, ACTIONS = (3, 4), np.stack([STILL, np.full(7, np.nan, np.float32)])


@pytest.fixture(scope="module")
def alone():
    """What two environments of different tasks show, each by itself, over a reset and two steps."""
    seen = []
    for task, seed, action in zip((SPOON, CARROT), SEEDS, ACTIONS, strict=True):
        one = make(task)
        seen.append([one.reset(seed=seed)[0], one.step(action)[0], one.step(action)[0]])
        one.close()
    return list(zip(*seen, strict=True))


@pytest.mark.parametrize("how", SETTINGS)
def test_vectors_give_what_single_environments_give(alone, how):
    """Also after this process has drawn. Of two tasks at a time, so that sentences cannot be mixed up."""
    makers, settings = [partial(make, name) for name in (SPOON, CARROT)], SETTINGS[how]
    envs = SyncVectorEnv(makers) if settings is None else AsyncVectorEnv(makers, **settings)
    assert "num_envs=2" in str(envs)
    for step, single in enumerate(alone):
        if step == 0:
            observations, infos = envs.reset(seed=list(SEEDS))
        else:
            observations, rewards, _, _, infos = envs.step(ACTIONS)
            assert rewards.tolist() == [-1.0, -1.0]
            assert infos["refused"][0] == "" and "finite" in infos["refused"][1]
        assert tuple(observations["instruction"]) == tuple(one["instruction"] for one in single)
        assert tuple(infos["instruction"]) == tuple(observations["instruction"])
        assert len(set(infos["instruction"])) == 2
        for name in ("front", "wrist", "proprio"):
            np.testing.assert_array_equal(observations[name], [one[name] for one in single])
        assert how == "view" or envs.observation_space.contains(observations)
    envs.close()


def test_make_vec_counts_episodes():
    envs = make_vec(SPOON, num_envs=2, vectorization_mode="async", max_episode_steps=2)
    envs = wrappers.vector.RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    actions = np.stack([STILL] * 2)
    envs.step(actions)
    *_, truncated, infos = envs.step(actions)
    assert truncated.all() and infos["episode"]["r"].tolist() == [-2.0, -2.0]
    observations, *_ = envs.step(actions)  # the next episode
    assert set(observations["instruction"]) == {ALL_TASKS["put_spoon_on_towel"].instruction}
    envs.close()


def played(seed):
    env = make(SPOON)
    seen = rollout(env, seed, steps=2)
    env.close()
    return seen


def test_a_forked_process_plays_the_same_episode(env):
    mine = rollout(env, 5, steps=2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        seed, seen = pool.apply(played, (5,))
    assert seed == mine[0] == 5 and same(seen, mine[1])


def blocks():
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_examples_of_the_page_run(number, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(blocks()[number], encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_the_page_names_every_environment():
    text = PAGE.read_text(encoding="utf-8")
    for task in ALL_TASKS.values():
        assert f"| `{vgps_sim.env.env_id(task.id)}` | {task.instruction} | {task.max_steps}" in text
