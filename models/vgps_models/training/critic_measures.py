"""How good a critic is on episodes it did not learn from: ranking and calibration. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.data import Columns
from vgps_models.data.sampling import last_frames, success_frames

BINS = 10
NOTE = (
    "predicted: the critic's Q of what was done. observed: the return that followed, exact in a success. A failure "
    "was cut off by the clock, so its return lies between never succeeding (never) and succeeding on the next step "
    "(at_most). Q is the value of going on better than the data did, so it may well lie above what was observed."
)


def calibration(q: NDArray, columns: Columns, rows: NDArray, gamma: float) -> dict[str, Any]:
    """Predicted against Monte-Carlo return, in bins of the prediction. q: of the frames `rows`. Shape (n,).

    Every bin: bounds, and for successes and failures apart the count and the means. "error" is the mean
    distance of prediction and observation over the bins of successes, weighted by count; "bias" the
    mean prediction minus the mean observation there.
    """
    never = -1.0 / (1.0 - gamma)
    won = success_frames(columns)[rows]
    remaining = (last_frames(columns) - np.arange(len(columns)))[rows].astype(float)
    exact = -(1.0 - gamma**remaining) / (1.0 - gamma)  # the action on the last frame succeeds and costs nothing
    at_most = -(1.0 - gamma ** (remaining + 1)) / (1.0 - gamma)  # it failed, and cost as much as the others
    edges = np.linspace(never, 0.0, BINS + 1)
    where = np.clip(np.digitize(q, edges) - 1, 0, BINS - 1)
    bins, error = [], 0.0
    for i in range(BINS):
        good, bad = (where == i) & won, (where == i) & ~won
        row: dict[str, Any] = {"from": float(edges[i]), "to": float(edges[i + 1])}
        row["successes"] = {"count": int(good.sum())}
        row["failures"] = {"count": int(bad.sum())}
        if good.any():
            row["successes"] |= {"predicted": float(q[good].mean()), "observed": float(exact[good].mean())}
            error += float(abs((q - exact)[good].mean()) * good.sum() / won.sum())
        if bad.any():
            row["failures"] |= {
                "predicted": float(q[bad].mean()),
                "never": never,
                "at_most": float(at_most[bad].mean()),
            }
        bins.append(row)
    bias = float((q - exact)[won].mean()) if won.any() else 0.0
    return {"note": NOTE, "gamma": gamma, "frames": len(rows), "error": error, "bias": bias, "bins": bins}
