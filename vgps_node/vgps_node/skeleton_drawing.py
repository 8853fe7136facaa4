"""A person's arm and hand drawn into a picture, as they were seen."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw

from vgps_models.keypoints.person import PersonSeen
from vgps_models.spaces import Array

BONES = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (0, 17, 18, 19, 20), (5, 9, 13, 17))


def draw_person(pen: ImageDraw.ImageDraw, seen: PersonSeen) -> None:
    """A white hand and a yellow arm with red joints, dark where depth is missing."""
    for chain in BONES:
        _line(pen, seen.hand_pixels[list(chain)], (255, 255, 255))
    _line(pen, seen.arm_pixels, (255, 210, 0))
    for pixels, known in ((seen.hand_pixels, seen.hand.known), (seen.arm_pixels, seen.arm.known)):
        for (u, v), yes in zip(pixels, known, strict=True):
            if np.isfinite(u):
                pen.ellipse([u - 3, v - 3, u + 3, v + 3], fill=(230, 60, 60) if yes else (40, 40, 40))


def _line(pen: ImageDraw.ImageDraw, pixels: Array, colour: tuple[int, int, int]) -> None:
    shown = [(float(u), float(v)) for u, v in pixels if np.isfinite(u)]
    if len(shown) > 1:
        pen.line(shown, fill=colour, width=2)
