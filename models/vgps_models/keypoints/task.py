"""What a reward over points needs, from pictures with depth: a person's hand, and the things that the task is about."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.finder import PointFinder
from vgps_models.keypoints.lifting import Lifting, Points, lift
from vgps_models.keypoints.located import Located
from vgps_models.keypoints.person import ARM, ArmFinder, FindHands, PersonSeen, PersonWatcher, WatchConfig
from vgps_models.spaces import Array, Image


@dataclass(frozen=True)
class TaskWatchConfig:
    person: WatchConfig = field(default_factory=WatchConfig)
    sure: float = 0.5  # confidence from which a thing counts as seen
    glimpsed: float = 0.2  # and from which a nearer look is taken
    margin: float = 0.06  # of the picture's width around things, for that look
    things: Lifting = field(default_factory=lambda: Lifting(radius=1, apart=np.inf, nearest=0.01))


@dataclass(frozen=True, eq=False)
class TaskSeen:
    """person: see there. things: points of the landmarks in the camera's frame [m], where they are seen; and pixels."""

    person: PersonSeen
    things: Points
    pixels: Array


class TaskWatcher:
    """find: of `ARM` and the landmarks of a task, which are `names`; it looks at a picture once for both.

    arm: who finds the arm instead, with a look of its own.
    """

    def __init__(
        self, find: PointFinder, find_hands: FindHands, camera: Intrinsics, config: TaskWatchConfig = TaskWatchConfig(),
        arm: ArmFinder | None = None,
    ) -> None:  # fmt: skip
        self.names, self.camera, self.config = find.names[len(ARM) :], camera, config
        self._find, self._arm = find, arm
        self._person = PersonWatcher(find_hands, arm or find, (arm or find).under[: len(ARM)], camera, config.person)

    def __call__(self, rgb: Image, depth: Array) -> TaskSeen:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes."""
        located, count = self._find(rgb), len(ARM)
        arm = self._arm(rgb) if self._arm else Located(located.pixels[:count], located.confidence[:count])
        near = self._nearer(rgb, located)
        sure = np.where(near.confidence >= self.config.sure, near.confidence, 0.0)[count:]
        pixels = np.where(sure[:, None] > 0, near.pixels[count:], np.nan)
        under = self._find.under[count:]
        things = lift(depth, pixels, sure, self.camera, self.config.things, under=under)
        return TaskSeen(self._person.given(arm, rgb, depth), things, pixels)

    def _nearer(self, rgb: Image, located: Located) -> Located:
        """The same once more in the part of the picture where the things are, which small things need."""
        sure = located.confidence[len(ARM) :] >= self.config.glimpsed
        if not sure.any():
            return located
        pixels, c = located.pixels[len(ARM) :][sure], self._find.net.config
        middle, spread = (pixels.min(0) + pixels.max(0)) / 2, np.ptp(pixels, axis=0) / 2
        half = np.maximum(spread + self.config.margin * rgb.shape[1], np.array([c.width, c.height]) / 4)
        half = max(half[0], half[1] * c.width / c.height) * np.array([1.0, c.height / c.width])
        if half[0] > 0.45 * rgb.shape[1]:
            return located
        low = np.clip(np.round(middle - half), 0, None).astype(int)
        high = np.clip(np.round(middle + half), 0, rgb.shape[1::-1]).astype(int)
        near = self._find(np.ascontiguousarray(rgb[low[1] : high[1], low[0] : high[0]]))
        return Located(near.pixels + low, near.confidence)


def finder(points: str, names: tuple[str, ...]) -> PointFinder:
    """What a `TaskWatcher` needs of a checkpoint of `vgps train points`. UnknownNameError for a landmark it lacks."""
    return PointFinder.load(points, (*ARM, *names))
