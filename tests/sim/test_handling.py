"""A hand that a policy moves: it holds what it closes on. And tracks of people and robots."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.irl.tracks import FAR, NEAR
from vgps_sim.collect import demonstrate
from vgps_sim.human.filming import film
from vgps_sim.human.handling import handled
from vgps_sim.human.tracks import acted, watched
from vgps_sim.tasks import WATCHED, get_task
from vgps_sim.world import World


class Sorter:
    """Reads what a policy is told and sorts by it: above, down, close, up, over, open."""

    ONIONS, BINS = (0, 1), (2, 3)

    def __init__(self) -> None:
        self.phase, self.which = 0, 0

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        way = FAR * seen[:12].reshape(4, 3)
        gap = NEAR * seen[17]
        onion, target = way[self.which], way[2 + self.which]
        wanted = {
            0: ([*onion[:2], onion[2] + 0.08], 0.07), 1: (onion, 0.07), 2: (np.zeros(3), 0.037),
            3: ([0, 0, 0.1], 0.037), 4: ([*target[:2], 0.0], 0.037), 5: ([0, 0, target[2] + 0.05], 0.037),
            6: (np.zeros(3), 0.06), 7: ([0, 0, 0.1], 0.06),
        }[self.phase]  # fmt: skip
        move, width = np.array(wanted[0], float), wanted[1]
        far = np.linalg.norm(move)
        if self.phase in (3, 7) or (far < 0.006 and abs(gap - width) < 0.004):
            self.phase += 1
            if self.phase == 8:
                self.phase, self.which = 0, min(1, self.which + 1)
        return np.array([*(move * min(1.0, 0.06 / max(far, 1e-9))), np.clip(width - gap, -0.04, 0.04), 0.0])


def test_a_policy_that_knows_how_sorts_onions():
    for seed in range(3):
        track = handled("sort_onions", seed, Sorter())
        assert track.success and track.names == get_task("sort_onions").landmarks and len(track) < 100


def test_one_that_never_closes_its_hand_moves_nothing():
    track = handled("sort_onions", 0, lambda seen: np.array([*(0.3 * FAR * seen[:3]), 0.01, 0.0]))
    assert not track.success and len(track) == 100
    assert np.ptp(track.points[:, 2:], axis=0).max() < 0.02


def test_the_same_seed_and_moves_give_the_same_track():
    tracks = [handled("pour_balls", 4, lambda seen: np.tanh(seen[:5]) * 0.02) for _ in range(2)]
    np.testing.assert_array_equal(tracks[0].hand, tracks[1].hand)
    np.testing.assert_array_equal(tracks[0].points, tracks[1].points)


@pytest.mark.parametrize("task", list(WATCHED))
def test_a_watched_track_is_what_a_film_shows(task):
    """Of the same seed: the track is in the table's frame, the film in its camera's."""
    track, made = watched(task, 77, failures=0.25), film(task, 77, width=32, height=24)
    assert len(track) == len(made) and track.success == made.performance.success
    at = made.tip @ made.camera_pose[:3, :3].T + made.camera_pose[:3, 3]
    np.testing.assert_allclose(at, track.hand, atol=1e-9)
    np.testing.assert_allclose(made.gap, track.gap)


@pytest.mark.parametrize("seed", [0, 4])
def test_the_robots_track_is_that_of_its_recorded_demonstration(seed):
    world = World("sort_onions", image_size=16, cameras=("front",))
    track, episode = acted(world, seed, "mixed"), demonstrate(world, seed, "mixed")
    assert track.success == episode.success and len(track) == len(episode.actions) + 1
    np.testing.assert_allclose(track.hand[:-1], episode.proprio[:, :3], atol=1e-6)
    state = np.asarray(episode.environment_state)
    np.testing.assert_allclose(track.points[:-1].reshape(len(state), -1), state[:, :-1], atol=1e-6)
    world.close()


def test_balls_are_one_landmark():
    track = watched("pour_balls", 5, failures=0.0)
    assert track.names == ("bottle", "bottle_mouth", "bowl", "balls")
    first, last = track.points[0], track.points[-1]
    assert np.linalg.norm(first[3] - first[0]) < 0.05  # in the bottle
    assert np.linalg.norm((last[3] - last[2])[:2]) < 0.05 and last[3, 2] < 0.04  # in the bowl
    assert abs(np.abs(track.tilt).max()) > 1.5
