"""What values learned from video are worth on videos that training never saw.

V(s; z) towards a clip's own last frame should rise from frame to frame, and the embedding's distance to the last
frame should fall as the steps to go do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from vgps_models.icvf.frames import FrameValues
from vgps_models.progress.measures import bootstrap, voc
from vgps_models.video.shards import VideoShards

SHOWN = 8  # curves that are kept whole


@dataclass(frozen=True)
class Curve:
    """values: V of every frame towards the last, with the heads' spread. distance: of phi to that of the last."""

    name: str
    values: tuple[float, ...]
    spread: tuple[float, ...]
    distance: tuple[float, ...]

    @property
    def voc(self) -> float:
        """Rank correlation of the values with time."""
        return voc(np.array(self.values))

    @property
    def nearing(self) -> float:
        """Rank correlation of the embedding's distance with the steps to go."""
        return voc(-np.array(self.distance))

    @property
    def monotone(self) -> float:
        """Share of steps on which the value does not fall."""
        return float((np.diff(self.values) >= 0).mean())


def curve(values: FrameValues, shards: VideoShards, video: int) -> Curve:
    """Of one video of the shards, by number."""
    frames = shards.read(np.arange(int(shards.bounds[video]), int(shards.bounds[video + 1])))
    mean, spread = values.curve(frames)
    seen = values.embed(frames)
    distance = (seen - seen[-1]).norm(dim=1)
    return Curve(shards.videos[video].name, *(tuple(each.tolist()) for each in (mean, spread, distance)))


def examine(
    values: FrameValues, shards: VideoShards, videos: Sequence[int], tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Medians over the videos with bootstrap intervals, and the curves of the first, the middle and the worst."""
    curves = []
    for video in videos:
        curves.append(curve(values, shards, video))
        tick()
    told: dict[str, Any] = {"videos": len(curves), "frames": int(sum(len(c.values) for c in curves))}
    for name in ("voc", "nearing", "monotone"):
        median, interval = bootstrap([getattr(c, name) for c in curves])
        told[name] = {"median": round(median, 4), "ci95": [round(end, 4) for end in interval]}
    order = np.argsort(rankdata([c.voc for c in curves], method="ordinal"))
    shown = sorted({int(order[i]) for i in np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)})
    told["curves"] = [
        {"name": c.name, "voc": round(c.voc, 4), "values": [round(v, 3) for v in c.values],
         "distance": [round(d, 3) for d in c.distance]}
        for c in (curves[i] for i in shown)
    ]  # fmt: skip
    return told
