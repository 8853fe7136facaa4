"""How well hands are found and lifted, against where they really were: `vgps bench hands`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.keypoints.hands import UNDER, Hand, HandLandmarker, HandsConfig
from vgps_models.keypoints.lifting import Lifting, lift, metres
from vgps_models.keypoints.photographs import measure, read_photographs
from vgps_models.spaces import Image
from vgps_models.spread import percentiles
from vgps_sim.human.filming import Film, film
from vgps_sim.tasks import TASKS

HIDDEN = 0.02  # [m] what lies so far before a joint is not its own skin
MOSTLY = 10  # landmarks that are to be seen before a hand counts as one that should be found


@dataclass(frozen=True)
class HandsBench:
    """`vgps bench hands`"""

    films: int = 24  # performances, spread over the tasks
    seed: int = 1_000_000  # of the first
    every: int = 3  # frames of which one is looked at
    holes: float = 0.05  # share of the depth that is missing
    noise: float = 0.002  # [m] standard deviation of the depth
    hands: HandsConfig = field(default_factory=HandsConfig)
    lifting: Lifting = field(default_factory=Lifting)
    photographs: Path | None = None  # folder of photographs with `hands.json`, to be looked at instead of films


def bench_hands(config: HandsBench | None = None, find: Callable[[Image], list[Hand]] | None = None) -> dict[str, Any]:
    """found: share of the hands that are to be seen. error_mm: of the landmarks that are, in 3D.

    find: another detector than MediaPipe's.
    """
    config = config or HandsBench()
    find = find or HandLandmarker(config.hands)
    if config.photographs:
        return measure(read_photographs(config.photographs), find)
    random, tasks = np.random.default_rng(config.seed), list(TASKS)
    told: dict[str, list[Any]] = {"errors": [], "pixels": [], "found": [], "right": [], "none": [], "ms": []}
    for number in range(config.films):
        made = film(tasks[number % len(tasks)], config.seed + number, failures=0.0)
        for t in range(0, len(made), config.every):
            _look(made, t, find, config, random, told)
    errors, pixels = (np.concatenate([np.zeros(0), *told[name]]) for name in ("errors", "pixels"))
    return {
        "frames": sum(len(told[name]) for name in ("found", "none")),
        "hands_to_be_seen": len(told["found"]),
        "found": _share(told["found"]),
        "called_right": _share(told["right"]),
        "found_where_none_is": _share(told["none"]),
        "error_mm": percentiles(1e3 * errors, (25, 50, 75, 90), digits=2),
        "error_px": percentiles(pixels, digits=2),
        "landmarks": len(errors),
        "detector_ms": round(float(np.median(told["ms"])), 1),
    }


def _share(yes: list[bool]) -> float | None:
    """None of nothing."""
    return round(float(np.mean(yes)), 3) if yes else None


def visible(film: Film, t: int) -> NDArray[np.bool_]:
    """Which of the 21 joints are in the picture and covered by nothing but their own skin (21,) bool."""
    joints, depth = film.hand[t], film.depth[t]
    pixels = film.camera.project(joints)
    inside = ((pixels >= 2) & (pixels < np.array(depth.shape[::-1]) - 3)).all(1) & (joints[:, 2] > 0)
    shown = np.zeros(len(joints), bool)
    for k in np.flatnonzero(inside):
        u, v = np.round(pixels[k]).astype(int)
        shown[k] = joints[k, 2] - depth[v - 1 : v + 2, u - 1 : u + 2].min() < HIDDEN
        shown[k] &= abs(depth[v, u] - joints[k, 2]) < HIDDEN
    return shown


def _look(
    made: Film, t: int, find: Callable[[Image], list[Hand]], config: HandsBench, random: np.random.Generator,
    told: dict[str, list[Any]],
) -> None:  # fmt: skip
    seen = visible(made, t)
    began = time.perf_counter()
    hands = find(made.rgb[t])
    told["ms"].append(1e3 * (time.perf_counter() - began))
    true = made.camera.project(made.hand[t])
    near = [hand for hand in hands if np.abs(hand.pixels - true).mean() < 60]  # on the hand, not on a plate
    if seen.sum() < MOSTLY:
        if not seen.any():
            told["none"].append(bool(hands))
        return
    told["found"].append(bool(near))
    if not near:
        return
    told["right"].append(near[0].side == "right")
    depth = made.depth[t] + random.normal(0, config.noise, made.depth[t].shape)
    depth[random.random(depth.shape) < config.holes] = 0
    points = lift(metres(depth), near[0].pixels, np.ones(len(true)), made.camera, config.lifting, under=UNDER)
    usable = seen & points.known
    told["errors"].append(np.linalg.norm(points.position - made.hand[t], axis=1)[usable])
    told["pixels"].append(np.linalg.norm(near[0].pixels - true, axis=1)[seen])
