"""Tracks for rewards from recordings: what was really seen, in place of what a simulator knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import DataError
from vgps_models.irl.learned import LearnedReward
from vgps_models.irl.tracks import Track
from vgps_models.keypoints.paths import PathConfig, carried, cleaned, without_strays
from vgps_models.keypoints.task import TaskSeen, TaskWatchConfig, TaskWatcher, finder
from vgps_models.keypoints.things import ThingsSeen
from vgps_models.rgbd.recording import Recording
from vgps_models.rgbd.table import camera_over_table
from vgps_models.spaces import Array, Image
from vgps_node.placing import placed, standing_heights
from vgps_sim.human.grip import PAD
from vgps_sim.human.skeleton import INDEX_TIP, THUMB_TIP, fit_hand

THINGS = PathConfig(window=0.6, stray=0.08)  # they move at times, and are hidden at others
PUSHED = 0.08  # [m] from its usual place a thing that nobody lifts is not believed
HELD = 0.08  # [m] from the fingertips to what they take or have just let go


@dataclass(frozen=True, eq=False)
class Watched:
    """track: of the frames with depth, which are `rows`, in a frame in which the camera is at `camera_pose` (4, 4).

    found (T, N): which landmarks were seen then. seen: of every frame; None where there was nothing to see.
    """

    track: Track
    camera_pose: Array
    found: NDArray[np.bool_]
    rows: list[int]
    seen: list[tuple[Image, TaskSeen] | None]


def watch(
    recording: Recording, reward: LearnedReward, look: TaskWatcher, *, keep: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Watched:  # fmt: skip
    """The track of a recording of somebody at a reward's task, in a frame on the table.

    keep: the pictures too. Raises DataError when the hand or a landmark is never seen.
    """
    rows, pixels, hand, seen_things = list[int](), list[Array](), list[Array](), list[ThingsSeen]()
    seen: list[tuple[Image, TaskSeen] | None] = []
    first: Array | None = None
    for row, frame in enumerate(recording.frames()):
        progress(row + 1, len(recording))
        seen.append(None)
        if frame.rgb is None or frame.depth is None:
            continue
        first = frame.depth if first is None else first
        found = look(frame.rgb, frame.depth)
        rows.append(row)
        pixels.append(found.person.hand_pixels)
        hand.append(found.person.hand.position)
        seen_things.append(found.things)
        if keep:
            seen[-1] = (frame.rgb, found)
    if first is None:
        raise DataError(f"{recording.name} has no frame of colour and depth")
    seconds = recording.seconds[rows]
    fitted, _ = fit_hand(np.array(pixels), np.array(hand)[..., 2], recording.camera, recording.period)
    tips, _ = cleaned(fitted[:, [THUMB_TIP, INDEX_TIP]], seconds)
    up = camera_over_table(first, recording.camera, near=np.nanmedian(fitted[:, 0], axis=0))
    heights = standing_heights(reward)
    things = np.array([placed(one, recording.camera, up, heights)[0] for one in seen_things])
    for k, name in enumerate(look.names):
        if not np.isfinite(things[:, k]).any():
            raise DataError(f"{recording.name}: the {name} is never seen; the reward of {reward.task} needs it")
    tips = tips @ up[:3, :3].T + up[:3, 3]
    between, lifted = tips.mean(1), np.isnan(heights)
    points = without_strays(_steady(things, heights), seconds, THINGS)
    points[:, lifted] = carried(points[:, lifted], between, HELD)
    points, _ = cleaned(points, seconds, THINGS)
    gap = np.maximum(np.linalg.norm(tips[:, 0] - tips[:, 1], axis=1) - 2 * PAD, 0.0)
    still = np.zeros(len(rows))
    track = Track(reward.task, reward.names, between, gap, still, points, 0.0, False)
    return Watched(track, up, np.asarray(np.isfinite(things).all(2)), rows, seen)


def _steady(things: Array, heights: Array) -> Array:
    """Things (T, N, 3) without where those that have a height (N,), and so stand somewhere, are not at most times."""
    made = things.copy()
    for k in np.flatnonzero(np.isfinite(heights)):
        made[np.linalg.norm(made[:, k] - np.nanmedian(made[:, k], axis=0), axis=1) > PUSHED, k] = np.nan
    return made


def watcher(
    points: str, pose: Path | None, reward: LearnedReward, recording: Recording, config: TaskWatchConfig
) -> TaskWatcher:
    """For a reward and the camera of a recording. pose: a pose_landmarker_full.task that finds the arm, or None."""
    from vgps_models.keypoints.hands import HandLandmarker
    from vgps_models.keypoints.pose_landmarker import PoseConfig, PoseLandmarker

    arm = None if pose is None else PoseLandmarker(PoseConfig(pose))
    return TaskWatcher(finder(points, reward.names), HandLandmarker(), recording.camera, config, arm)
