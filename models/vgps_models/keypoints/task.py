"""What a reward over points needs, from pictures with depth: a person's hand, and the things that the task is about."""

from __future__ import annotations

from dataclasses import dataclass, field

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.finder import PointFinder
from vgps_models.keypoints.located import Located
from vgps_models.keypoints.person import ARM, ArmFinder, FindHands, PersonSeen, PersonWatcher, WatchConfig
from vgps_models.keypoints.things import ThingsConfig, ThingsSeen, ThingWatcher
from vgps_models.spaces import Array, Image


@dataclass(frozen=True)
class TaskWatchConfig:
    person: WatchConfig = field(default_factory=WatchConfig)
    things: ThingsConfig = field(default_factory=ThingsConfig)


@dataclass(frozen=True, eq=False)
class TaskSeen:
    """Of one frame."""

    person: PersonSeen
    things: ThingsSeen


class TaskWatcher:
    """find: of `ARM` and the landmarks of a task, which are `names`; it looks at all of a picture once for both.

    arm: who finds the arm instead, with a look of its own.
    """

    def __init__(
        self, find: PointFinder, find_hands: FindHands, camera: Intrinsics, config: TaskWatchConfig = TaskWatchConfig(),
        arm: ArmFinder | None = None,
    ) -> None:  # fmt: skip
        self._find, self._arm, self.camera = find, arm, camera
        self._person = PersonWatcher(find_hands, arm or find, (arm or find).under[: len(ARM)], camera, config.person)
        self._things = ThingWatcher(find, camera, config.things, first=len(ARM))
        self.names = self._things.names

    def __call__(self, rgb: Image, depth: Array) -> TaskSeen:
        """rgb (h, w, 3) uint8, depth (h, w) [m] with NaN for holes."""
        located, count = self._find(rgb), len(ARM)
        arm = self._arm(rgb) if self._arm else Located(located.pixels[:count], located.confidence[:count])
        return TaskSeen(self._person.given(arm, rgb, depth), self._things.given(located, rgb, depth))


def finder(points: str, names: tuple[str, ...]) -> PointFinder:
    """What a `TaskWatcher` needs of a checkpoint of `vgps train points`. UnknownNameError for a landmark it lacks."""
    return PointFinder.load(points, (*ARM, *names))
