"""Tracks: what is said of a moment stays the same however the table is turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import DataError
from vgps_models.irl.tracks import Track, geometry_names, shaken, strayed
from vgps_models.turns import about_x, turned

NAMES = ("cup", "saucer")


def made(seed: int = 0, length: int = 12, **changes) -> Track:
    rng = np.random.default_rng(seed)
    return replace(
        Track(
            "serve", NAMES, rng.uniform(0, 0.3, (length, 3)), rng.uniform(0, 0.08, length), rng.normal(0, 1, length),
            rng.uniform(0, 0.3, (length, len(NAMES), 3)), float(rng.uniform(-3, 3)), bool(seed % 2),
        ),
        **changes,
    )  # fmt: skip


def moved(track: Track, yaw: float, shift: tuple[float, float]) -> Track:
    """The same on a table that was turned and pushed."""
    by, turn = np.array([*shift, 0.0]), turned(yaw)
    return replace(track, hand=track.hand @ turn.T + by, points=track.points @ turn.T + by, heading=track.heading + yaw)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.floats(-4, 4), st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_nothing_that_is_learned_from_depends_on_where_the_table_stands(seed, yaw, shift):
    one = made(seed)
    other = moved(one, yaw, shift)
    for name in ("geometry", "seen", "moves"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_what_matters_changes_what_is_said():
    one = made()
    nearer = replace(one, points=one.points + np.array([0.01, 0.0, 0.0]))
    higher = replace(one, hand=one.hand + [0.0, 0.0, 0.01])
    wider = replace(one, gap=one.gap + 0.01)
    for other in (nearer, higher, wider):
        assert np.abs(other.geometry - one.geometry).max() > 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda track: {"gap": track.gap + 0.01}, ("gap",)),
        (lambda track: {"hand": track.hand + [0.0, 0.0, 0.01]}, ("hand",)),
        (lambda track: {"points": track.points + [[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]]}, ("saucer", "along")),
    ],
)
def test_numbers_are_called_what_they_are(change, words):
    one, names = made(), geometry_names(NAMES)
    assert len(set(names)) == one.geometry.shape[1]
    changed = (np.abs(replace(one, **change(one)).geometry - one.geometry) > 1e-9).any(0)
    assert changed.any() and all(word in names[i] for i in np.flatnonzero(changed) for word in words)


def test_moves_lead_from_one_moment_to_the_next():
    track = made()
    way = np.cumsum(track.moves[:, :3] @ turned(track.heading).T, axis=0)
    np.testing.assert_allclose(track.hand[0] + way, track.hand[1:])
    np.testing.assert_allclose(track.gap[0] + np.cumsum(track.moves[:, 3]), track.gap[1:])


def test_from_beside_the_path_a_move_leads_back_to_it():
    """`seen` tells where the hand is from the landmarks, so that where it strayed to can be read off."""
    track = made(3, points=np.full((12, 2, 3), 0.9))  # far from everything
    seen, moves = strayed(track, 0.03, np.random.default_rng(0))
    turn = turned(track.heading)
    to_cup = 0.1 * seen[:, :3] @ turn.T
    beside = track.points[:-1, 0] - to_cup
    assert np.linalg.norm(beside - track.hand[:-1], axis=1).max() > 0.02
    np.testing.assert_allclose(beside + moves[:, :3] @ turn.T, track.hand[1:], atol=1e-12)


def test_nobody_strays_from_what_is_in_the_hand():
    track = made(3)
    held = replace(track, points=np.stack([track.hand + 0.003, np.full_like(track.hand, 0.9)], 1))
    seen, moves = strayed(held, 0.03, np.random.default_rng(0))
    np.testing.assert_allclose(seen, held.seen[:-1])
    np.testing.assert_allclose(moves, held.moves)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"gap": np.zeros(3)}, "shapes"), ({"tilt": np.full(12, np.nan)}, "tilt"), ({"names": ("cup",)}, "1 landmarks")],
)
def test_what_does_not_fit_together_is_refused(change, named):
    with pytest.raises(DataError, match=named):
        made(**change)


@given(st.floats(-7, 7))
def test_turns_are_right_handed_rotations_about_their_axis(angle):
    for turn, axis, before, after in ((turned(angle), 2, 0, 1), (about_x(angle), 0, 1, 2)):
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        np.testing.assert_array_equal(turn[:, axis], np.eye(3)[axis])
        assert turn[after, before] == np.sin(angle) and turn[before, before] == np.cos(angle)


def test_a_shaken_track_is_off_by_what_was_asked_half_of_it_all_along():
    still = replace(made(0, 400), points=np.tile(made(0).points[:1], (400, 1, 1)))
    off = shaken(still, 0.01, np.random.default_rng(0)).points - still.points
    runs = [shaken(still, 0.01, np.random.default_rng(i)).points - still.points for i in range(40)]
    assert off.std(0) == pytest.approx(0.01 * np.sqrt(0.5), rel=0.2)
    assert np.std([run.mean(0) for run in runs]) == pytest.approx(0.01 * np.sqrt(0.5), rel=0.25)
    assert (shaken(still, 0.1, np.random.default_rng(0)).gap >= 0).all()
