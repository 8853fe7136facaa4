"""What watching a person is worth, against where they really were: `vgps bench watching`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vgps_models.errors import DataError
from vgps_models.keypoints.paths import PathConfig
from vgps_models.keypoints.person import ARM, WatchConfig
from vgps_models.rgbd.folder import write_folder
from vgps_models.spaces import Array
from vgps_models.spread import percentiles
from vgps_node.retargeting import Retarget, Retargeted, retargeted
from vgps_sim.human.filming import Film, film, seen_by_camera
from vgps_sim.retarget.chains import CHAINS, get_chain
from vgps_sim.retarget.compare import alone, measures
from vgps_sim.retarget.motion import retarget
from vgps_sim.retarget.refine import Weights
from vgps_sim.retarget.shown import palm_axes, pinch_axes
from vgps_sim.tasks import ALL_TASKS


@dataclass(frozen=True)
class WatchingBench:
    """`vgps bench watching`: films of a person, retargeted as recordings are."""

    films: int = 12  # performances, spread over the tasks
    seed: int = 1_000_000  # of the first
    fps: int = 25  # frames a second
    holes: float = 0.03  # share of the depth that is missing
    noise: float = 0.002  # [m] standard deviation of the depth
    points: str = "points"  # checkpoint of `vgps train points`, which finds the arm
    pose: Path | None = None  # a pose_landmarker_lite, _full or _heavy.task of MediaPipe, which finds the arm instead
    watch: WatchConfig = field(default_factory=WatchConfig)
    paths: PathConfig = field(default_factory=PathConfig)
    weights: Weights = field(default_factory=Weights)


def bench_watching(config: WatchingBench | None = None) -> dict[str, Any]:
    """errors: of points in frames where they are known, and of the bridged and smoothed ones. arms: see `measures`."""
    config = config or WatchingBench()
    tasks = list(ALL_TASKS)
    rows, unusable = list[dict[str, Any]](), dict[str, str]()
    for number in range(config.films):
        task, seed = tasks[number % len(tasks)], config.seed + number
        made = film(task, seed, failures=0.0, fps=config.fps, whole=True)
        try:
            rows.append(_judged(made, config, number))
        except DataError as error:  # as a user would be told
            unusable[f"{task}, seed {seed}"] = str(error)
    if not rows:
        raise DataError(f"none of the films could be used: {unusable}")
    points = {name: np.concatenate([row["points"][name] for row in rows]) for name in rows[0]["points"]}
    arms = {arm: _compared([row["arms"][arm] for row in rows]) for arm in CHAINS}
    return {
        "films": len(rows) + len(unusable),
        "unusable": unusable,
        "frames": sum(row["frames"] for row in rows),
        "hand_found": round(float(np.mean([row["found"] for row in rows])), 4),
        "errors": {name: _spread(found) for name, found in points.items()},
        "frames_per_s": round(float(np.median([row["frames_per_s"] for row in rows])), 1),
        "arms": arms,
        "faults": [row["faults"] for row in rows],
    }


def _compared(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians over the films of either way, by how much retargeting is lower, and its worst film."""
    ways = {way: {k: float(np.median([row[way][k] for row in rows])) for k in rows[0][way]} for way in rows[0]}
    one, two = ways["end effector"], ways["retargeted"]
    alike = [row["retargeted"]["likeness"] > row["end effector"]["likeness"] for row in rows]
    return {
        **{way: {k: round(v, 4) for k, v in row.items()} for way, row in ways.items()},
        "lower_by": {k: round(1 - two[k] / one[k], 3) for k in ("displacement", "jerk")},
        "more_alike_in": round(float(np.mean(alike)), 3),
        "worst": {k: max(row["retargeted"][k] for row in rows) for k in ("limits_broken", "collisions")},
    }


def _judged(made: Film, config: WatchingBench, number: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="film") as folder:
        frames = seen_by_camera(made, holes=config.holes, noise=config.noise, seed=number)
        recording = Path(folder) / "film"  # errors tell its name
        write_folder(recording, made.camera, frames, fps=config.fps)
        began = time.perf_counter()
        asked = Retarget(recording, points=config.points, pose=config.pose, watch=config.watch, paths=config.paths)
        result = retargeted(asked)
        seconds = time.perf_counter() - began
    arms: dict[str, Any] = {}
    for arm in CHAINS:
        chain, person = get_chain(arm), result.person
        ways = {
            "end effector": alone(arm, chain, person, person.tip),
            "retargeted": retarget(arm, chain, person, config.weights),
        }
        arms[arm] = {way: measures(arm, chain, motion, person) for way, motion in ways.items()}
    return {
        "frames": len(made), "found": result.told["hand_found"], "points": _errors(made, result), "arms": arms,
        "faults": result.told["faults"], "frames_per_s": len(made) / seconds,
    }  # fmt: skip


def _errors(made: Film, result: Retargeted) -> dict[str, Array]:
    """Distances [m] to where everything was, and turns [rad] between the gripper's axes and the true ones."""
    watched = result.watched
    true_arm = np.stack([made.shoulder, made.elbow, made.hand[:, 0]], axis=1)
    errors = {f"{name}_mm": _known(1e3 * (watched.arm[:, k] - true_arm[:, k])) for k, name in enumerate(ARM)}
    errors["hand_mm"] = _known(1e3 * (watched.hand - made.hand).reshape(-1, 3))
    track = result.smoothed
    rows = slice(track.first, track.first + len(track.hand))
    seen = (track.hand[:, 4] + track.hand[:, 8]) / 2
    pinch = pinch_axes(track.hand, palm_axes(track.hand))
    errors["tip_mm"] = 1e3 * np.linalg.norm(seen - made.tip[rows], axis=1)
    for k, name in enumerate(ARM):
        errors[f"{name}_smoothed_mm"] = 1e3 * np.linalg.norm(track.arm[:, k] - true_arm[rows, k], axis=1)
    turns = np.einsum("tij,tik->tjk", pinch, made.pinch[rows])
    errors["pinch_deg"] = np.degrees(np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    return errors


def _known(apart: Array) -> Array:
    return np.linalg.norm(apart[np.isfinite(apart).all(-1)], axis=-1)


def _spread(found: Array) -> dict[str, float]:
    return {"count": len(found), **percentiles(found, digits=2)}
