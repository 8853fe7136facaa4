"""The One-Euro filter (Casiez et al. 2012): still where a hand is still, quick where it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vgps_models.errors import DataError, SpecError
from vgps_models.spaces import Array


@dataclass(frozen=True)
class OneEuroConfig:
    cutoff: float = 1.5  # [Hz] of a signal at rest: lower trembles less
    speed: float = 8.0  # [Hz] more for each unit a second: higher lags less
    derivative: float = 1.0  # [Hz] cut-off of the speed itself

    def __post_init__(self) -> None:
        if min(self.cutoff, self.derivative) <= 0 or self.speed < 0:
            raise SpecError(f"{self}: cut-offs are above 0 and speed is at least 0")


class OneEuro:
    """Filters points (K, D) as they come. Those that are unknown (NaN) stay so, and begin anew when they come back."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self.config = config or OneEuroConfig()
        self._seconds = 0.0
        self._value: Array | None = None
        self._speed: Array | None = None

    def __call__(self, points: Array, seconds: float) -> Array:
        """points (K, D) at a time [s], later than the last. Raises DataError when it is not, or the shape changed."""
        if self._value is None or self._speed is None:
            self._value, self._speed, self._seconds = points.copy(), np.zeros_like(points), seconds
            return points.copy()
        step = seconds - self._seconds
        if points.shape != self._value.shape or not step > 0:
            raise DataError(
                f"points {points.shape} {step:.4f} s after {self._value.shape}; expected the same shape, and later"
            )
        c = self.config
        fresh = ~np.isfinite(self._value) | ~np.isfinite(self._speed)
        speed = np.where(fresh, 0.0, (points - self._value) / step)
        self._speed = _mix(self._speed, speed, _share(c.derivative, step), fresh)
        # One cut-off for all numbers of a point, or it would bend the path.
        length = np.linalg.norm(np.nan_to_num(self._speed), axis=-1, keepdims=True)
        self._value = _mix(self._value, points, _share(c.cutoff + c.speed * length, step), fresh)
        self._seconds = seconds
        return self._value.copy()


def _share(cutoff: Array | float, step: float) -> Array | float:
    """How much of a new value counts, for a first-order low pass at `cutoff` [Hz] and a step [s]."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))


def _mix(old: Array, new: Array, share: Array | float, fresh: np.ndarray) -> Array:
    return np.where(fresh, new, old + share * (new - old))
