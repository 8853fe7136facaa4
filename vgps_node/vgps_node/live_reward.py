"""A reward over what is seen, picture by picture; knows no ROS."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vgps_models.errors import DataError
from vgps_models.irl.learned import LearnedReward
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.filters import OneEuro
from vgps_models.keypoints.person import ArmFinder, FindHands
from vgps_models.keypoints.task import TaskWatchConfig, TaskWatcher, finder
from vgps_models.rgbd.table import camera_over_table
from vgps_models.spaces import Array, Image
from vgps_sim.human.grip import PAD
from vgps_sim.human.skeleton import INDEX_TIP, THUMB_TIP, WRIST, HandSkeleton, usable

HAND = ("wrist", "thumb_tip", "index_tip")


@dataclass(frozen=True, eq=False)
class Rewarded:
    """names: `HAND` and the landmarks. positions (K, 3) [m] on the table with z up, NaN where nothing is known yet;
    confidence (K,), 0 where the last known position is repeated. value: None until all has been seen."""

    names: tuple[str, ...]
    positions: Array
    confidence: Array
    value: float | None


@dataclass
class LiveReward:
    """Looks at one picture after the other. What is hidden stays where it was seen last."""

    reward: LearnedReward
    points: str  # checkpoint of `vgps train points`
    find_hands: FindHands
    watch: TaskWatchConfig = field(default_factory=TaskWatchConfig)
    arm: ArmFinder | None = None  # who finds the arm instead of the points

    def __post_init__(self) -> None:
        self.names = (*HAND, *self.reward.names)
        self._find = finder(self.points, self.reward.names)
        self._camera: Intrinsics | None = None

    def __call__(self, rgb: Image, depth: Array, camera: Intrinsics, seconds: float) -> Rewarded:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes, seconds later than the last."""
        if camera != self._camera:
            self._begin(camera)
        seen = self._look(rgb, depth)
        wrist, hand = self._hand(seen.person.hand_pixels, seen.person.hand.position[:, 2])
        if self._table is None and np.isfinite(wrist).all():
            self._table = _table(depth, camera, wrist)
        local = np.concatenate([hand, seen.things.position])
        confidence = np.r_[np.full(len(HAND), np.mean(seen.person.hand.confidence)), seen.things.confidence]
        confidence[~np.isfinite(local).all(1)] = 0.0
        if self._table is None:
            return Rewarded(self.names, np.full(local.shape, np.nan), np.zeros(len(local)), None)
        put = self._smooth(local @ self._table[:3, :3].T + self._table[:3, 3], seconds)
        self._last = np.where(np.isfinite(put), put, self._last)
        if not np.isfinite(self._last).all():
            return Rewarded(self.names, self._last.copy(), confidence, None)
        thumb, index = self._last[1:3]
        gap = max(float(np.linalg.norm(thumb - index)) - 2 * PAD, 0.0)
        value = self.reward.now((thumb + index) / 2, gap, self._last[len(HAND) :])
        return Rewarded(self.names, self._last.copy(), confidence, value)

    def _begin(self, camera: Intrinsics) -> None:
        self._camera, self._table, self._smooth = camera, None, OneEuro()
        self._look = TaskWatcher(self._find, self.find_hands, camera, self.watch, self.arm)
        self._skeleton, self._pose = HandSkeleton(camera), None
        self._last = np.full((len(self.names), 3), np.nan)

    def _hand(self, pixels: Array, depth: Array) -> tuple[Array, Array]:
        """Wrist (3,), and `HAND` (3, 3), in the camera's frame; NaN where there is none."""
        if not usable(pixels, depth):
            self._pose = None
            return np.full(3, np.nan), np.full((len(HAND), 3), np.nan)
        self._pose, _ = self._skeleton.fitted(pixels, depth, self._pose)
        landmarks = self._skeleton.landmarks(self._pose)
        return landmarks[WRIST], landmarks[[WRIST, THUMB_TIP, INDEX_TIP]]


def _table(depth: Array, camera: Intrinsics, wrist: Array) -> Array | None:
    """None where none stands out yet."""
    try:
        return camera_over_table(depth, camera, near=wrist)
    except DataError:
        return None


class Pairing:
    """Colour and depth of one moment, whichever comes first. tolerance: between their stamps [ns]."""

    def __init__(self, tolerance: int, kept: int = 8) -> None:
        self.tolerance = tolerance
        self._waiting: dict[str, deque[tuple[int, Any]]] = {part: deque(maxlen=kept) for part in ("colour", "depth")}

    def add(self, part: str, stamp: int, what: Any) -> tuple[int, Any, Any] | None:
        """Stamp of the colour, colour and depth, once both are there. Each is used once."""
        other = "depth" if part == "colour" else "colour"
        near = min(self._waiting[other], key=lambda one: abs(one[0] - stamp), default=None)
        if near is None or abs(near[0] - stamp) > self.tolerance:
            self._waiting[part].append((stamp, what))
            return None
        self._waiting[other].remove(near)
        return (stamp, what, near[1]) if part == "colour" else (near[0], near[1], what)
