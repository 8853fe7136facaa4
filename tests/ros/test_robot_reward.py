"""`reward_node` over a robot's episode in the simulated graph: what it says is what the same class says here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from node_bench import CONTRACT, Bench

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.irl.perceptual import perceive
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import shaken
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import metres
from vgps_msgs import msg, srv
from vgps_node import messages, topics
from vgps_node.camera_pose import pose_text
from vgps_node.domain import own_domain
from vgps_node.live_robot import RobotReward
from vgps_node.reward_node import RewardNode
from vgps_node.runtime import ros
from vgps_node.sim_node import SimNode
from vgps_sim.env import start
from vgps_sim.experts import Expert
from vgps_sim.human.tracks import watched
from vgps_sim.kinematics import ToolServo
from vgps_sim.scene import CAMERAS, FRONT, camera_pose
from vgps_sim.world import World

TASK = "put_carrot_on_plate"
POSE = camera_pose(CAMERAS[FRONT])


@pytest.fixture(scope="module")
def reward(tmp_path_factory) -> Path:
    path, rng = tmp_path_factory.mktemp("reward") / "carrot.safetensors", np.random.default_rng(0)
    shown = [shaken(watched(TASK, 200_000 + i, failures=0.0), 0.012, rng) for i in range(8)]
    perceive(shown, reads="things").save(path, {})
    return path


@pytest.fixture
def bench(reward: Path) -> Iterator[Bench]:
    told = {"reward": reward, "who": "robot", "camera": FRONT, "camera_pose": pose_text(POSE), "reliable_images": True}
    arguments = ["--ros-args", "-p", "sim_node:depth:=true", "-p", "sim_node:republish_after:=60.0"]
    arguments += [part for name, value in told.items() for part in ("-p", f"reward_node:{name}:={value}")]
    arguments = [part.replace(":=True", ":=true") for part in arguments]
    with own_domain() as domain, ros(arguments, domain_id=domain) as (context, executor):
        bench, sim = Bench(context, executor, RewardNode), SimNode(context)
        executor.add_node(sim)
        yield bench
        bench.close()
        executor.remove_node(sim)
        sim.destroy_node()


def test_over_the_graph_an_episode_is_worth_what_it_is_in_one_process(bench: Bench, reward: Path):
    values, points = bench.listen(msg.Reward, topics.REWARD_VALUE), bench.listen(msg.Keypoints, topics.REWARD_KEYPOINTS)
    states = bench.listen(msg.TaskState, CONTRACT.task.topic)
    live, twin, servo = RobotReward(load_reward(reward), "points", POSE), World(TASK), ToolServo()
    expert = Expert(twin.spec)
    for seed in (93_000, 93_001):  # the second begins anew
        start(twin, servo, seed)
        live.forget()
        assert bench.ask(srv.Reset, topics.RESET, srv.Reset.Request(task=TASK, seed=seed)).ok
        heard = list[float]()
        while True:
            count = twin.step + 1
            bench.until(
                lambda count=count, seed=seed: states and (states[-1].seed, states[-1].step + 1) == (seed, count)
            )
            stamp = messages.stamp_of(states[-1])
            bench.until(lambda stamp=stamp: values and messages.stamp_of(values[-1]) == stamp, 60.0)
            heard.append(values[-1].value)
            size, joints = twin.image_size, twin.joints()
            rgb, far = twin.filmed(FRONT, size, size)
            camera = Intrinsics.of_fovy(size, size, CAMERAS[FRONT].fovy)
            depth = metres(np.round(1000 * far).astype(np.uint16))
            mine = live(rgb, depth, camera, stamp * 1e-9, joints.q, joints.gripper)
            assert values[-1].task == TASK and values[-1].known == (mine.value is not None)
            assert values[-1].value == (0.0 if mine.value is None else pytest.approx(mine.value, abs=1e-9))
            bench.until(lambda stamp=stamp: points and messages.stamp_of(points[-1]) == stamp)
            assert list(points[-1].names) == list(mine.names)
            assert np.array(points[-1].positions) == pytest.approx(mine.positions.ravel(), abs=1e-9, nan_ok=True)
            if twin.success or twin.step >= 40:
                break
            command = servo.command(expert.act(twin))
            stamped = messages.command_to_msg(command, stamp, CONTRACT)
            twin.apply(messages.command_from_msg(stamped, CONTRACT))
            bench.say(topics.JOINT_COMMAND, stamped)
        assert twin.success and heard[-1] > heard[0] + 0.3
    twin.close()


@pytest.mark.parametrize(
    ("changed", "error", "what"),
    [({"who": "dog"}, UnknownNameError, "person"), ({"camera_pose": "1 2 3"}, SpecError, "seven numbers")],
)
def test_what_is_told_wrong_is_refused(reward: Path, changed: dict[str, str], error: type, what: str):
    told = {"reward": str(reward), "who": "robot", "camera_pose": pose_text(POSE)} | changed
    arguments = [part for name, value in told.items() for part in ("-p", f'reward_node:{name}:="{value}"')]
    with (
        own_domain() as domain,
        ros(["--ros-args", *arguments], domain_id=domain) as (context, _),
        pytest.raises(error, match=what),
    ):
        RewardNode(context)
