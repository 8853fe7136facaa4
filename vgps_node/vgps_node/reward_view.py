"""A recording with the points that a reward reads, and the reward under them: `vgps reward view`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image as Picture
from PIL import ImageDraw

from vgps_models.data.video import encode
from vgps_models.files import write_whole
from vgps_models.irl.rewards import load_reward
from vgps_models.keypoints.task import TaskSeen, TaskWatchConfig
from vgps_models.rgbd.recording import open_recording
from vgps_models.spaces import Array, Image
from vgps_node.seen_tracks import watch, watcher
from vgps_node.skeleton_drawing import draw_person

BAND = 90  # [px] of the curve below the picture
WIDTH = 640  # [px] of the video


@dataclass(frozen=True)
class ViewReward:
    """Draw what a reward sees into a video, and its value under it."""

    recording: tyro.conf.Positional[Path]  # folder of color/ and depth/, a bag, or a RealSense's .bag or .db3
    reward: Path  # what `vgps reward learn` wrote
    out: Path = Path("runs/reward.mp4")  # video to write
    camera: str = ""  # which one, where a bag has several: its topic in color, or a part of its name as `left`
    points: str = "points"  # checkpoint of `vgps train points`, which finds things and the arm
    pose: Path | None = None  # a pose_landmarker_lite, _full or _heavy.task of MediaPipe, which finds the arm instead
    watch: TaskWatchConfig = field(default_factory=TaskWatchConfig)


def view_reward(config: ViewReward, progress: Callable[[int, int], None] = lambda done, of: None) -> dict[str, Any]:
    """Write the video; tells the reward of every frame and how often each point was seen."""
    recording, reward = open_recording(config.recording, config.camera), load_reward(config.reward)
    look = watcher(config.points, config.pose, reward, recording, config.watch)
    watched = watch(recording, reward, look, keep=True, progress=progress)
    values, seconds = reward.within(watched.track), recording.seconds[watched.rows]
    frames = [
        frame(*picture, values, t, look.names)
        for t, row in enumerate(watched.rows)
        if (picture := watched.seen[row]) is not None
    ]
    write_whole(config.out, encode(np.stack(frames), max(1, round(1 / recording.period))))
    seen = [found for picture in watched.seen if picture is not None for found in [picture[1]]]
    things = np.mean([found.things.points.known for found in seen], axis=0)
    return {
        "recording": recording.name,
        "task": reward.task,
        "video": str(config.out),
        "hand_seen": round(float(np.mean([found.person.hand.known.any() for found in seen])), 3),
        "things_seen": {name: round(float(share), 3) for name, share in zip(look.names, things, strict=True)},
        "score": round(reward.score(watched.track), 4),
        "seconds": [round(float(at), 3) for at in seconds],
        "reward": [round(float(value), 4) for value in values],
        "faults": recording.faults.counts(),
    }


def frame(image: Image, found: TaskSeen, values: Array, now: int, names: tuple[str, ...]) -> Image:
    """One picture of the video: points in it, below it the reward from -1 to 0 up to now."""
    canvas = Picture.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    draw_person(pen, found.person)
    for name, (u, v), known in zip(names, found.things.pixels, found.things.points.known, strict=True):
        if np.isfinite(u):
            pen.ellipse([u - 5, v - 5, u + 5, v + 5], outline=(60, 200, 240) if known else (60, 60, 60), width=2)
            pen.text((u + 7, v - 6), name, fill=(255, 255, 255))
    height = round(WIDTH * image.shape[0] / image.shape[1] / 2) * 2
    out = Picture.new("RGB", (WIDTH, height + BAND), (20, 26, 34))
    out.paste(canvas.resize((WIDTH, height)), (0, 0))
    pen = ImageDraw.Draw(out)
    x = np.linspace(10, WIDTH - 10, len(values))
    y = height + 12 - (BAND - 24) * values
    pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=(70, 80, 96), width=2)
    if now:
        pen.line(list(zip(x[: now + 1].tolist(), y[: now + 1].tolist(), strict=True)), fill=(240, 168, 64), width=3)
    pen.text((12, height + 4), f"reward {values[now]:.2f}", fill=(236, 240, 245))
    return np.asarray(out)
