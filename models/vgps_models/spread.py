"""How measured values are spread, as results tell it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vgps_models.spaces import Array


def percentiles(values: Array, which: Sequence[int] = (50, 90), digits: int = 3) -> dict[str, float]:
    """`{"p50": ..., "p90": ...}`, rounded. Empty of nothing."""
    return {f"p{q}": round(float(np.percentile(values, q)), digits) for q in which} if len(values) else {}
