"""YUV as webcams send it, against OpenCV."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.bags.yuv import ORDERS, rgb_of_yuv

cv2 = pytest.importorskip("cv2")
THEIRS = dict.fromkeys(("yuv422", "uyvy"), cv2.COLOR_YUV2RGB_UYVY)
THEIRS |= dict.fromkeys(("yuv422_yuy2", "yuyv", "YUYV"), cv2.COLOR_YUV2RGB_YUY2)


@pytest.mark.parametrize("encoding", ORDERS)
def test_it_is_what_opencv_makes_of_it(encoding):
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 2), dtype=np.uint8)
    made = rgb_of_yuv(picture.reshape(12, 32), encoding)
    assert made.shape == (12, 16, 3) and made.dtype == np.uint8
    assert np.abs(made.astype(int) - cv2.cvtColor(picture, THEIRS[encoding])).max() <= 1
