"""A camera's pose as one word that a ROS parameter can hold. Knows no ROS."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.spaces import Array


def pose_of(text: str) -> Array:
    """ "x y z qx qy qz qw" of a camera in the arm's base frame, as ROS writes poses -> (4, 4). The camera's x is to the
    right, y down, z forward."""
    try:
        numbers = np.array([float(word) for word in text.split()])
        rotation = Rotation.from_quat(numbers[3:])
    except ValueError as error:
        raise SpecError(
            f"the camera's pose is '{text}'; give seven numbers, 'x y z qx qy qz qw' in the arm's base frame"
        ) from error
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.as_matrix(), numbers[:3]
    return pose


def pose_text(pose: Array) -> str:
    """What `pose_of` reads."""
    numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
    return " ".join(repr(float(number)) for number in numbers)
