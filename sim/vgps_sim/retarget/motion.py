"""A person's motion on an arm: mapped joint by joint, then refined as a whole."""

from __future__ import annotations

from dataclasses import replace

import mink
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from vgps_models.spaces import Array
from vgps_sim.retarget.collisions import colliding
from vgps_sim.retarget.human import angles
from vgps_sim.retarget.maps import joint_map
from vgps_sim.retarget.refine import Chain, Motion, Path, Refiner, Weights
from vgps_sim.retarget.shown import Shown

RAISE, RAISES = 0.006, 12  # [m] by which a tool is raised at a time, and how often at most
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
    for t in range(len(path)):
        rotation = mink.SO3.from_matrix(path.rotation[t])
        task.set_target(mink.SE3.from_rotation_and_translation(rotation, path.position[t]))
        for _ in range(60 if t == 0 else 8):
            velocity = mink.solve_ik(configuration, [task], 1.0, "daqp", 1e-6, limits=limits)
            configuration.integrate_inplace(velocity, 1.0)
            error = task.compute_error(configuration)
            if np.abs(error[:3]).max() < 2e-4 and np.abs(error[3:]).max() < 2e-3:
                break
        made[t] = configuration.q[at]
    return made
