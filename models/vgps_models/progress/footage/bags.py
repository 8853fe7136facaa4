"""MCAP bags of ROS 2: attempts of which the task is known, the outcome as `/task/state` says it.

Without a task state a bag is a single attempt, whose task has to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vgps_models.data.bags import BEFORE, COMPRESSED, RAW, Attempt, BagIndex, images
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.estimate import Clip, spaced
from vgps_models.progress.footage.base import Scene

__all__ = ["COMPRESSED", "RAW", "Bags"]


class Bags:
    """One .mcap file, or a folder of them (a bag folder of rosbag2, or several)."""

    def __init__(self, path: Path, task: str = "") -> None:
        found = BagIndex(path)
        self.problems = found.problems
        self._attempts: list[Attempt] = []
        for attempt in found.attempts:
            attempt.task = task or attempt.task
            if not attempt.times or min(map(len, attempt.times.values())) < 2:
                if attempt.episode != BEFORE:
                    self.problems.append(f"{attempt.name} of {attempt.path} has fewer than two images of a camera")
            elif not attempt.task:
                self.problems.append(f"{attempt.name} of {attempt.path} has no task: give --task")
            else:
                self._attempts.append(attempt)
        if not self._attempts:
            reason = "; ".join(self.problems[:3]) or "no .mcap file"
            raise DataError(f"{path} holds nothing that can be judged: {reason}")

    def __len__(self) -> int:
        return len(self._attempts)

    def scene(self, index: int, frames: int = 0, cameras: Sequence[str] = ()) -> Scene:
        attempt = self._attempts[index]
        for camera in cameras:
            if camera not in attempt.times:
                raise UnknownNameError("camera", camera, attempt.times)
        times = {c: np.array(t) for c, t in attempt.times.items() if not cameras or c in cameras}
        # The camera that stopped first decides the moments; the others show what they saw nearest to them.
        first = min(times.values(), key=lambda t: t[-1])
        at = first[spaced(len(first), frames or len(first))]
        wanted = {c: t[np.abs(t[None] - at[:, None]).argmin(axis=1)].tolist() for c, t in times.items()}
        views = {c: images(attempt, c, chosen) for c, chosen in wanted.items()}
        return Scene(attempt.name, Clip(views, attempt.task), (at - at[0]) * 1e-9, attempt.success)
