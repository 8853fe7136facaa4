"""Pictures as a pinhole camera would have taken them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vgps_models.errors import MissingDependencyError, SpecError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Image

# Of Brown and Conrady, five coefficients. librealsense names three variants of it, and projects all of them this way.
MODELS = ("brown conrady", "inverse brown conrady", "modified brown conrady", "plumb_bob")
NONE = ("none", "")


def straightener(camera: Intrinsics, model: str, coefficients: Sequence[float]) -> Callable[[Image], Image] | None:
    """What takes the lens's distortion out of pictures of `camera`; None when there is none.

    Raises SpecError for a model of distortion that is not known, when its coefficients are not all 0.
    """
    if not any(coefficients) or model.lower() in NONE:
        return None
    if model.lower() not in MODELS or len(coefficients) != 5:
        raise SpecError(
            f"pictures are distorted by '{model}' with {len(coefficients)} coefficients; five of {', '.join(MODELS)} "
            "can be taken out"
        )
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            f"taking distortion out needs OpenCV ({error}): pip install 'vgps[hands]'"
        ) from error
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    size = camera.width, camera.height
    maps = cv2.initUndistortRectifyMap(matrix, np.array(coefficients), np.eye(3), matrix, size, cv2.CV_32FC1)
    return lambda image: cv2.remap(image, *maps, cv2.INTER_LINEAR).astype(np.uint8, copy=False)
