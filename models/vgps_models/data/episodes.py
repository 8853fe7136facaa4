"""One recorded episode, and the names under which its parts are stored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgps_models.errors import DataError
from vgps_models.spaces import ACTION_NAMES, PROPRIO_NAMES, Image

STATE = "observation.state"
JOINTS = "observation.joints"
# Not called "observation.*": LeRobot's policies take `observation.environment_state` as an input, and a robot has none.
ENVIRONMENT_STATE = "privileged.environment_state"
OLD_ENVIRONMENT_STATE = "observation.environment_state"  # of data sets that were recorded before; read as the new key
ACTION = "action"
# Not called "action.*": LeRobot takes every key that starts so for an output of its policies.
COMMANDED = "commanded_action"
DONE, SUCCESS, FLAWED = "next.done", "next.success", "flawed"
IMAGE_PREFIX = "observation.images."

JOINT_NAMES = ("joint_0", "joint_1", "joint_2", "joint_3", "joint_4", "joint_5", "gripper")
VECTOR_NAMES: dict[str, tuple[str, ...] | None] = {
    STATE: PROPRIO_NAMES,
    JOINTS: JOINT_NAMES,
    ENVIRONMENT_STATE: None,
    ACTION: ACTION_NAMES,
    COMMANDED: ACTION_NAMES,
}
FLAGS = (DONE, SUCCESS, FLAWED)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Key = tuple[str, int]  # (task id, seed) names an episode


def episode_name(key: Key) -> str:
    """`put_spoon_on_towel-00000042`: the episode's name in files and messages."""
    task_id, seed = key
    return f"{task_id}-{seed:08d}"


@dataclass(frozen=True, eq=False)
class Episode:
    """T control steps of one attempt at one task. Frame t holds what was seen before action t.

    images: camera name -> (T, height, width, 3) uint8 RGB.
    proprio: tool pose in the base frame and gripper, `spaces.PROPRIO_NAMES`. Shape (T, 10).
    joints: measured joint positions [rad] and gripper 0..1. Shape (T, 7).
    actions: what was executed, after clipping: metres, radians, gripper 0..1. Shape (T, 7).
        Stored as float32; execute float32-rounded actions to make a replay bit-exact.
    instruction: the sentence given. task_id, seed: together they name the episode.
    success: whether the last action ended in success.
    environment_state: privileged simulator poses, for auxiliary losses only, never an input. Shape (T, E), E >= 0.
    commanded: what was asked for before clipping; the executed actions when not given. Shape (T, 7).
    flawed: an injected flaw was active at that step. Shape (T,).
    flaw: names of its flaws joined by "+", "" when there was none. events: event -> first step at which it held.
    quality: the kind of data asked for ("mixed", "expert", "human"). layout_hash: of the initial scene.
    """

    images: Mapping[str, Image]
    proprio: Floats
    joints: Floats
    actions: Floats
    instruction: str
    task_id: str
    seed: int
    success: bool
    environment_state: Floats | None = None
    commanded: Floats | None = None
    flawed: Bools | None = None
    flaw: str = ""
    events: Mapping[str, int] = field(default_factory=dict)
    quality: str = ""
    layout_hash: str = ""

    def __post_init__(self) -> None:
        steps = len(self.actions)
        name = episode_name((self.task_id, self.seed))
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.task_id) or self.seed < 0:
            raise DataError(f"episode {name}: a task id is letters, digits and _, a seed is >= 0")
        if not self.instruction or not steps or not self.images:
            raise DataError(f"episode {name} needs an instruction, at least one step and at least one camera")
        state = np.zeros((steps, 0)) if self.environment_state is None else self.environment_state
        commanded = self.actions if self.commanded is None else self.commanded
        width = np.shape(state)[-1] if np.ndim(state) == 2 else -1
        for attribute, value, columns in (
            ("proprio", self.proprio, len(PROPRIO_NAMES)),
            ("joints", self.joints, len(JOINT_NAMES)),
            ("actions", self.actions, len(ACTION_NAMES)),
            ("commanded", commanded, len(ACTION_NAMES)),
            ("environment_state", state, width),
        ):
            object.__setattr__(self, attribute, _vectors(name, attribute, value, (steps, columns)))
        flawed = np.zeros(steps, bool) if self.flawed is None else np.asarray(self.flawed, bool)
        if flawed.shape != (steps,):
            raise DataError(f"episode {name}: flawed has shape {flawed.shape}; expected {(steps,)}")
        object.__setattr__(self, "flawed", flawed)
        images = {camera: np.ascontiguousarray(frames) for camera, frames in sorted(self.images.items())}
        for camera, frames in images.items():
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[0] != steps or frames.shape[3] != 3:
                raise DataError(
                    f"episode {name}: camera '{camera}' has {frames.dtype} {frames.shape}; "
                    f"expected uint8 ({steps}, height, width, 3)"
                )
            if frames.shape[1] % 2 or frames.shape[2] % 2:
                raise DataError(f"episode {name}: camera '{camera}' must have an even height and width")
        object.__setattr__(self, "images", images)

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def key(self) -> Key:
        return self.task_id, self.seed

    @property
    def name(self) -> str:
        return episode_name(self.key)

    def vectors(self) -> dict[str, Floats]:
        """Data-set key -> (T, d) float32, without the environment state when that is empty."""
        named = {
            STATE: self.proprio,
            JOINTS: self.joints,
            ENVIRONMENT_STATE: self.environment_state,
            ACTION: self.actions,
            COMMANDED: self.commanded,
        }
        return {key: value for key, value in named.items() if value is not None and value.shape[1]}

    def flags(self) -> dict[str, Bools]:
        """Data-set key -> (T,) bool."""
        last = np.arange(len(self)) == len(self) - 1
        return {DONE: last, SUCCESS: last & self.success, FLAWED: np.asarray(self.flawed)}

    def images_hash(self) -> str:
        """sha256 over the images as they were rendered, so it does not depend on a video encoder."""
        digest = hashlib.sha256()
        for camera, frames in self.images.items():
            digest.update(f"{camera}{frames.shape}".encode())
            digest.update(frames.data)
        return digest.hexdigest()


def _vectors(name: str, attribute: str, value: ArrayLike, shape: tuple[int, int]) -> Floats:
    array = np.ascontiguousarray(value, dtype=np.float32)
    if array.shape != shape:
        raise DataError(f"episode {name}: {attribute} has shape {array.shape}; expected {shape}")
    if not np.isfinite(array).all():
        bad = sorted({int(row) for row in np.argwhere(~np.isfinite(array))[:, 0]})
        raise DataError(f"episode {name}: {attribute} is not finite at steps {bad[:5]}")
    return array


def example_episode(
    seed: int = 0,
    *,
    task_id: str = "put_spoon_on_towel",
    instruction: str = "put the spoon on the towel",
    steps: int = 12,
    size: int = 32,
    success: bool | None = None,
) -> Episode:
    """A small made-up episode, the same for the same arguments: a green square of size / 32 pixels drifts by."""
    random = np.random.Generator(np.random.PCG64([seed, steps]))
    images: dict[str, Image] = {}
    for number, camera in enumerate(("front", "wrist")):
        frames = np.empty((steps, size, size, 3), np.uint8)
        frames[:] = np.linspace(60, 160, size, dtype=np.uint8)[:, None, None] + np.uint8(20 * number)
        side = max(2, size // 32 * 4)
        corner = random.integers(0, size - side, 2)
        for step in range(steps):
            row, column = (corner + step) % (size - side)
            frames[step, row : row + side, column : column + side] = (30, 190, 60)
        images[camera] = frames
    actions = random.uniform(-0.02, 0.02, (steps, 7))
    actions[:, 6] = np.arange(steps) < steps // 2
    return Episode(
        images=images,
        proprio=random.normal(size=(steps, 10)).astype(np.float32),
        joints=random.normal(size=(steps, 7)).astype(np.float32),
        actions=actions.astype(np.float32),
        instruction=instruction,
        task_id=task_id,
        seed=seed,
        success=bool(seed % 2) if success is None else success,
        environment_state=random.normal(size=(steps, 6)).astype(np.float32),
        flawed=np.arange(steps) % 5 == 1,
        flaw="missed_grasp" if seed % 3 == 0 else "",
        events={"grasped": 0, "lifted": steps // 2},
        quality="mixed",
        layout_hash=f"{seed:04x}",
    )
