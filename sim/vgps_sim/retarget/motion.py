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

RAISE, RAISES = 0.003, 16  # [m] by which a tool is raised at a time, and how often at most
STEP = 0.025, 0.3  # [m] and [rad] of the tool at a time, on the way to where a motion begins
AROUND = 0.12  # [s] to either side in which that happens gently


def retarget(arm: str, chain: Chain, shown: Shown, weights: Weights | None = None) -> Motion:
    """The person's motion on the arm: mapped joint by joint, then refined until the tool is where the fingers were.

    Where it would touch the table it stays above, farther from the fingers.
    """
    mapped = joint_map(arm)(angles(shown.arm))
    start = end_effector_only(chain, shown.tip, mapped[0])
    posture = mapped + (start - mapped).mean(0)  # how the person moves counts, not how they sit
    refiner, path = Refiner(chain, weights), shown.tip
    motion = refiner.solve(path, posture, start=start)
    for _ in range(RAISES):
        if not (hit := colliding(chain, motion.q)).any():
            break
        path = _raised(path, hit)
        motion = refiner.solve(path, posture, start=motion.q)
    return Motion(motion.q, *refiner.errors(motion.q, shown.tip))


def _raised(path: Path, hit: NDArray[np.bool_]) -> Path:
    """A little higher where the arm touched something, and gently so before and after."""
    frames = max(1, round(AROUND / path.period))
    lift = gaussian_filter1d(maximum_filter1d(hit.astype(np.float64), 4 * frames + 1), frames)
    position = path.position.copy()
    position[:, 2] += RAISE * lift
    return replace(path, position=position)


def end_effector_only(chain: Chain, path: Path, start: Array) -> Array:
    """Joints (T, n) by inverse kinematics frame by frame, each from the one before."""
    configuration = mink.Configuration(chain.model)
    task = mink.FrameTask(chain.site, "site", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-4)
    limits = [mink.ConfigurationLimit(chain.model)]
    at = [int(chain.model.joint(name).qposadr[0]) for name in chain.joints]
    q = np.zeros(chain.model.nq)
    q[at] = start
    configuration.update(q)
    made = np.empty((len(path), len(at)))
    site = chain.model.site(chain.site).id
    for t, position, rotation in _targets(configuration.data, site, path):
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


def _targets(data: mujoco.MjData, site: int, path: Path) -> Iterator[tuple[int | None, Array, Array]]:
    """The frames of a path, and before them the way to the first, in steps so short that the arm keeps its branch."""
    here, turned = data.site_xpos[site].copy(), data.site_xmat[site].reshape(3, 3).copy()
    turn = Rotation.from_matrix(path.rotation[0] @ turned.T).as_rotvec()
    steps = int(np.ceil(max(np.linalg.norm(path.position[0] - here) / STEP[0], np.linalg.norm(turn) / STEP[1], 1.0)))
    for fraction in np.arange(1, steps + 1) / steps:
        partly = Rotation.from_rotvec(fraction * turn).as_matrix() @ turned
        yield None, here + fraction * (path.position[0] - here), partly
    yield from ((t, path.position[t], path.rotation[t]) for t in range(len(path)))
