"""Statistics of features in the form LeRobot reads: min, max, mean, std, count and five quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.spaces import Image

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
PIXEL_STRIDE = 4  # image statistics come from every fourth pixel in each direction

Stats = dict[str, list[Any]]


def vector_stats(values: NDArray[Any]) -> Stats:
    """Exact statistics of (N, d) or (N,) numbers, over N; each entry has shape (d,), count (1,)."""
    values = np.asarray(values, np.float64).reshape(len(values), -1)
    stats: dict[str, NDArray[Any]] = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
    }
    stats |= dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True))
    return {name: value.tolist() for name, value in stats.items()}


def image_stats(frames: Image) -> Stats:
    """Per-channel statistics in 0..1 of (T, height, width, 3) images; each entry has shape (3, 1, 1)."""
    pixels = frames[:, ::PIXEL_STRIDE, ::PIXEL_STRIDE].reshape(-1, 3)
    levels = np.arange(256) / 255.0
    counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])
    share = counts / len(pixels)
    mean = share @ levels
    cumulative = np.cumsum(share, axis=1)
    stats: dict[str, NDArray[Any]] = {
        "min": pixels.min(axis=0) / 255.0,
        "max": pixels.max(axis=0) / 255.0,
        "mean": mean,
        "std": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0.0)),
    }
    stats |= {name: levels[(cumulative >= q - 1e-12).argmax(axis=1)] for name, q in QUANTILES.items()}
    return {name: value.reshape(3, 1, 1).tolist() for name, value in stats.items()} | {"count": [len(frames)]}


def pool(parts: Sequence[Stats]) -> Stats:
    """Statistics of the union. Exact but for the quantiles, which are the weighted means of the parts'."""
    weight = np.array([part["count"][0] for part in parts], np.float64)

    def average(values: NDArray[Any]) -> NDArray[Any]:
        return np.tensordot(weight / weight.sum(), values, axes=1)

    arrays = {name: np.array([part[name] for part in parts]) for name in parts[0] if name != "count"}
    mean = average(arrays["mean"])
    variance = average(arrays["std"] ** 2 + (arrays["mean"] - mean) ** 2)
    pooled = {
        "min": arrays["min"].min(axis=0),
        "max": arrays["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
    } | {name: average(arrays[name]) for name in QUANTILES}
    return {name: value.tolist() for name, value in pooled.items()} | {"count": [int(weight.sum())]}
