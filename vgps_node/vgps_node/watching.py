"""A slow estimator beside a fast graph: asked about the episode so far, one question at a time, never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from vgps_models.errors import VgpsError
from vgps_models.progress.estimate import Clip, Estimate, Estimator, spaced
from vgps_models.spaces import Image
from vgps_node.moments import Moment, Progress, TaskState

MOST = 256  # moments that are kept of an episode; of a longer one every second is forgotten
FEWEST = 3  # moments that a question needs


class Watcher:
    """period: least time between two questions [s]. frames: moments that a question shows, evenly spread.

    Not thread-safe: `see` and `poll` belong to one thread; the estimator runs in another.
    """

    def __init__(
        self, estimator: Estimator, *, period: float, frames: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.estimator, self.period, self.frames, self._clock = estimator, period, frames, clock
        self._threshold = getattr(estimator, "threshold", None)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="watcher")
        self._seen: list[tuple[Moment, Mapping[str, Image]]] = []
        self._episode: int | None = None
        self._asked: tuple[Future[Estimate], Moment, float] | None = None
        self._last = -np.inf

    def see(self, task: TaskState, images: Mapping[str, Image]) -> None:
        """Remember a moment, and ask when the time has come or the episode is over."""
        if task.episode != self._episode:
            self._episode, self._seen = task.episode, []
        if not self._seen or task.moment.stamp > self._seen[-1][0].stamp:  # an observation may be said twice
            self._seen.append((task.moment, images))
        if len(self._seen) > MOST:
            self._seen = [*self._seen[:-1:2], self._seen[-1]]
        due = self._clock() - self._last >= self.period or task.done
        if self._asked is None and due and len(self._seen) >= FEWEST and task.instruction:
            self._ask(task.instruction)

    def forget(self) -> None:
        """Drop the episode so far, and the answer to a question under way, because time went back."""
        self._episode, self._seen, self._asked = None, [], None

    def poll(self) -> Progress | str | None:
        """What has been answered about the newest moment of the last question, or why nothing could be; else None."""
        if self._asked is None or not self._asked[0].done():
            return None
        (future, moment, began), self._asked = self._asked, None
        try:
            estimate = future.result()
        except VgpsError as error:
            return str(error)
        value = float(estimate.values[-1])
        if np.isnan(value):
            return "; ".join(estimate.failures) or "no answer"
        success = self._threshold is not None and value >= self._threshold
        ms = 1e3 * (self._clock() - began)
        return Progress(moment, estimate.source, value, float(estimate.spread[-1]), success, ms)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, instruction: str) -> None:
        shown = [self._seen[i] for i in spaced(len(self._seen), self.frames)]
        views = {name: np.stack([images[name] for _, images in shown]) for name in shown[0][1]}
        self._last = self._clock()
        future = self._pool.submit(self.estimator.estimate, Clip(views, instruction))
        self._asked = future, shown[-1][0], self._last
