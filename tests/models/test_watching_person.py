"""A person in one picture: where the hand is looked for, whose it is, and what cannot be is not believed."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.hands import LANDMARKS, Hand
from vgps_models.keypoints.located import Located
from vgps_models.keypoints.person import ARM, PersonWatcher, WatchConfig
from vgps_models.keypoints.task import TaskWatcher, finder

CAMERA = Intrinsics.of_fovy(320, 240, 50.0)
RGB = np.zeros((240, 320, 3), np.uint8)
WRIST = np.array([200.0, 100.0])


def arm(wrist: float = 0.9, elbow: float = 0.9) -> Located:
    return Located(np.array([[120.0, 40.0], [160.0, 70.0], WRIST]), np.array([0.9, elbow, wrist]))


def watcher(hands, located: Located) -> tuple[PersonWatcher, list[tuple[int, ...]]]:
    """hands: of a picture's shape. Keeps the shapes of what was looked at."""
    looked: list[tuple[int, ...]] = []

    def find(image: np.ndarray) -> list[Hand]:
        looked.append(image.shape)
        return hands(image.shape)

    return PersonWatcher(find, lambda image: located, np.zeros(3), CAMERA), looked


def hand_at(pixel: np.ndarray, side: str = "right") -> Hand:
    return Hand(pixel + np.linspace(0, 12, LANDMARKS)[:, None], side, 0.9)


def depth(far: float = 0.7) -> np.ndarray:
    return np.full((240, 320), far)


def test_a_hand_is_looked_for_around_the_wrist_and_told_in_the_whole_picture():
    look, looked = watcher(lambda shape: [hand_at(np.full(2, shape[0] / 2))], arm())
    seen = look(RGB, depth())
    side = looked[0][0]
    assert looked == [(side, side, 3)] and side < 240
    assert seen.hand_pixels[0] == pytest.approx(WRIST, abs=1) and seen.side == "right" and seen.hands == 1
    assert seen.hand.position[0, 2] > 0.7 and seen.arm.known.all()


def test_where_nothing_is_around_the_wrist_all_of_the_picture_is_looked_at():
    look, looked = watcher(lambda shape: [hand_at(WRIST)] if shape[0] == 320 else [], arm())
    seen = look(RGB, depth())
    assert len(looked) == len(WatchConfig().around) + 1 and seen.hand_pixels[0] == pytest.approx(WRIST)
    assert watcher(lambda shape: [], arm())[0](RGB, depth()).hands == 0


def test_a_hand_that_is_missed_at_one_size_is_looked_for_at_others():
    first = watcher(lambda shape: [], arm())
    first[0](RGB, depth())
    for at, size in enumerate(first[1][:-1]):
        look, looked = watcher(
            lambda shape, size=size: [hand_at(np.full(2, size[0] / 2))] if shape == size else [], arm()
        )
        seen = look(RGB, depth())
        assert looked == first[1][: at + 1] and seen.hand_pixels[0] == pytest.approx(WRIST, abs=1)


def test_without_a_wrist_all_of_the_picture_is_looked_at():
    look, looked = watcher(lambda shape: [hand_at(WRIST)], arm(wrist=0.1))
    seen = look(RGB, depth())
    assert looked == [(320, 320, 3)] and not seen.arm.known[2] and seen.hand.known.any()


def test_of_two_hands_the_arms_own_counts_and_anothers_alone_does_not():
    own, other = hand_at(WRIST), hand_at(np.array([40.0, 200.0]), "left")

    def both(shape):
        return [other, own] if shape[0] == 320 else []

    seen = watcher(both, arm())[0](RGB, depth())
    assert seen.side == "right" and seen.hands == 2
    stranger = watcher(lambda shape: [other] if shape[0] == 320 else [], arm())[0](RGB, depth())
    assert stranger.side == "" and stranger.hands == 1 and not stranger.hand.known.any()


def test_a_joint_farther_off_than_an_arm_is_long_is_the_room_behind():
    far = depth()
    far[:60, :140] = 2.0  # behind the shoulder
    seen = watcher(lambda shape: [], arm())[0](RGB, far)
    assert seen.arm.known.tolist() == [False, True, True] and np.isnan(seen.arm.position[0]).all()


def test_holes_in_the_depth_are_unknown():
    holes = depth()
    holes[:] = np.nan
    seen = watcher(lambda shape: [hand_at(WRIST)], arm())[0](RGB, holes)
    assert not seen.hand.known.any() and not seen.arm.known.any() and seen.side == "right"


def test_what_is_not_sure_is_not_seen():
    assert watcher(lambda shape: [], arm(elbow=0.2))[0](RGB, depth()).arm.known.tolist() == [True, False, True]


class Given:
    """An arm that is told."""

    under = np.array([0.05, 0.04, 0.03])

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(self, image: np.ndarray) -> Located:
        self.pictures += 1
        return arm()


def test_with_a_finder_of_its_own_the_arm_comes_from_there_and_things_do_not():
    find, given, names = finder("points", ("carrot", "plate")), Given(), ("carrot", "plate")
    rgb = np.random.default_rng(0).integers(0, 255, RGB.shape, np.uint8)
    alone = TaskWatcher(find, lambda image: [], CAMERA)(rgb, depth())
    look = TaskWatcher(find, lambda image: [], CAMERA, arm=given)
    seen = look(rgb, depth())
    assert look.names == names and len(ARM) == 3 and given.pictures == 1
    assert seen.person.arm_pixels == pytest.approx(arm().pixels)
    surface = np.linalg.norm(CAMERA.lift(arm().pixels, np.full(3, 0.7)), axis=1)
    assert np.linalg.norm(seen.person.arm.position, axis=1) == pytest.approx(surface + given.under)
    assert np.array_equal(seen.things.pixels, alone.things.pixels, equal_nan=True)
    assert np.array_equal(seen.things.sure, alone.things.sure)
