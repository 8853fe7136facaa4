"""How far off things and camera are that markers tell, against where they really were: `vgps bench markers`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vgps_models.keypoints.marker_set import Base, Board, MarkerSet, Worn
from vgps_models.keypoints.markers import Markers, MarkersSeen
from vgps_models.keypoints.planar import Trust
from vgps_models.spaces import Array
from vgps_models.spread import percentiles
from vgps_sim.marked.table import THIN, MarkedTable, Shot, posed

MIDDLE = (0.25, 0.0, 0.0)  # [m] of the board on the table, in the base frame
NEAR, FAR = 0.5, 1.2  # [m] of the camera from there
TILT = 40.0  # [deg] that a thing leans at most
SURE = 0.5  # confidence from which on figures are told apart
SETTINGS = MarkerSet(
    things={name: Worn(number) for name, number in (("red", 40), ("green", 41), ("blue", 42), ("white", 43))},
    board=Board((7, 5), 0.032, 0.024),
    base=Base((-MIDDLE[0], -MIDDLE[1], -2 * THIN)),  # under the paper
)


@dataclass(frozen=True)
class MarkersBench:
    """`vgps bench markers`"""

    pictures: int = 150
    seed: int = 1_000_000  # of the first
    picture_noise: float = 2.0  # standard deviation of a picture's values, of 255
    depth_noise: float = 0.002  # [m] standard deviation of the depth
    holes: float = 0.05  # share of the depth that is missing
    trust: Trust = field(default_factory=Trust)


def bench_markers(config: MarkersBench | None = None) -> dict[str, Any]:
    """Four things with markers of 5 cm and a ChArUco board on the table, from anywhere around and above.

    Figures of things are of those that are whole in the picture; `sure` are those with a confidence above one half.
    processor_ms: of one picture without depth.
    """
    config = config or MarkersBench()
    table, look = MarkedTable(SETTINGS), Markers(SETTINGS, config.trust)
    told: dict[str, list[Any]] = {"whole": [], "board": [], "ms": [], "picture": [], "with_depth": []}
    for number in range(config.pictures):
        random = np.random.default_rng(config.seed + number)
        shot = scatter(table, random)
        rgb = (
            np.clip(shot.rgb + random.normal(0, config.picture_noise, shot.rgb.shape), 0, 255).round().astype(np.uint8)
        )
        depth = shot.depth + random.normal(0, config.depth_noise, shot.depth.shape)
        depth[random.random(depth.shape) < config.holes] = 0
        began = time.process_time()
        alone = look(rgb, shot.camera)
        told["ms"].append(1e3 * (time.process_time() - began))
        told["whole"].append(shot.whole)
        told["picture"].append(errors(alone, shot))
        told["with_depth"].append(errors(look(rgb, shot.camera, depth), shot))
        told["board"].append(camera_errors(alone, shot))
    table.close()
    whole = np.concatenate(told["whole"])
    board = np.array(told["board"])
    return {
        "pictures": config.pictures,
        "whole": int(whole.sum()),
        **{name: _things(np.concatenate(told[name]), whole) for name in ("picture", "with_depth")},
        "camera": {"found": _share(np.isfinite(board[:, 0])), "mm": _spread(board[:, 0]), "deg": _spread(board[:, 1])},
        "processor_ms": round(float(np.median(told["ms"])), 1),
    }


def scatter(table: MarkedTable, random: np.random.Generator) -> Shot:
    """Things around the board, leaning anyhow, from somewhere above the table."""
    for index, name in enumerate(SETTINGS.things):
        around = np.pi / 2 * index + random.uniform(0.3, 1.2)
        x, y = MIDDLE[0] + 0.2 * np.cos(around), MIDDLE[1] + 0.24 * np.sin(around)
        lean, toward = np.radians(random.uniform(0, TILT)), random.uniform(-np.pi, np.pi)
        turned = Rotation.from_rotvec([lean * np.cos(toward), lean * np.sin(toward), 0.0]) * Rotation.from_euler(
            "z", random.uniform(-np.pi, np.pi)
        )
        table.put(name, posed((x, y, random.uniform(0.06, 0.1)), turned))
    far, high, around = random.uniform(NEAR, FAR), np.radians(random.uniform(25, 80)), random.uniform(-np.pi, np.pi)
    away = far * np.array([np.cos(high) * np.cos(around), np.cos(high) * np.sin(around), np.sin(high)])
    target = np.array(MIDDLE) + np.append(random.uniform(-0.06, 0.06, 2), 0.0)
    table.look(np.array(MIDDLE) + away, target, random.uniform(-np.pi, np.pi))
    return table.shot()


def errors(seen: MarkersSeen, shot: Shot) -> Array:
    """Of K things (K, 3): position [mm], rotation [deg], confidence; NaN and 0 where one was not found."""
    away = 1e3 * np.linalg.norm(seen.points.position - shot.things[:, :3, 3], axis=1)
    turned = [angle(a, b) for a, b in zip(seen.rotation, shot.things[:, :3, :3], strict=True)]
    return np.column_stack([away, turned, seen.points.confidence])


def camera_errors(seen: MarkersSeen, shot: Shot) -> tuple[float, float]:
    """Of the camera in the base frame: position [mm], rotation [deg]; NaN where the board was not found."""
    if (pose := seen.camera_pose) is None:
        return np.nan, np.nan
    away = 1e3 * float(np.linalg.norm(pose[:3, 3] - shot.camera_pose[:3, 3]))
    return away, angle(pose[:3, :3], shot.camera_pose[:3, :3])


def angle(one: Array, two: Array) -> float:
    """Between two rotations (3, 3) [deg]."""
    return float(np.degrees(np.arccos(np.clip((np.trace(one.T @ two) - 1) / 2, -1, 1))))


def _things(told: Array, whole: NDArray[np.bool_]) -> dict[str, Any]:
    """told (N, 3) as `errors` gives it, whole (N,)."""
    mine = told[whole]
    sure = mine[:, 2] > SURE
    return {
        "found": _share(mine[:, 2] > 0),
        "sure": _share(sure),
        "mm": _spread(mine[:, 0]),
        "deg": _spread(mine[:, 1]),
        "sure_mm": _spread(mine[sure, 0]),
        "sure_deg": _spread(mine[sure, 1]),
        "found_though_not_whole": int((told[~whole, 2] > 0).sum()),
    }


def _spread(values: Array) -> dict[str, float]:
    known = values[np.isfinite(values)]
    return percentiles(known, (50, 90, 99), digits=2)


def _share(yes: NDArray[np.bool_]) -> float:
    return round(float(np.mean(yes)), 3)
