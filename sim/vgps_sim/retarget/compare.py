"""What retargeting is worth against inverse kinematics of the end-effector alone, on the same motions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.signal import savgol_filter

from vgps_sim.retarget.chains import get_chain
from vgps_sim.retarget.collisions import colliding
from vgps_sim.retarget.human import angles
from vgps_sim.retarget.maps import joint_map
from vgps_sim.retarget.motion import end_effector_only, retarget
from vgps_sim.retarget.reaching import Noise, Reaching, reaching
from vgps_sim.retarget.refine import Chain, Motion, Path, Refiner, Weights
from vgps_sim.retarget.shown import Shown


@dataclass(frozen=True)
class RetargetBench:
    """`vgps bench retarget`"""

    arms: tuple[str, ...] = ("widowx_ai", "widowx_250s")
    seeds: tuple[int, ...] = tuple(range(1_000_000, 1_000_020))  # of persons and motions
    noise: Noise = field(default_factory=Noise)
    weights: Weights = field(default_factory=Weights)


def bench_retarget(config: RetargetBench | None = None) -> dict[str, Any]:
    """Medians over motions of every way, by how much the one that retargets is lower, and its worst motion."""
    config = config or RetargetBench()
    return {arm: _measured(arm, config) for arm in config.arms}


def _measured(arm: str, config: RetargetBench) -> dict[str, Any]:
    chain = get_chain(arm)
    ways: dict[str, Callable[[Reaching], Motion]] = {
        "end_effector": lambda shown: alone(arm, chain, shown, shown.tip),
        "end_effector_smoothed": lambda shown: alone(arm, chain, shown, smoothed(shown.tip)),
        "retargeted": lambda shown: retarget(arm, chain, shown, config.weights),
    }
    rows: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for seed in config.seeds:
        shown = reaching(seed, noise=config.noise)
        for way, solve in ways.items():
            began = time.perf_counter()
            motion = solve(shown)
            seconds = time.perf_counter() - began
            found = measures(arm, chain, motion, shown) | against(chain, motion, shown.true_tip)
            rows[way].append(found | {"frames_per_s": len(shown.tip) / seconds})
    medians = {way: {k: float(np.median([r[k] for r in found])) for k in found[0]} for way, found in rows.items()}
    one, two = medians["end_effector"], medians["retargeted"]
    alike = [b["likeness"] > a["likeness"] for a, b in zip(rows["end_effector"], rows["retargeted"], strict=True)]
    worst = ("limits_broken", "collisions", "true_position_mm", "true_rotation_deg")
    told: dict[str, Any] = {way: {k: round(v, 4) for k, v in found.items()} for way, found in medians.items()}
    return told | {
        "worst": {k: round(max(r[k] for r in rows["retargeted"]), 4) for k in worst},
        "lower_by": {k: round(1 - two[k] / one[k], 3) for k in ("displacement", "jerk")},
        "more_alike_in": round(float(np.mean(alike)), 3),
    }


def smoothed(path: Path, frames: int = 15) -> Path:
    """The path by a moving cubic (Savitzky & Golay 1964): what a smoother baseline follows."""
    frames = min(frames, (len(path) - 1) // 2 * 2 + 1)
    position, mean = (np.asarray(savgol_filter(a, frames, 3, axis=0)) for a in (path.position, path.rotation))
    left, _, right = np.linalg.svd(mean)  # the rotation nearest to a mean of rotations
    return Path(position, left @ right, path.period)


def measures(arm: str, chain: Chain, motion: Motion, shown: Shown) -> dict[str, float]:
    """position_mm, rotation_deg: medians of the tool's error to what was seen. displacement: mean way of a joint [rad].
    jerk: RMS [rad/s^3]. likeness: see `JointMap`. limits_broken, collisions: frames."""
    q, period = motion.q, shown.tip.period
    position, rotation = Refiner(chain).errors(q, shown.tip)
    low, high = chain.limits
    return {
        "position_mm": float(np.median(position) * 1e3),
        "rotation_deg": float(np.degrees(np.median(rotation))),
        "displacement": float(np.abs(np.diff(q, axis=0)).sum(0).mean()),
        "jerk": float(np.sqrt((np.diff(q, 3, axis=0) ** 2).mean()) / period**3),
        "likeness": joint_map(arm).likeness(q, angles(shown.arm)),
        "limits_broken": float(((q < low - 1e-9) | (q > high + 1e-9)).any(1).sum()),
        "collisions": float(colliding(chain, q).sum()),
    }


def against(chain: Chain, motion: Motion, true: Path) -> dict[str, float]:
    """Medians of the tool's error to where the fingers really were."""
    position, rotation = Refiner(chain).errors(motion.q, true)
    return {
        "true_position_mm": float(np.median(position) * 1e3),
        "true_rotation_deg": float(np.degrees(np.median(rotation))),
    }


def alone(arm: str, chain: Chain, shown: Shown, path: Path) -> Motion:
    """The tool along `path`, and no thought of how the person's joints moved."""
    q = end_effector_only(chain, path, np.array(joint_map(arm).home))
    return Motion(q, *Refiner(chain).errors(q, shown.tip))
