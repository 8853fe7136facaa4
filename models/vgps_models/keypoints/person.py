"""A person's arm and hand in pictures with depth, one at a time: where the joints are, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.hands import LANDMARKS, UNDER, Hand
from vgps_models.keypoints.lifting import Lifting, Points, lift
from vgps_models.keypoints.located import Located
from vgps_models.spaces import Array, Image

ARM = ("shoulder", "elbow", "wrist")
FindHands = Callable[[Image], Sequence[Hand]]
FindArm = Callable[[Image], Located]


class ArmFinder(Protocol):
    """Finds `ARM` in a picture. under: how far below the surface that is seen its points lie [m], the arm's first."""

    under: Array

    def __call__(self, image: Image) -> Located: ...


@dataclass(frozen=True)
class WatchConfig:
    sure: float = 0.4  # confidence from which a joint of the arm counts as seen
    around: tuple[float, ...] = (0.3, 0.22, 0.4)  # [m] to each side of the wrist where the hand is looked for, in turn
    near: float = 0.15  # [m] between the arm's wrist and the hand's, beyond which the hand is another's
    reach: tuple[float, float] = (0.75, 0.42)  # [m] from the wrist beyond which no shoulder is, and no elbow
    hand: Lifting = field(default_factory=Lifting)
    arm: Lifting = field(default_factory=lambda: Lifting(radius=1, apart=np.inf, nearest=0.04))


@dataclass(frozen=True, eq=False)
class PersonSeen:
    """Of one frame. hand (21) and arm (3, `ARM`): points in the camera's frame [m]; pixels of both; side: what the hand
    was called, "" if none was found. hands: how many there were."""

    hand: Points
    hand_pixels: Array
    arm: Points
    arm_pixels: Array
    side: str
    hands: int


NOTHING = Points(np.full((LANDMARKS, 3), np.nan), np.zeros(LANDMARKS))


class PersonWatcher:
    """Looks for the hand where the arm's wrist is, for there it is large in the picture; else in all of it.

    under (3,): how far the arm's joints lie below the skin or sleeve that is seen [m].
    """

    def __init__(
        self, find_hands: FindHands, find_arm: FindArm, under: Array, camera: Intrinsics,
        config: WatchConfig = WatchConfig(),
    ) -> None:  # fmt: skip
        self.find_hands, self.find_arm, self.under = find_hands, find_arm, under
        self.camera, self.config = camera, config

    def __call__(self, rgb: Image, depth: Array) -> PersonSeen:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes."""
        return self.given(self.find_arm(rgb), rgb, depth)

    def given(self, located: Located, rgb: Image, depth: Array) -> PersonSeen:
        """The same where the arm's joints (`ARM`) have been found already."""
        sure = np.where(located.confidence >= self.config.sure, located.confidence, 0.0)
        pixels = np.where(sure[:, None] > 0, located.pixels, np.nan)
        arm = self._possible(lift(depth, pixels, sure, self.camera, self.config.arm, under=self.under))
        hands = self._hands(rgb, pixels[2], arm.position[2])
        if not hands:
            return PersonSeen(NOTHING, np.full((LANDMARKS, 2), np.nan), arm, pixels, "", 0)
        lifted = [
            lift(depth, h.pixels, np.full(LANDMARKS, h.confidence), self.camera, self.config.hand, under=UNDER)
            for h in hands
        ]
        best = self._own(lifted, arm.position[2])
        if best is None:
            return PersonSeen(NOTHING, np.full((LANDMARKS, 2), np.nan), arm, pixels, "", len(hands))
        return PersonSeen(lifted[best], hands[best].pixels, arm, pixels, hands[best].side, len(hands))

    def _hands(self, rgb: Image, pixel: Array, wrist: Array) -> Sequence[Hand]:
        """With pixels of the whole picture. The detector wants squares, and in some misses what it finds in others."""
        if np.isfinite(wrist).all():
            for around in self.config.around:
                half = round(max(48.0, around * self.camera.fx / wrist[2]))
                corner = np.round(pixel).astype(int) - half
                if found := self.find_hands(_square(rgb, corner, 2 * half)):
                    return [Hand(hand.pixels + corner, hand.side, hand.confidence) for hand in found]
        height, width = rgb.shape[:2]
        return self.find_hands(_square(rgb, np.zeros(2), max(height, width)))

    def _possible(self, arm: Points) -> Points:
        """Without what cannot hang together: beside a sleeve depth is that of the room behind."""
        away = np.linalg.norm(arm.position - arm.position[2], axis=1)
        far = away > np.array([*self.config.reach, np.inf])
        position, confidence = arm.position.copy(), arm.confidence.copy()
        position[far], confidence[far] = np.nan, 0.0
        return Points(position, confidence)

    def _own(self, hands: Sequence[Points], wrist: Array) -> int | None:
        """Which hand hangs on the arm; the surest where no arm is seen."""
        if not np.isfinite(wrist).all():
            return 0
        away = [float(np.nanmin(np.r_[np.linalg.norm(h.position[:1] - wrist, axis=1), np.inf])) for h in hands]
        return int(np.argmin(away)) if min(away) < self.config.near else None


def _square(rgb: Image, corner: Array, side: int) -> Image:
    """Part of a picture, grey where that goes beyond it."""
    out = np.full((side, side, 3), 127, np.uint8)
    height, width = rgb.shape[:2]
    left, top = max(0, int(corner[0])), max(0, int(corner[1]))
    right, bottom = min(width, int(corner[0]) + side), min(height, int(corner[1]) + side)
    if right > left and bottom > top:
        x, y = left - int(corner[0]), top - int(corner[1])
        out[y : y + bottom - top, x : x + right - left] = rgb[top:bottom, left:right]
    return out
