"""How cameras stand to each other, as bags tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.spaces import Array


def pose_of(turn: Array, position: Sequence[float]) -> Array:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = turn, position
    return made


def turn_of(x: float, y: float, z: float, w: float) -> Array:
    """Rotation (3, 3) of a quaternion, in the order of ROS; NaN of zeros, which is how unfilled ones are written."""
    return Rotation.from_quat([x, y, z, w]).as_matrix() if any((x, y, z, w)) else np.full((3, 3), np.nan)


def between(edges: Iterable[tuple[str, str, Array]], of: str, within: str) -> Array | None:
    """Pose (4, 4) of one frame in another; None when they do not hang together.

    edges: (parent, child, pose of the child in its parent), as /tf_static has them.
    """
    above = {child: (parent, pose) for parent, child, pose in edges}

    def root(name: str) -> tuple[str, Array]:
        """And the pose in it. A circle, which no tree has, ends where it began."""
        pose, passed = np.eye(4), set[str]()
        while name in above and name not in passed:
            passed.add(name)
            name, step = above[name]
            pose = step @ pose
        return name, pose

    (one, pose_of_one), (other, pose_of_other) = root(of), root(within)
    return np.linalg.inv(pose_of_other) @ pose_of_one if one == other else None
