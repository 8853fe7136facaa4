"""What every policy is: one method from an observation to K chunks."""

from __future__ import annotations

from typing import Protocol

from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation


class Policy(Protocol):
    """A frozen generalist. What it returns is executable as it is: scored == executed."""

    spec: ActionSpec
    normaliser: Normaliser

    def sample(self, observation: Observation, k: int) -> Array:
        """K chunks in metres and radians. Shape (K, H, 7).

        Depends on the observation and its key alone; the first chunk is the
        same for every k.
        """
        ...
