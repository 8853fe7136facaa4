"""Rotations about one axis."""

from __future__ import annotations

import numpy as np

from vgps_models.spaces import Array


def turned(yaw: float) -> Array:
    """Rotation about the vertical, shape (3, 3)."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def about_x(angle: float) -> Array:
    """Rotation about the x axis, shape (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
