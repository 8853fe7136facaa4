"""Markers on a rendered table: things and camera are where they are said to be, and what is hidden is not found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vgps_models.keypoints.marker_set import MarkerSet, Worn
from vgps_models.keypoints.markers import Markers
from vgps_sim.marked.examination import (
    MIDDLE,
    SETTINGS,
    MarkersBench,
    angle,
    bench_markers,
    camera_errors,
    errors,
    scatter,
)
from vgps_sim.marked.table import BOX_HALF, MarkedTable, posed

pytest.importorskip("cv2")
OVER = np.array([MIDDLE[0] + 0.15, 0.2, 0.62])  # [m] where a camera looks from
RED = list(SETTINGS.things).index("red")


@pytest.fixture(scope="module")
def table() -> Iterator[MarkedTable]:
    made = MarkedTable(SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def look() -> Markers:
    return Markers(SETTINGS)


def test_things_and_camera_are_found_where_they_are(table: MarkedTable, look: Markers):
    told, cameras = [], []
    for seed in range(12):
        shot = scatter(table, np.random.default_rng(seed))
        seen = look(shot.rgb, shot.camera, shot.depth)
        told.append(errors(seen, shot)[shot.whole])
        cameras.append(camera_errors(seen, shot))
    things, camera = np.concatenate(told), np.array(cameras)
    known = things[:, 2] > 0
    assert len(things) >= 30 and known.mean() > 0.8
    assert np.median(things[known], axis=0)[:2] == pytest.approx([0, 0], abs=1.0)  # [mm], [deg]
    sure = things[things[:, 2] > 0.5]
    assert len(sure) > 0.5 * len(things) and (np.percentile(sure, 90, axis=0)[:2] < (3.0, 1.0)).all()
    seen_board = np.isfinite(camera[:, 0])
    assert seen_board.mean() >= 0.5 and (np.median(camera[seen_board], axis=0) < (3.0, 0.25)).all()


def test_the_truth_holds_together(table: MarkedTable):
    """The depth at a marker's middle is the marker's, and the camera sees the table at height 0."""
    table.away()
    table.put("red", posed((MIDDLE[0], 0.2, 0.08), Rotation.from_euler("xyz", [0.3, 0.2, 0.7])))
    table.look(OVER, np.array(MIDDLE))
    shot = table.shot()
    assert shot.whole.tolist() == [name == "red" for name in SETTINGS.things]
    u, v = np.round(shot.camera.project(shot.things[RED, :3, 3])).astype(int)
    assert shot.depth[v, u] == pytest.approx(shot.things[RED, 2, 3], abs=0.002)
    rows, columns = np.mgrid[400:480:8, 0:640:8]
    points = shot.camera.lift(np.stack([columns, rows], -1).astype(float), shot.depth[rows, columns])
    height = (points @ shot.camera_pose[:3, :3].T + shot.camera_pose[:3, 3])[..., 2]
    assert np.median(np.abs(height)) < 0.002


def test_the_middle_of_a_box_lies_under_its_marker():
    worn = MarkerSet(things={"box": Worn(5, (0.0, 0.0, -BOX_HALF))})
    table = MarkedTable(worn)
    where = posed((MIDDLE[0], 0.1, 0.09), Rotation.from_euler("xyz", [0.3, -0.4, 2.0]))
    table.put("box", where)
    table.look(OVER, np.array(MIDDLE), 1.0)
    shot = table.shot()
    table.close()
    seen = Markers(worn)(shot.rgb, shot.camera)
    in_base = shot.camera_pose[:3, :3] @ seen.points.position[0] + shot.camera_pose[:3, 3]
    assert in_base == pytest.approx(where[:3, 3] - BOX_HALF * where[:3, 2], abs=0.003)
    assert angle(shot.camera_pose[:3, :3] @ seen.rotation[0], where[:3, :3]) < 1.0 and seen.camera_pose is None


def test_half_out_of_the_picture_or_covered_is_not_seen(table: MarkedTable, look: Markers):
    table.away()
    table.put("red", posed((MIDDLE[0], 0.2, 0.03)))
    table.look(OVER, np.array(MIDDLE))
    shot = table.shot()
    assert shot.whole[RED] and look(shot.rgb, shot.camera).points.known.tolist() == shot.whole.tolist()

    table.put("green", posed((MIDDLE[0] + 0.03, 0.2, 0.09)))  # above one half of the red one
    covered = table.shot()
    seen = look(covered.rgb, covered.camera)
    assert not covered.whole[RED] and not seen.points.known[RED] and seen.points.known[RED + 1]

    table.put("green", posed((0.0, 0.0, -1.0)))
    side = next(  # so far aside that the picture's edge cuts the marker
        side for side in np.arange(0.2, 0.5, 0.01) if _middle_at_the_edge(table, np.array([MIDDLE[0], 0.2 - side, 0]))
    )
    table.look(OVER, np.array([MIDDLE[0], 0.2 - side, 0.0]))
    cut = table.shot()
    seen = look(cut.rgb, cut.camera)
    assert not cut.whole[RED] and not seen.points.known[RED] and np.isnan(seen.points.position[RED]).all()


def _middle_at_the_edge(table: MarkedTable, target: np.ndarray) -> bool:
    table.look(OVER, target)
    shot = table.shot()
    pixel, size = shot.camera.project(shot.things[RED, :3, 3]), (shot.camera.width, shot.camera.height)
    return bool((np.minimum(pixel, np.array(size) - 1 - pixel) < 10).any())


def test_the_bench_counts_what_is_whole():
    told = bench_markers(MarkersBench(pictures=3, seed=50))
    assert told["pictures"] == 3 and 0 < told["whole"] <= 12
    assert (
        told["picture"]["mm"]["p50"] < 10 and told["with_depth"]["deg"]["p50"] < 2 and 0 <= told["camera"]["found"] <= 1
    )
