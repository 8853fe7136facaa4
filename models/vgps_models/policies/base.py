"""What every policy is: one method from an observation to K chunks."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from vgps_models.spaces import ActionSpec, Array, Normaliser, Observation


class Proposal(NamedTuple):
    """What a policy proposes for one moment.

    chunks: metres and radians. Shape (K, H, 7).
    log_prob: log density with which the policy drew each chunk, in normalised units, before clipping.
        Comparable within one proposal only. Shape (K,); None for an architecture that cannot tell.
    """

    chunks: Array
    log_prob: Array | None = None


class Policy(Protocol):
    """A frozen generalist. What it returns is executable as it is: scored == executed."""

    spec: ActionSpec
    normaliser: Normaliser

    def sample(self, observation: Observation, k: int) -> Proposal:
        """K chunks, and how likely each was.

        Depends on the observation and its key alone; the first chunk is the
        same for every k.
        """
        ...
