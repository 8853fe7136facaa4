"""Points found in a picture."""

from __future__ import annotations

from dataclasses import dataclass

from vgps_models.spaces import Array


@dataclass(frozen=True, eq=False)
class Located:
    """pixels (K, 2), right and down from the middle of the upper left one [px]; confidence (K,) 0..1 of being seen."""

    pixels: Array
    confidence: Array
