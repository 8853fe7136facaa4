"""A reward over what is seen, picture by picture; knows no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
from vgps_node.placing import placed, standing_heights
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
        self._find, self._heights = finder(self.points, self.reward.names), standing_heights(self.reward)
        self._camera: Intrinsics | None = None

    def __call__(self, rgb: Image, depth: Array, camera: Intrinsics, seconds: float) -> Rewarded:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes, seconds later than the last."""
        if camera != self._camera:
            self._begin(camera)
        seen = self._look(rgb, depth)
        wrist, hand = self._hand(seen.person.hand_pixels, seen.person.hand.position[:, 2])
        if self._table is None and np.isfinite(wrist).all():
            self._table = _table(depth, camera, wrist)
        if self._table is None:
            return Rewarded(self.names, np.full((len(self.names), 3), np.nan), np.zeros(len(self.names)), None)
        things, sure = placed(seen.things, camera, self._table, self._heights)
        where = np.concatenate([hand @ self._table[:3, :3].T + self._table[:3, 3], things])
        confidence = np.r_[np.full(len(HAND), np.mean(seen.person.hand.confidence)), sure]
        confidence[~np.isfinite(where).all(1)] = 0.0
        put = self._smooth(where, seconds)
        self._last = np.where(np.isfinite(put), put, self._last)
        if not np.isfinite(self._last).all():
            return Rewarded(self.names, self._last.copy(), confidence, None)
        thumb, index = self._last[1:3]
        gap = max(float(np.linalg.norm(thumb - index)) - 2 * PAD, 0.0)
        value = self.reward.now((thumb + index) / 2, gap, self._last[len(HAND) :])
        return Rewarded(self.names, self._last.copy(), confidence, value)

    def forget(self) -> None:
        """Begin anew with the next image, because time went back."""
        self._camera = None

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
    """Colour, depth and whatever else is of one moment, whichever comes first. tolerance: between the stamps of colour
    and any other [ns]. kept: of each part that waits for others."""

    def __init__(self, tolerance: int, parts: Sequence[str] = ("colour", "depth"), kept: int = 8) -> None:
        self.tolerance, self._first = tolerance, parts[0]
        self._waiting: dict[str, deque[tuple[int, Any]]] = {part: deque(maxlen=kept) for part in parts}

    def add(self, part: str, stamp: int, what: Any) -> tuple[Any, ...] | None:
        """Stamp of the colour and all parts in their order, once the last of them is there. Each is used once."""
        self._waiting[part].append((stamp, what))
        first = (stamp, what) if part == self._first else self._nearest(self._first, stamp)
        if first is None:
            return None
        found = {name: first if name == self._first else self._nearest(name, first[0]) for name in self._waiting}
        whole = {name: one for name, one in found.items() if one is not None}
        if len(whole) < len(found):
            return None
        for name, one in whole.items():
            self._waiting[name] = deque((o for o in self._waiting[name] if o is not one), self._waiting[name].maxlen)
        return (first[0], *(one[1] for one in whole.values()))

    def _nearest(self, part: str, stamp: int) -> tuple[int, Any] | None:
        near = min(self._waiting[part], key=lambda one: abs(one[0] - stamp), default=None)
        return near if near is not None and abs(near[0] - stamp) <= self.tolerance else None
