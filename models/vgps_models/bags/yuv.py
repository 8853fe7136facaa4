"""Pictures in YUV 4:2:2, as webcams and RealSense send them: two pixels share their colour."""

from __future__ import annotations

import numpy as np

from vgps_models.spaces import Array, Image

# Where in four bytes the first Y, U and V are; as ROS calls it, and as librealsense does where that differs.
ORDERS = {
    "yuv422": (1, 0, 2), "uyvy": (1, 0, 2),
    "yuv422_yuy2": (0, 1, 3), "yuyv": (0, 1, 3), "YUYV": (0, 1, 3),
}  # fmt: skip


def rgb_of_yuv(rows: Image, encoding: str) -> Image:
    """rows (h, w * 2) uint8, w even -> (h, w, 3) RGB. By ITU-R BT.601 with Y from 16 to 235."""
    first, u, v = ORDERS[encoding]
    y = 1.164383 * np.maximum(rows[:, first::2].astype(np.float32) - 16, 0)
    u, v = (np.repeat(rows[:, at::4].astype(np.float32) - 128, 2, axis=1) for at in (u, v))
    rgb: Array = np.stack([y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u], -1)
    return rgb.round().clip(0, 255).astype(np.uint8)
