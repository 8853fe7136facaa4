"""Bags of ROS: attempts of which the task is known, the outcome as our task state says it.

Without a task state a bag is a single attempt, whose task has to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vgps_models.bags.attempts import BEFORE, Attempt, BagIndex, images
from vgps_models.bags.clock import nearest
from vgps_models.data.lerobot_info import find_camera, words
from vgps_models.errors import DataError
from vgps_models.progress.estimate import Clip, spaced
from vgps_models.progress.footage.base import Scene


class Bags:
    """One bag, or a folder of them. A camera with fewer than two images in an attempt is left out of it."""

    def __init__(self, path: Path, task: str = "") -> None:
        found = BagIndex(path)
        self.problems = found.problems
        self._attempts: list[Attempt] = []
        for attempt in found.attempts:
            attempt.task = task.strip() or words(attempt.task)
            few = [name for name, camera in attempt.cameras.items() if len(camera.times) < 2]
            attempt.cameras = {name: camera for name, camera in attempt.cameras.items() if name not in few}
            if not attempt.cameras:
                if attempt.episode != BEFORE or few:
                    self.problems.append(f"{attempt.name} has fewer than two images of every camera")
            elif not attempt.task:
                self.problems.append(f"{attempt.name} has no task: give --task")
            else:
                self.problems += [f"{attempt.name} has fewer than two images of {name}" for name in few]
                self._attempts.append(attempt)
        if not self._attempts:
            reason = "; ".join(self.problems[-3:]) or "no bag has messages"
            raise DataError(f"{path} holds nothing whose progress can be estimated: {reason}")

    def __len__(self) -> int:
        return len(self._attempts)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        """Moments evenly spread over the time that all cameras saw; every camera shows its image nearest to them."""
        attempt = self._attempts[index]
        names = [find_camera(camera, attempt.cameras) for camera in cameras] or attempt.usual
        times = {name: np.array(attempt.cameras[name].times) for name in names}
        begin, end = max(t[0] for t in times.values()), min(t[-1] for t in times.values())
        # The moments are images of the camera that stopped first; the others may have begun up to half a period later.
        first = min(times.values(), key=lambda t: t[-1])
        slack = np.median(np.diff(first)) / 2
        first = first[(first >= begin - slack) & (first <= end)]
        if len(first) < 2:
            spans = ", ".join(f"{name} {(t[-1] - t[0]) * 1e-9:.1f} s" for name, t in times.items())
            raise DataError(f"the cameras of {attempt.name} saw it at different times ({spans}); name one: --cameras")
        even = np.linspace(first[0], first[-1], len(spaced(len(first), frames or len(first))))
        at = first if len(even) == len(first) else first[np.unique(nearest(first, even.astype(np.int64)))]
        wanted = {name: t[nearest(t, at)].tolist() for name, t in times.items()}
        views = {name: images(attempt, name, chosen) for name, chosen in wanted.items()}
        return Scene(attempt.name, Clip(views, attempt.task), (at - at[0]) * 1e-9, attempt.success)
