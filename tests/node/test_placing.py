"""Where things are on the table: those that nobody lifts by their height, whatever the depth shows there."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.irl.perceptual import perceive
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import Points
from vgps_models.keypoints.things import ThingsSeen
from vgps_node.placing import placed, standing_heights
from vgps_sim.human.tracks import watched
from vgps_sim.objects import get_thing
from vgps_sim.scene import CAMERAS, FRONT, camera_pose
from vgps_sim.tasks import ALL_TASKS, get_task

CAMERA, POSE = Intrinsics.of_fovy(128, 128, 50.0), camera_pose(CAMERAS[FRONT])


@pytest.mark.parametrize("task", ALL_TASKS)
def test_what_is_moved_never_stands(task: str):
    standing = get_task(task).standing
    assert standing and set(standing) < set(get_task(task).landmarks)
    assert not {"carrot", "spoon", "good_onion", "bottle", "balls"} & set(standing) or task.startswith("stack")


def test_a_bin_is_where_it_stands_though_its_wall_is_nearer():
    reward = perceive([watched("sort_onions", 200_000 + i, failures=0.0) for i in range(4)])
    heights = standing_heights(reward)
    floor = get_thing("green_bin").rest_height
    assert heights == pytest.approx([np.nan, np.nan, floor, floor], nan_ok=True)
    true = np.array([[0.26, 0.02, 0.02], [0.3, -0.03, 0.02], [0.28, 0.15, floor], [0.27, -0.16, floor]])
    local = (true - POSE[:3, 3]) @ POSE[:3, :3]
    pixels, nearer = CAMERA.project(local), local * np.array([1.0, 1.0, 0.9, 0.9])[:, None]
    sure = np.array([0.9, 0.0, 0.8, 0.0])
    seen = Points(np.where(sure[:, None] > 0, nearer, np.nan), sure * 0.3)
    pixels[sure == 0] = np.nan
    positions, confidence = placed(ThingsSeen(seen, pixels, sure), CAMERA, POSE, heights)
    assert positions[[0, 2]] == pytest.approx(true[[0, 2]], abs=1e-9) and np.isnan(positions[[1, 3]]).all()
    assert confidence == pytest.approx([0.27, 0.0, 0.8, 0.0])
