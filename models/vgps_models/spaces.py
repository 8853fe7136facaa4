"""What passes between the rooms: actions, observations, chunks and decisions.

An action is seven numbers a control step: tool displacement in the arm's base
frame [m], rotation vector in the base frame [rad], gripper 0 closed .. 1 open.
The action that is trained on, scored and executed is the same one, because the
one `Normaliser` travels with the `ActionSpec` inside every checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import SpecError

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

ACTION_NAMES = ("dx", "dy", "dz", "rx", "ry", "rz", "gripper")
PROPRIO_NAMES = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32", "gripper")
GRIPPER = 6


@dataclass(frozen=True)
class ActionSpec:
    """What an action of this arm means and how large it may be."""

    arm: str = "widowx_ai"
    control_hz: float = 5.0  # control steps a second
    horizon: int = 4  # steps in a chunk, H
    max_translation: float = 0.03  # [m] a step
    max_rotation: float = 0.25  # [rad] a step
    names: tuple[str, ...] = ACTION_NAMES

    @property
    def period(self) -> float:
        """Duration of one control step [s]."""
        return 1.0 / self.control_hz

    @property
    def low(self) -> Array:
        """Smallest executable action. Shape (7,)."""
        return np.array([-self.max_translation] * 3 + [-self.max_rotation] * 3 + [0.0])

    @property
    def high(self) -> Array:
        """Largest executable action. Shape (7,)."""
        return np.array([self.max_translation] * 3 + [self.max_rotation] * 3 + [1.0])

    def clip(self, action: Array) -> Array:
        """Shorten to the limits; directions are kept. Shape (..., 7).

        Translation and rotation are scaled as vectors, so that a step that is
        too long still points where it was meant to. The gripper becomes 0 or 1.
        """
        action = np.array(action, dtype=np.float64)
        for part, limit in ((slice(0, 3), self.max_translation), (slice(3, 6), self.max_rotation)):
            length = np.linalg.norm(action[..., part], axis=-1, keepdims=True)
            action[..., part] *= np.minimum(1.0, limit / np.maximum(length, 1e-12))
        action[..., GRIPPER] = (action[..., GRIPPER] >= 0.5).astype(np.float64)
        return action

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"names": list(self.names)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ActionSpec:
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise SpecError(f"action spec has unknown fields {sorted(unknown)}; known: {sorted(known)}")
        return cls(**{**data, "names": tuple(data.get("names", ACTION_NAMES))})

    def require_equal(self, other: ActionSpec, *, mine: str, theirs: str) -> None:
        """Refuse to mix two specs, naming every field that differs."""
        a, b = self.to_json(), other.to_json()
        if different := [f"{k}: {a[k]} != {b[k]}" for k in a if a[k] != b[k]]:
            raise SpecError(f"{mine} and {theirs} disagree about the action ({'; '.join(different)})")


@dataclass(frozen=True)
class Normaliser:
    """Affine map of actions [low, high] <-> [-1, 1], per dimension.

    Bounds come from the data set. Not clipped: what lies outside the bounds is
    mapped outside [-1, 1], so that the round trip is exact everywhere.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, float), np.asarray(self.high, float)
        if low.shape != high.shape or low.ndim != 1:
            raise SpecError(f"normaliser bounds have shapes {low.shape} and {high.shape}; expected two equal (A,)")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (high - low > 1e-9).all()):
            raise SpecError("normaliser bounds must be finite with high > low in every dimension")

    @classmethod
    def from_actions(cls, actions: Array, spec: ActionSpec) -> Normaliser:
        """Bounds that hold all of `actions` (N, 7); the gripper keeps 0..1."""
        low, high = actions.min(axis=0).astype(float), actions.max(axis=0).astype(float)
        thin = high - low < 1e-4
        low[thin], high[thin] = spec.low[thin], spec.high[thin]
        low[GRIPPER], high[GRIPPER] = 0.0, 1.0
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    def normalise(self, action: Array) -> Array:
        low, high = np.asarray(self.low), np.asarray(self.high)
        return (np.asarray(action, float) - low) / (high - low) * 2.0 - 1.0

    def denormalise(self, action: Array) -> Array:
        low, high = np.asarray(self.low), np.asarray(self.high)
        return (np.asarray(action, float) + 1.0) / 2.0 * (high - low) + low

    def to_json(self) -> dict[str, Any]:
        return {"low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Normaliser:
        return cls(tuple(data["low"]), tuple(data["high"]))

    def require_equal(self, other: Normaliser, *, mine: str, theirs: str) -> None:
        for name in ("low", "high"):
            a, b = getattr(self, name), getattr(other, name)
            if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=1e-9):
                raise SpecError(f"{mine} and {theirs} disagree about normaliser.{name} ({a} != {b})")


@dataclass(frozen=True, eq=False)
class Observation:
    """What a controller may see at one moment.

    images: camera name -> (height, width, 3) uint8 RGB.
    proprio: tool pose in the base frame and gripper, `PROPRIO_NAMES`. Shape (10,).
        Position [m], first two columns of the rotation matrix, gripper 0..1.
    instruction: what to do, in words.
    stamp: [s] on the clock of the world that made it.
    key: (episode seed, control step) names this moment, so that anything drawn
        at random for it is the same in every process.
    """

    images: Mapping[str, Image]
    proprio: NDArray[np.float32]
    instruction: str
    stamp: float = 0.0
    key: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Decision:
    """What a controller chose and why.

    chunk: the chosen actions, in metres and radians. Shape (H, 7).
    candidates: what it chose from. Shape (K, H, 7).
    mean, std: the critic's scores over its heads, NaN for a candidate that was dropped; empty when nothing was
        scored. Shape (K,).
    chosen: index of the chunk among the candidates; -1 when it is none of them.
    doubt: how far the critic's heads disagree about what was chosen [score]; 0 when nothing was scored.
    abstained: the doubt was too large, so the chunk is the policy's first sample.
    dropped: candidates that held NaN or infinity.
    ms: wall-clock milliseconds by part ("policy", "value", "encode").
    """

    chunk: Array
    candidates: Array
    mean: Array = field(default_factory=lambda: np.zeros(0))
    std: Array = field(default_factory=lambda: np.zeros(0))
    chosen: int = 0
    ms: Mapping[str, float] = field(default_factory=dict)
    doubt: float = 0.0
    abstained: bool = False
    dropped: int = 0


Controller = Callable[[Observation], Decision]


def noise(key: tuple[int, int], shape: tuple[int, ...], stream: int = 0) -> NDArray[np.float32]:
    """Standard normal numbers that depend on the moment alone.

    The first k rows are the same whatever the number of rows, so the bare
    policy's one sample is the guided policy's first candidate.
    """
    seed, step = key
    generator = np.random.Generator(np.random.PCG64([abs(int(seed)), int(step), stream]))
    return generator.standard_normal(shape, dtype=np.float64).astype(np.float32)


__all__ = [
    "ACTION_NAMES",
    "GRIPPER",
    "PROPRIO_NAMES",
    "ActionSpec",
    "Array",
    "Controller",
    "Decision",
    "Image",
    "Normaliser",
    "Observation",
    "noise",
]
