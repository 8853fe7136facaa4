"""The things that a task is about in pictures with depth: found, looked at once more from nearer by, and lifted.

In all of a picture an onion is five pixels wide for the finder. So the part in which things are is looked at again, and
then the surroundings of each of them, which are shown to the finder in as many pixels as the picture has of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.finder import PointFinder
from vgps_models.keypoints.lifting import Lifting, Points, lift
from vgps_models.keypoints.located import Located
from vgps_models.spaces import Array, Image

ALIKE = (("good_onion", "blemished_onion"),)  # where one of them is half hidden the other is taken for it


@dataclass(frozen=True)
class ThingsConfig:
    sure: float = 0.5  # confidence from which a thing counts as seen
    glimpsed: float = 0.2  # and from which a nearer look is taken
    margin: float = 0.06  # of the picture's width around all things, for the second look
    around: float = 0.09  # [m] to either side of a thing that fill the height of the third look
    apart: float = 0.02  # [m] two things that look alike are at least
    lifting: Lifting = field(default_factory=lambda: Lifting(radius=1, apart=np.inf, nearest=0.01))


@dataclass(frozen=True, eq=False)
class ThingsSeen:
    """points: of the landmarks in the camera's frame [m], where they are seen. pixels (N, 2): of them, NaN where they
    are not. sure (N,): that they are there, whatever the depth says.
    """

    points: Points
    pixels: Array
    sure: Array


class ThingWatcher:
    """find: of points of which the last ones, from `first` on, are the landmarks of a task, which are `names`."""

    def __init__(
        self, find: PointFinder, camera: Intrinsics, config: ThingsConfig = ThingsConfig(), first: int = 0
    ) -> None:
        self.names, self.camera, self.config = find.names[first:], camera, config
        self._find, self._first = find, first

    def __call__(self, rgb: Image, depth: Array) -> ThingsSeen:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes."""
        return self.given(self._find(rgb), rgb, depth)

    def given(self, located: Located, rgb: Image, depth: Array) -> ThingsSeen:
        """The same where all of the picture has been looked at already."""
        near = self._nearest(rgb, depth, self._nearer(rgb, self._own(located)))
        sure = np.where(near.confidence >= self.config.sure, near.confidence, 0.0)
        under, settings = self._find.under[self._first :], self.config.lifting
        points = lift(depth, near.pixels, sure, self.camera, settings, under=under)
        sure = self._told_apart(points, sure)
        pixels = np.where(sure[:, None] > 0, near.pixels, np.nan)
        return ThingsSeen(lift(depth, pixels, sure, self.camera, settings, under=under), pixels, sure)

    def _told_apart(self, points: Points, sure: Array) -> Array:
        """Without the less sure one of two that look alike and are at one place."""
        made = sure.copy()
        for pair in ALIKE:
            if not set(pair) <= set(self.names):
                continue
            one, two = map(self.names.index, pair)
            if np.linalg.norm(points.position[one] - points.position[two]) < self.config.apart:
                made[one if sure[one] < sure[two] else two] = 0.0
        return made

    def _own(self, located: Located) -> Located:
        return Located(located.pixels[self._first :], located.confidence[self._first :])

    def _nearer(self, rgb: Image, located: Located) -> Located:
        """The same once more in the part of the picture where the things are."""
        glimpsed = located.confidence >= self.config.glimpsed
        if not glimpsed.any():
            return located
        pixels = located.pixels[glimpsed]
        half = np.ptp(pixels, axis=0) / 2 + self.config.margin * rgb.shape[1]
        part = self._part(rgb, (pixels.min(0) + pixels.max(0)) / 2, float(half[0]), float(half[1]))
        return located if part is None else self._looked(rgb, [part])[0]

    def _nearest(self, rgb: Image, depth: Array, located: Located) -> Located:
        """Once more around each thing; of every thing the look counts in which it is surest, this one or the last."""
        parts = []
        for k in np.flatnonzero(located.confidence >= self.config.glimpsed):
            u, v = np.clip(np.round(located.pixels[k]), 0, np.array(rgb.shape[1::-1]) - 1).astype(int)
            near = depth[max(0, v - 2) : v + 3, max(0, u - 2) : u + 3]
            if not np.isfinite(near).any():
                continue
            half = self.config.around * self.camera.fy / float(np.nanmedian(near))
            part = self._part(rgb, located.pixels[k], 0.0, half)
            parts += [] if part is None else [part]
        if not parts:
            return located
        looks = [located, *self._looked(rgb, parts)]
        confidence = np.stack([look.confidence for look in looks])
        best, every = confidence.argmax(0), np.arange(len(self.names))
        return Located(np.stack([look.pixels for look in looks])[best, every], confidence[best, every])

    def _part(self, rgb: Image, middle: Array, across: float, along: float) -> tuple[Array, Array] | None:
        """First and last corner [px] of a part of the finder's shape that reaches so far from the middle; None where
        that is all of the picture. Never smaller than the finder's own picture at half its size."""
        c = self._find.net.config
        half = max(across, along * c.width / c.height, c.width / 4) * np.array([1.0, c.height / c.width])
        if half[0] > 0.45 * rgb.shape[1]:
            return None
        low = np.clip(np.round(middle - half), 0, None).astype(int)
        return low, np.clip(np.round(middle + half), 0, rgb.shape[1::-1]).astype(int)

    def _looked(self, rgb: Image, parts: Sequence[tuple[Array, Array]]) -> list[Located]:
        images = [np.ascontiguousarray(rgb[low[1] : high[1], low[0] : high[0]]) for low, high in parts]
        found = [self._own(one) for one in self._find.every(images)]
        return [Located(one.pixels + low, one.confidence) for one, (low, _) in zip(found, parts, strict=True)]
