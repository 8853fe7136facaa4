"""A reward over the robot, picture by picture: what is hidden stays, or goes with the hand that it was in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import SpecError
from vgps_models.irl.perceptual import perceive
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import shaken
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import Points
from vgps_models.keypoints.things import ThingsSeen
from vgps_node.camera_pose import pose_of, pose_text
from vgps_node.live_robot import RobotReward
from vgps_node.seen_check import Episode, SeenReward, check_seen, robot_seen
from vgps_sim.human.tracks import watched
from vgps_sim.kinematics import ToolServo
from vgps_sim.robot_film import RobotFilm, film_robot
from vgps_sim.scene import CAMERAS, FRONT, camera_pose
from vgps_sim.world import World

TASK = "put_carrot_on_plate"
CAMERA = Intrinsics.of_fovy(128, 128, 50.0)
POSE = camera_pose(CAMERAS[FRONT])


@pytest.fixture(scope="module")
def reward():
    rng = np.random.default_rng(0)
    return perceive([shaken(watched(TASK, 200_000 + i, failures=0.0), 0.012, rng) for i in range(12)], reads="things")


@pytest.fixture(scope="module")
def film() -> RobotFilm:
    world = World(TASK, cameras=("front",), image_size=16)
    made = film_robot(world, 93_000, "expert", width=128, height=128)
    world.close()
    return made


def test_a_film_holds_together(film: RobotFilm):
    """The table is at height 0 of the frame in which joints say where the hand is."""
    assert film.track.success and len(film) == len(film.track) == len(film.depth) == len(film.q)
    assert film.camera_pose == pytest.approx(POSE, abs=1e-9)
    tool = np.array([ToolServo().kinematics.pose(q)[0] for q in film.q])
    assert tool == pytest.approx(film.track.hand, abs=1e-6)
    v, u = np.mgrid[70:128:4, 0:128:4]
    points = film.camera.lift(np.stack([u, v], -1).astype(float), film.depth[0][v, u])
    height = (points @ POSE[:3, :3].T + POSE[:3, 3])[..., 2]
    assert np.mean(np.abs(height) < 0.003) > 0.6


def test_the_robots_episode_is_seen_as_it_is(film: RobotFilm, reward):
    live = RobotReward(reward, "points", film.camera_pose)
    made = robot_seen(film, live, noise=0.002, holes=0.03, seed=0)
    assert isinstance(made, Episode)
    assert np.median(made.off) < 0.012 and made.found.mean() > 0.7
    values = reward.within(made.seen)
    assert values[-1] > values[0] + 0.3 and np.corrcoef(values, reward.within(made.truth))[0, 1] > 0.7


def scripted(reward, where: list[np.ndarray]) -> RobotReward:
    """Sees things in the base frame where it is told, in turn, whichever they are."""
    live = RobotReward(reward, "points", np.eye(4))
    shown = iter(where)

    def look(rgb: np.ndarray, depth: np.ndarray) -> ThingsSeen:
        position = next(shown)
        sure = np.where(np.isfinite(position).all(1), 0.9, 0.0)
        return ThingsSeen(Points(position, sure), position[:, :2], sure)

    live._camera, live._look = CAMERA, look  # type: ignore[assignment]
    live._heights = np.full(len(where[0]), np.nan)
    live.forget()
    return live


def test_what_vanishes_in_the_hand_goes_with_it_and_the_rest_stays(reward):
    servo = ToolServo()
    home = servo.solve_home()
    there = servo.solve(servo.kinematics.pose(home)[0] + [0.0, 0.08, 0.0], servo.kinematics.pose(home)[1], home)
    tool, moved = servo.kinematics.pose(home)[0], servo.kinematics.pose(there)[0]
    shown = np.array([tool + [0.0, 0.0, -0.01], [0.3, 0.1, 0.0], [0.25, -0.1, 0.02]])
    hidden = np.full((3, 3), np.nan)
    live = scripted(reward, [shown, hidden, hidden, hidden])
    rgb, depth = np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128))
    first = live(rgb, depth, CAMERA, 0.0, home, 0.2)
    assert first.positions == pytest.approx(np.concatenate([tool[None], shown])) and first.value is not None
    then = live(rgb, depth, CAMERA, 0.2, there, 0.2)
    assert then.positions[1] == pytest.approx(moved + [0.0, 0.0, -0.01], abs=2e-3)
    assert then.positions[2:] == pytest.approx(shown[1:]) and not then.confidence[1:].any()
    live(rgb, depth, CAMERA, 0.4, there, 1.0)  # let go
    gone = live(rgb, depth, CAMERA, 0.6, home, 0.2)
    assert gone.positions[1] == pytest.approx(then.positions[1])
    live.forget()
    assert scripted(reward, [hidden])(rgb, depth, CAMERA, 0.0, home, 1.0).value is None


def test_both_bodies_are_checked_against_the_truth(reward, tmp_path):
    path = tmp_path / "carrot.safetensors"
    reward.save(path, {})
    told = check_seen(SeenReward((path,), episodes=4, seed=93_012, resamples=50))
    assert told["task"] == load_reward(path).task and told["robot"]["episodes"] == 4
    assert set(told["robot"]["things"]) == set(reward.names)
    assert set(told["robot"]["rewards"]["carrot"]) == {"truth", "seen", "correlation", "difference"}
    with pytest.raises(SpecError, match="no reward"):
        SeenReward(())


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_poses_survive_as_words(place, turn):
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    assert pose_of(pose_text(pose)) == pytest.approx(pose, abs=1e-12)


@pytest.mark.parametrize("text", ["", "1 2 3", "0 0 0 0 0 0 0", "a b c d e f g", "1 2 3 0 0 0 1 9"])
def test_words_that_are_no_pose_are_refused(text: str):
    with pytest.raises(SpecError, match="seven numbers"):
        pose_of(text)
