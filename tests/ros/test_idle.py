"""What a graph shows while no task runs: time, joints, images and frames, from the start and between episodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from node_bench import CONTRACT, Bench
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_msgs.msg import TFMessage

from vgps_msgs import msg, srv
from vgps_node import messages, topics
from vgps_node.domain import own_domain
from vgps_node.runtime import LATCHED, RELIABLE, ros
from vgps_node.sim_node import SimNode
from vgps_sim.kinematics import ToolServo
from vgps_sim.scene import CAMERAS, FRONT, camera_pose

SECOND = 1_000_000_000  # [ns]


class Listener:
    """Every message of the simulator in the order of its publication, with the clock that was published before it."""

    def __init__(self, bench: Bench) -> None:
        self.clock: list[int] = []
        self.stamped: dict[str, list[tuple[int, int]]] = {}  # topic -> (stamp, clock) [ns]
        self.messages: dict[str, list[Any]] = {}
        node = bench.node
        original = node._time.publish  # type: ignore[attr-defined]

        def tick(message: Clock) -> None:
            self.clock.append(messages.from_time(message.clock))
            original(message)

        node._time.publish = tick  # type: ignore[attr-defined]
        kinds: dict[str, type] = {CONTRACT.state.topic: JointState, "/tf": TFMessage}
        kinds |= {feature.topic: Image for feature in CONTRACT.images.values()}
        kinds |= {topics.camera_info(name): CameraInfo for name in CONTRACT.images}
        for topic, kind in kinds.items():
            self.messages[topic] = bench.listen(kind, topic)


@pytest.fixture(params=["realtime", "lockstep"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    arguments = ["--ros-args", "-p", f"clock:={request.param}"]
    with own_domain() as domain, ros(arguments, domain_id=domain) as (context, executor):
        bench = Bench(context, executor, SimNode)
        yield bench
        bench.close()


def seconds(bench: Bench, listener: Listener, amount: float) -> None:
    """Until so much simulated time has passed."""
    begin = bench.node.sim.stamp  # type: ignore[attr-defined]
    bench.until(lambda: bench.node.sim.stamp - begin >= amount * SECOND)  # type: ignore[attr-defined]


def test_time_joints_images_and_frames_come_before_the_first_episode(bench: Bench) -> None:
    listener = Listener(bench)
    states = bench.listen(msg.TaskState, CONTRACT.task.topic)
    seconds(bench, listener, 1.2)
    counts = {topic: len(found) for topic, found in listener.messages.items()}
    assert len(listener.clock) >= 100 and np.diff(listener.clock).min() > 0
    assert np.diff(listener.clock).max() <= 0.01 * SECOND, "/clock is slower than 100 Hz of simulated time"
    assert counts[CONTRACT.state.topic] >= 40 and counts["/tf"] >= 40
    for name, feature in CONTRACT.images.items():
        assert counts[feature.topic] >= 4 and counts[topics.camera_info(name)] >= 4
    assert not states, "without an episode there is no observation to act on"


def test_no_stamp_is_ahead_of_the_clock(bench: Bench) -> None:
    node: Any = bench.node
    ahead, newest = [], [0]
    publishers = [node._joints, *node._images.values(), *node._infos.values()]
    original = node._time.publish

    def tick(message: Clock) -> None:
        newest[0] = messages.from_time(message.clock)
        original(message)

    node._time.publish = tick
    for publisher in publishers:

        def watch(message: Any, publish: Any = publisher.publish) -> None:
            ahead.append(messages.stamp_of(message) - newest[0])
            publish(message)

        publisher.publish = watch
    bench.until(lambda: len(ahead) > 50)
    assert bench.ask(srv.Reset, topics.RESET, srv.Reset.Request(task="put_spoon_on_towel", seed=1)).ok
    known = len(ahead)
    bench.until(lambda: len(ahead) > known + 5)
    assert max(ahead) == 0


def test_everything_goes_on_between_episodes(bench: Bench) -> None:
    listener = Listener(bench)
    states = bench.listen(msg.TaskState, CONTRACT.task.topic)
    begun = bench.ask(srv.Reset, topics.RESET, srv.Reset.Request(task="put_spoon_on_towel", seed=1, max_steps=1))
    assert begun.ok
    if bench.node.sim.clock == "lockstep":  # type: ignore[attr-defined]
        servo, arm = ToolServo(), bench.node.sim.arm()  # type: ignore[attr-defined]
        servo.reset(arm.q, arm.gripper)
        stamp = messages.from_time(begun.stamp)
        bench.say(topics.JOINT_COMMAND, messages.command_to_msg(servo.hold(), stamp, CONTRACT))
    bench.until(lambda: states and states[-1].done)
    before = {topic: len(found) for topic, found in listener.messages.items()}
    seconds(bench, listener, 0.9)
    for topic, count in before.items():
        assert len(listener.messages[topic]) >= count + 3, topic
    assert states[-1].done, "an idle world makes no observations"
    stamps = [messages.stamp_of(message) for message in listener.messages[CONTRACT.state.topic]]
    assert np.diff(stamps).min() >= 0


def test_the_cameras_are_frames_of_tf(bench: Bench) -> None:
    found: list[TFMessage] = []
    bench.probe.create_subscription(TFMessage, "/tf_static", found.append, LATCHED)
    moving = bench.listen(TFMessage, "/tf")
    bench.until(lambda: found and moving)
    frames = {t.child_frame_id: t for message in found for t in message.transforms}
    parents = {topics.camera_frame("front"): messages.BASE_FRAME, topics.camera_frame("wrist"): topics.TOOL_FRAME}
    assert {child: t.header.frame_id for child, t in frames.items()} == parents
    (tool,) = moving[-1].transforms
    assert (tool.header.frame_id, tool.child_frame_id) == (messages.BASE_FRAME, topics.TOOL_FRAME)
    front = frames[topics.camera_frame("front")].transform
    turn = Rotation.from_quat([front.rotation.x, front.rotation.y, front.rotation.z, front.rotation.w]).as_matrix()
    expected = camera_pose(CAMERAS[FRONT])
    assert np.allclose(turn, expected[:3, :3], atol=1e-6)
    assert np.allclose([front.translation.x, front.translation.y, front.translation.z], expected[:3, 3], atol=1e-6)


def test_images_say_which_frame_they_are_in(bench: Bench) -> None:
    images = bench.listen(Image, CONTRACT.images["front"].topic)
    infos: list[CameraInfo] = []
    bench.probe.create_subscription(CameraInfo, topics.camera_info("front"), infos.append, RELIABLE)
    bench.until(lambda: images and infos)
    assert images[-1].header.frame_id == infos[-1].header.frame_id == topics.camera_frame("front")
