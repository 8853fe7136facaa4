"""How typical each candidate is of the policy that proposed it."""

from __future__ import annotations

import numpy as np

from vgps_models.spaces import Array


def kernel_log_density(chunks: Array) -> Array:
    """Leave-one-out kernel density of every chunk among the others, up to a constant. Shape (K,).

    chunks: normalised, (K, H, 7). Gaussian kernel whose width is the median distance of two chunks, so the
    estimate has no unit and no setting, and judges candidates of a sure and of an unsure policy alike. It needs
    nothing of the policy but its samples. A chunk far from all others, which is where a critic is asked about
    what it has not learned, gets the lowest values; and the more candidates there are, the further out the
    furthest lies, so the pull to the middle grows with K as the need for it does.
    """
    k = len(chunks)
    if k < 3:
        return np.zeros(k)  # of two, neither is more typical
    flat = chunks.reshape(k, -1)
    square = (flat**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0.0)  # squared
    width = np.median(distance[~np.eye(k, dtype=bool)])
    if width <= 1e-12:
        return np.zeros(k)  # most are the same
    exponent = -distance / (2 * width)
    np.fill_diagonal(exponent, -np.inf)
    top = exponent.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(exponent - top).sum(axis=1) / (k - 1))
