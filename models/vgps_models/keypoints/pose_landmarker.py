"""A person's arm in a picture, by MediaPipe's pose landmarker: shoulder, elbow and wrist, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_models.keypoints.landmarkers import Bundle, Landmarker, in_pixels
from vgps_models.keypoints.located import Located
from vgps_models.spaces import Array, Image

BUNDLE = Bundle(
    "PoseLandmarker", "pose_landmarker_full.task", ("pose_detector.tflite", "pose_landmarks_detector.tflite"),
    "MediaPipe publishes it at https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker",
)  # fmt: skip
SIDES = {"left": (11, 13, 15), "right": (12, 14, 16)}  # shoulder, elbow and wrist of the 33 landmarks
# How far under skin the joints lie [m], of adults: the head of the humerus has a radius of 23 mm and the deltoid 20 mm
# over it; an elbow is 26 cm around; a wrist 17 cm, and flat.
UNDER = np.array([0.043, 0.041, 0.025])


@dataclass(frozen=True)
class PoseConfig:
    model: Path  # a pose_landmarker_lite.task, _full.task or _heavy.task
    side: str = "right"  # left | right: of the person, not of the picture
    people: int = 3  # at most, of whom one is chosen
    detection: float = 0.5  # confidence from which a body counts as one
    presence: float = 0.5  # and from which landmarks are believed to lie on a body

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise UnknownNameError("side", self.side, SIDES)


class PoseLandmarker:
    """Finds one arm. under (3,): how far below the surface that is seen its joints lie [m]."""

    under = UNDER

    def __init__(self, config: PoseConfig) -> None:
        """Raises MissingDependencyError without MediaPipe, DataError for a file that is another, or damaged."""
        self.config = config
        self._look = Landmarker(
            BUNDLE, config.model, num_poses=config.people,
            min_pose_detection_confidence=config.detection, min_pose_presence_confidence=config.presence,
        )  # fmt: skip
        self.close = self._look.close

    def __call__(self, image: Image) -> Located:
        """`ARM` (3) in a picture (height, width, 3) uint8 RGB; NaN with confidence 0 where there is nobody.

        confidence: that a joint is within the picture (MediaPipe's presence) times that nothing hides it (visibility).
        """
        people = [
            Located(in_pixels(points, image), np.array([p.visibility * p.presence for p in points], np.float64))
            for points in self._look(image).pose_landmarks
        ]
        return arm_of(people, self.config.side)


def arm_of(people: Sequence[Located], side: str) -> Located:
    """The arm of whom it is about among people of 33 landmarks each: who is large, and shows it.

    A person counts as much as they are large in the picture, times the mean confidence of the arm's joints.
    """
    rows = list(SIDES[side])
    best = max(people, key=lambda one: _size(one.pixels) * one.confidence[rows].mean(), default=None)
    if best is None:
        return Located(np.full((len(rows), 2), np.nan), np.zeros(len(rows)))
    return Located(best.pixels[rows], best.confidence[rows])


def _size(pixels: Array) -> float:
    """[px] of the longer side of the box around all landmarks."""
    return float(np.ptp(pixels, axis=0).max())
