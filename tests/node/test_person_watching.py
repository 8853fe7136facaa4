"""What was seen of a person in a recording, as paths that move evenly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vgps_models.keypoints.paths import PathConfig
from vgps_models.rgbd.folder import write_folder
from vgps_models.rgbd.recording import Recording, open_recording
from vgps_node.person_watching import Watched, even
from vgps_sim.human.filming import Film, film, seen_by_camera

FPS = 5


@pytest.fixture(scope="module")
def made() -> Film:
    return film("put_carrot_on_plate", 93_003, width=64, height=48, failures=0.0, fps=FPS, whole=True)


@pytest.fixture
def recording(made: Film, tmp_path: Path) -> Recording:
    write_folder(tmp_path, made.camera, seen_by_camera(made, holes=0.0, noise=0.0), fps=FPS)
    return open_recording(tmp_path)


def seen(made: Film, recording: Recording) -> Watched:
    """As by somebody who sees all, and where it really is."""
    arm = np.stack([made.shoulder, made.elbow, made.hand[:, 0]], axis=1)
    sure = np.ones((len(made), 24))
    return Watched(recording.seconds, made.hand.copy(), arm, sure, made.camera.project(made.hand), made.depth[0], [])


def test_where_all_is_seen_nothing_is_told(made, recording):
    paths = even(seen(made, recording), recording, PathConfig())
    assert paths.hand.shape == made.hand.shape and "out of sight" not in recording.faults.counts()


@pytest.mark.parametrize(("part", "name"), [("hand", "hand"), ("arm", "elbow")])
def test_what_is_out_of_sight_for_long_is_told_though_the_rest_is_seen(made, recording, part, name):
    watched, gap = seen(made, recording), slice(6, 6 + 2 * FPS)
    if part == "hand":
        watched.hand[gap] = np.nan
    else:
        watched.arm[gap, 1] = np.nan
    paths = even(watched, recording, PathConfig())
    assert np.isfinite(paths.hand).all() and np.isfinite(paths.arm).all()
    (told,) = recording.faults.found["out of sight"]
    assert told.startswith(f"the {name} for 2.00 s from 1.20 s on")
