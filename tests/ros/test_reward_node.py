"""`reward_node` on a real graph: what it says of pictures over topics is what the same class says of them here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe")
from node_bench import Bench
from sensor_msgs.msg import CameraInfo, Image

from vgps_models.irl.perceptual import perceive
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import shaken
from vgps_models.keypoints.hands import HandLandmarker
from vgps_models.keypoints.lifting import metres
from vgps_msgs import msg
from vgps_node import messages, topics
from vgps_node.domain import own_domain
from vgps_node.live_reward import LiveReward
from vgps_node.reward_node import RewardNode
from vgps_node.runtime import ros
from vgps_sim.human.filming import Film, film
from vgps_sim.human.tracks import watched

TASK = "put_carrot_on_plate"
COLOUR, DEPTH, INFO = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw", "/camera/color/camera_info"


@pytest.fixture(scope="module")
def reward(tmp_path_factory) -> Path:
    path, rng = tmp_path_factory.mktemp("reward") / "carrot.safetensors", np.random.default_rng(0)
    shown = [shaken(watched(TASK, 200_000 + i, failures=0.0), 0.012, rng) for i in range(4)]
    perceive(shown, reads="things").save(path, {})
    return path


@pytest.fixture(scope="module")
def made() -> Film:
    return film(TASK, 93_003, failures=0.0, whole=True)


@pytest.fixture
def bench(reward) -> Iterator[Bench]:
    arguments = ["--ros-args", "-p", f"reward_node:reward:={reward}", "-p", "reward_node:reliable_images:=true"]
    with own_domain() as domain, ros(arguments, domain_id=domain) as (context, executor):
        bench = Bench(context, executor, RewardNode)
        yield bench
        bench.close()


def depth_message(depth: np.ndarray, stamp: int) -> Image:
    units = np.round(1000 * depth).astype("<u2")
    return Image(
        header=messages.header(stamp), height=units.shape[0], width=units.shape[1], encoding="16UC1", is_bigendian=0,
        step=2 * units.shape[1], data=units.tobytes(),
    )  # fmt: skip


def info_message(made: Film, stamp: int) -> CameraInfo:
    c = made.camera
    k = [c.fx, 0.0, c.cx, 0.0, c.fy, c.cy, 0.0, 0.0, 1.0]
    return CameraInfo(header=messages.header(stamp), height=c.height, width=c.width, k=k)


def test_over_topics_it_says_the_same_as_in_this_process(bench: Bench, reward: Path, made: Film):
    values, points = bench.listen(msg.Reward, topics.REWARD_VALUE), bench.listen(msg.Keypoints, topics.REWARD_KEYPOINTS)
    live = LiveReward(load_reward(reward), "points", HandLandmarker())
    for t in range(0, len(made), 3):
        stamp = 10**9 + t * 200_000_000
        bench.say(INFO, info_message(made, stamp))
        bench.say(DEPTH, depth_message(made.depth[t], stamp + 2_000_000))
        count = len(values)
        bench.say(COLOUR, messages.image_to_msg(made.rgb[t], stamp, "camera"))
        bench.until(lambda count=count: len(values) > count and len(points) > count)
        depth = metres(np.round(1000 * made.depth[t]).astype(np.uint16))
        mine = live(made.rgb[t], depth, made.camera, stamp * 1e-9)
        assert values[-1].known == (mine.value is not None) and values[-1].task == TASK
        assert values[-1].value == (0.0 if mine.value is None else pytest.approx(mine.value, abs=1e-12))
        assert list(points[-1].names) == list(mine.names) and messages.stamp_of(points[-1]) == stamp
        assert np.array(points[-1].positions) == pytest.approx(mine.positions.ravel(), abs=1e-12, nan_ok=True)
    assert values[-1].known


def test_pictures_that_do_not_fit_are_ignored_and_the_node_lives_on(bench: Bench, made: Film):
    values = bench.listen(msg.Reward, topics.REWARD_VALUE)
    bench.say(INFO, info_message(made, 1))
    small = messages.image_to_msg(made.rgb[0][:100], 10**9, "camera")
    bench.say(DEPTH, depth_message(made.depth[0], 10**9))
    bench.say(COLOUR, small)
    cut = depth_message(made.depth[0], 2 * 10**9)
    cut.data = bytes(cut.data)[:1000]
    bench.say(DEPTH, cut)
    bench.say(COLOUR, messages.image_to_msg(made.rgb[0], 2 * 10**9, "camera"))
    bench.say(DEPTH, depth_message(made.depth[0], 3 * 10**9))
    bench.say(COLOUR, messages.image_to_msg(made.rgb[0], 3 * 10**9, "camera"))
    bench.until(lambda: values)
    assert [messages.stamp_of(value) for value in values] == [3 * 10**9]
