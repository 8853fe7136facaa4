"""How near two float32 results of one formula must be, whatever order a processor adds in."""

from __future__ import annotations

from typing import Any

import numpy as np

EPS = 2.0**-23  # of float32


def near(found: Any, expected: Any, *, roundings: int = 1000, scale: float = 0.0) -> bool:
    """Whether all numbers agree to so many roundings of float32, relative to the largest of them or to `scale`.

    Processors differ in which sums they split and which products they fuse, so a number that went through n
    roundings may be off by n times EPS of the largest that was added. The networks of these tests are a few layers
    of at most some hundred sums each. scale: for differences of larger numbers, the size of those.
    """
    one, two = (np.asarray(x.detach() if hasattr(x, "detach") else x, np.float64) for x in (found, expected))
    one, two = np.broadcast_arrays(one, two)
    size = max(scale, float(np.abs(two).max(initial=0.0)))
    return bool((np.abs(one - two) <= roundings * EPS * size).all())
