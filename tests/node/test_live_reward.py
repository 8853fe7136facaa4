"""A reward picture by picture: pairs of colour and depth, and what a person does rewarded as it is in a recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.irl.perceptual import perceive
from vgps_models.irl.tracks import shaken
from vgps_models.keypoints.lifting import metres
from vgps_node.live_reward import HAND, LiveReward, Pairing
from vgps_sim.human.filming import film, seen_by_camera
from vgps_sim.human.tracks import watched

TASK = "put_carrot_on_plate"


@given(st.permutations([(part, i) for part in ("colour", "depth") for i in range(4)]))
def test_colour_and_depth_are_paired_in_any_order_and_once(order):
    pairing, made = Pairing(tolerance=10), []
    for part, i in order:
        pair = pairing.add(part, 100 * i + (7 if part == "depth" else 0), f"{part}{i}")
        made += [pair] if pair else []
    assert sorted(made) == [(100 * i, f"colour{i}", f"depth{i}") for i in range(4)]


def test_what_is_too_far_apart_or_too_old_is_no_pair():
    pairing = Pairing(tolerance=10, kept=2)
    assert pairing.add("colour", 100, "a") is None and pairing.add("depth", 111, "b") is None
    for stamp in (200, 300):
        pairing.add("colour", stamp, "c")
    assert pairing.add("depth", 100, "late") is None  # the colour of 100 was given up
    assert pairing.add("depth", 301, "d") == (300, "c", "d")


def test_a_live_reward_rises_as_the_task_is_done():
    hands = pytest.importorskip("mediapipe") and __import__("vgps_models.keypoints.hands", fromlist=["HandLandmarker"])
    rng = np.random.default_rng(0)
    shown = [shaken(watched(TASK, 200_000 + i, failures=0.0), 0.012, rng) for i in range(8)]
    live = LiveReward(perceive(shown, reads="things"), "points", hands.HandLandmarker())
    made = film(TASK, 93_003, failures=0.0, whole=True)
    values = []
    for t, (rgb, depth) in enumerate(seen_by_camera(made, holes=0.03, noise=0.002)):
        seen = live(rgb, metres(depth), made.camera, 0.2 * t)
        values.append(seen.value)
    assert seen.names == (*HAND, "carrot", "plate", "eggplant") and seen.positions.shape == (6, 3)
    known = [value for value in values if value is not None]
    assert len(known) > 0.8 * len(values) and np.mean(known[-5:]) > np.mean(known[:5]) + 0.3
    # On the table, z up: carrot and plate lie on it at the end, the one on the other.
    carrot, plate = seen.positions[3], seen.positions[4]
    assert np.linalg.norm(carrot[:2] - plate[:2]) < 0.04 and -0.01 < plate[2] < 0.03
    # Without anything to be seen all stays where it was, and is not believed.
    blind = live(np.zeros_like(rgb), np.full(depth.shape, np.nan), made.camera, 100.0)
    assert np.array_equal(blind.positions, seen.positions) and not blind.confidence.any()
