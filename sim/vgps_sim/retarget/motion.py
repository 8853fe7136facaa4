"""A person's motion on an arm: mapped joint by joint, then refined as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from vgps_models.spaces import Array
from vgps_sim.retarget.collisions import colliding
from vgps_sim.retarget.human import angles
from vgps_sim.retarget.maps import joint_map
from vgps_sim.retarget.refine import Chain, Motion, Path, Refiner, Weights
from vgps_sim.retarget.shown import Shown

RAISE, RAISES = 0.003, 40  # [m] by which a tool is raised at a time, and how often at most
NEAREST = 0.10  # [m] between the tool and the axis of the arm's base
STEP = 0.025, 0.3  # [m] and [rad] of the tool at a time, on the way to where a motion begins
BEGINNINGS, REACHED = 4, 0.01  # frames that are tried as the first, until none is farther off than this [m]
AROUND = 0.12  # [s] to either side in which that happens gently


def retarget(arm: str, chain: Chain, shown: Shown, weights: Weights | None = None) -> Motion:
    """The person's motion on the arm: mapped joint by joint, then refined until the tool is where the fingers were.

    Where it would touch the table or its own base it stays above or before it, farther from the fingers.
    """
    mapped = joint_map(arm)(angles(shown.arm))
    refiner, path = Refiner(chain, weights), _beside_base(shown.tip)
    start = _within_reach(refiner, path, mapped)
    posture = mapped + (start - mapped).mean(0)  # how the person moves counts, not how they sit
    motion = refiner.solve(path, posture, start=start)
    for _ in range(RAISES):
        if not (hit := colliding(chain, motion.q)).any():
            break
        path = _raised(path, hit)
        motion = refiner.solve(path, posture, start=motion.q)
    return Motion(motion.q, *refiner.errors(motion.q, shown.tip))


def _beside_base(path: Path) -> Path:
    """Nowhere above the arm's own base: forward of it instead."""
    position = path.position.copy()
    least = np.sqrt(np.maximum(NEAREST**2 - position[:, 1] ** 2, 0.0))
    over = np.abs(position[:, 1]) < NEAREST
    position[over, 0] = np.maximum(position[over, 0], least[over])
    return replace(path, position=position)


def _raised(path: Path, hit: NDArray[np.bool_]) -> Path:
    """A little higher where the arm touched something, and gently so before and after."""
    frames = max(1, round(AROUND / path.period))
    lift = gaussian_filter1d(maximum_filter1d(hit.astype(np.float64), 4 * frames + 1), frames)
    position = path.position.copy()
    position[:, 2] += RAISE * lift
    return replace(path, position=position)


def _within_reach(refiner: Refiner, path: Path, mapped: Array) -> Array:
    """Joints (T, n) from which the search sets out: by inverse kinematics, from a frame that the arm can reach.

    Beyond its reach an arm bends the wrong way, and stays like that when it could reach again.
    """
    best, least = mapped, np.inf
    for first in dict.fromkeys(len(path) * part // BEGINNINGS for part in range(BEGINNINGS)):
        q = end_effector_only(refiner.chain, path, mapped[first], first)
        off = refiner.errors(q, path)[0]
        if off.mean() < least:
            best, least = q, off.mean()
        if off.max() < REACHED:
            break
    return best


def end_effector_only(chain: Chain, path: Path, start: Array, first: int = 0) -> Array:
    """Joints (T, n) by inverse kinematics frame by frame, from the frame `first` to the end, then to the beginning.

    start (n,): joints from which the tool goes to that frame.
    """
    configuration = mink.Configuration(chain.model)
    task = mink.FrameTask(chain.site, "site", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-4)
    limits = [mink.ConfigurationLimit(chain.model)]
    at = [int(chain.model.joint(name).qposadr[0]) for name in chain.joints]
    made = np.empty((len(path), len(at)))
    site = chain.model.site(chain.site).id
    q = np.zeros(chain.model.nq)
    for begin, frames in ((start, range(first, len(path))), (made[first], range(first - 1, -1, -1))):
        q[at] = begin
        configuration.update(q)
        for t, position, rotation in _targets(configuration.data, site, path, frames):
            task.set_target(mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rotation), position))
            for _ in range(8):
                velocity = mink.solve_ik(configuration, [task], 1.0, "daqp", 1e-6, limits=limits)
                configuration.integrate_inplace(velocity, 1.0)
                error = task.compute_error(configuration)
                if np.abs(error[:3]).max() < 2e-4 and np.abs(error[3:]).max() < 2e-3:
                    break
            if t is not None:
                made[t] = configuration.q[at]
    return made


def _targets(data: mujoco.MjData, site: int, path: Path, frames: range) -> Iterator[tuple[int | None, Array, Array]]:
    """These frames of a path, and before them the way to the first, in steps so short that the arm keeps its branch."""
    if not frames:
        return
    here, turned, first = data.site_xpos[site].copy(), data.site_xmat[site].reshape(3, 3).copy(), frames[0]
    way = path.position[first] - here
    turn = Rotation.from_matrix(path.rotation[first] @ turned.T).as_rotvec()
    steps = int(np.ceil(max(np.linalg.norm(way) / STEP[0], np.linalg.norm(turn) / STEP[1], 1.0)))
    for fraction in np.arange(1, steps + 1) / steps:
        yield None, here + fraction * way, Rotation.from_rotvec(fraction * turn).as_matrix() @ turned
    yield from ((t, path.position[t], path.rotation[t]) for t in frames)
