"""Things in three looks: nearer where something is, the surest counts, two that look alike are not at one place."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.lifting import on_planes
from vgps_models.keypoints.located import Located
from vgps_models.keypoints.things import ThingWatcher

CAMERA = Intrinsics.of_fovy(640, 480, 45.0)
DEPTH = np.full((480, 640), 0.8)
NAMES = ("good_onion", "blemished_onion", "green_bin")


class Finder:
    """Looks for where a picture's brightest red, green and blue pixels are; sizes of what it was shown are kept."""

    names, under = NAMES, np.zeros(3)
    net = SimpleNamespace(config=SimpleNamespace(width=256, height=192))

    def __init__(self, confidence: float = 0.9) -> None:
        self.confidence, self.sizes = confidence, list[tuple[int, int]]()

    def __call__(self, image: np.ndarray) -> Located:
        return self.every([image])[0]

    def every(self, images: list[np.ndarray]) -> list[Located]:
        made = []
        for image in images:
            self.sizes.append(image.shape[:2])
            best = [np.unravel_index(image[..., k].argmax(), image.shape[:2]) for k in range(3)]
            sure = [self.confidence if image[..., k].max() else 0.05 for k in range(3)]
            made.append(Located(np.array([[c, r] for r, c in best], float), np.array(sure)))
        return made


def shown(*pixels: tuple[int, int] | None) -> np.ndarray:
    rgb = np.zeros((480, 640, 3), np.uint8)
    for k, pixel in enumerate(pixels):
        if pixel:
            rgb[pixel[1], pixel[0], k] = 200
    return rgb


def watch(find: Finder) -> ThingWatcher:
    return ThingWatcher(find, CAMERA)  # type: ignore[arg-type]


def test_looks_come_nearer_and_pixels_stay_those_of_the_whole_picture():
    find = Finder()
    seen = watch(find)(shown((300, 200), (340, 230), (400, 260)), DEPTH)
    assert seen.pixels == pytest.approx(np.array([[300, 200], [340, 230], [400, 260]]))
    assert find.sizes[0] == (480, 640) and len(find.sizes) == 5
    assert find.sizes[1][0] > find.sizes[2][0] and all(w * 3 == pytest.approx(h * 4, abs=8) for h, w in find.sizes)
    assert seen.points.position[:, 2] == pytest.approx([0.8] * 3, abs=0.02) and (seen.sure == 0.9).all()


def test_what_is_nowhere_is_unknown_and_costs_no_look():
    find = Finder()
    seen = watch(find)(shown(None, None, None), DEPTH)
    assert find.sizes == [(480, 640)] and not seen.points.known.any() and np.isnan(seen.pixels).all()


def test_without_depth_it_is_known_where_in_the_picture_a_thing_is():
    seen = watch(Finder())(shown((300, 200), None, (400, 260)), np.full((480, 640), np.nan))
    assert not seen.points.known.any() and seen.sure.tolist() == [0.9, 0.0, 0.9]
    assert np.isfinite(seen.pixels).all(1).tolist() == [True, False, True]


def test_of_two_onions_at_one_place_one_is_there():
    seen = watch(Finder())(shown((300, 200), (301, 201), (310, 201)), DEPTH)
    assert seen.points.known.tolist().count(True) == 2 and seen.points.known[2]
    apart = watch(Finder())(shown((300, 200), (340, 200), (301, 201)), DEPTH)
    assert apart.points.known.all()


@given(st.floats(0.2, 1.3), st.floats(-3, 3), st.floats(-0.2, 0.2), st.floats(0.0, 0.1))
def test_a_pixel_and_a_height_are_a_place(elevation, azimuth, aside, height):
    """What is projected from a plane is found on it again, from any camera above."""
    out = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(-out, right), -out], 1), 0.9 * out
    points = np.array([[aside, 0.1, height], [0.0, aside, height]])
    pixels = CAMERA.project((points - pose[:3, 3]) @ pose[:3, :3])
    assert on_planes(pixels, CAMERA, pose, np.full(2, height)) == pytest.approx(points, abs=1e-9)


def test_what_lies_above_the_camera_or_has_no_height_is_nowhere():
    pose = np.diag([1.0, -1.0, -1.0, 1.0])  # looks down
    pose[2, 3] = 1.0
    assert np.isnan(on_planes(np.full((2, 2), 200.0), CAMERA, pose, np.array([2.0, np.nan]))).all()
