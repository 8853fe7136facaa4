"""What is true of recorded frames, by the simulator's privileged poses: facts that words can be put to.

Such truth exists in simulation only. It says which sentences fit a frame while an image-text model trains; no
model ever reads it. Facts are degrees between 0 (false) and 1 (true); NaN where it is neither, such as a spoon
half off its towel: nothing is taught there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgps_models.data import Columns
from vgps_models.data.sampling import last_frames, success_frames
from vgps_models.errors import DataError

# The columns of `Columns.environment_state` as the simulator records them; base frame [m], [rad].
STATE_NAMES = (
    "object_x", "object_y", "object_z", "target_x", "target_y", "target_z", "object_yaw", "held",
    "distractor_x", "distractor_y", "distractor_z",
)  # fmt: skip
LIFTED, GRIPPED = 0.025, 0.02  # [m] above where it lay at first: off the table, and surely in a hand
REACHED = 0.03  # [m] from the tool to the object's middle
MISSED = 0.7  # how far along it is when the object was let go, and has not come to rest where it belongs
AWAY = 0.2  # [m] a hand or a thing that is farther off than this is no nearer for being a bit less far

Degrees = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Who is who in a task's scenes. reach: half size of the goal [m]. height: of an object on it, at most [m]."""

    object: str
    target: str
    distractor: str
    reach: float
    height: float


SCENES: Mapping[str, Scene] = {
    "put_spoon_on_towel": Scene("spoon", "towel", "green_block", 0.055, 0.02),
    "put_carrot_on_plate": Scene("carrot", "plate", "eggplant", 0.05, 0.025),
    "stack_green_block_on_yellow_block": Scene("green_block", "yellow_block", "carrot", 0.02, 0.046),
    "put_eggplant_in_basket": Scene("eggplant", "basket", "spoon", 0.058, 0.035),
}


@dataclass(frozen=True, eq=False)
class Facts:
    """Of N frames, each of shape (N,). object and target are those of the frame's own task.

    done: how far along the task is. near: the hand is at the object, not holding it. held: the hand holds the
    object. lifted: and off the table. above: and over the target. on: the object lies on the target. beside: the
    object lies elsewhere. other_held: the hand holds the distractor. empty: the hand holds nothing.
    """

    done: Degrees
    near: Degrees
    held: Degrees
    lifted: Degrees
    above: Degrees
    on: Degrees
    beside: Degrees
    other_held: Degrees
    empty: Degrees

    @classmethod
    def of(cls, columns: Columns) -> Facts:
        """Raises DataError for data without the simulator's poses, or of tasks that no scene is known of."""
        poses = columns.environment_state.astype(np.float64)
        if poses.shape[1] != len(STATE_NAMES):
            raise DataError(
                f"the data set has {poses.shape[1]} privileged numbers a frame, not the {len(STATE_NAMES)} of the "
                "simulator; captions need simulated episodes, as `vgps collect` makes them"
            )
        tasks = np.array(columns.instruction_tasks)[columns.instruction]
        if unknown := sorted(set(tasks) - set(SCENES)):
            raise DataError(f"no scene is known of the tasks {unknown}; captions are made for {sorted(SCENES)}")
        reach, height = (
            np.array([getattr(SCENES[t], name) for t in columns.instruction_tasks])[columns.instruction]
            for name in ("reach", "height")
        )
        thing, target, other, tool = poses[:, :3], poses[:, 3:6], poses[:, 8:11], columns.state[:, :3]
        first = columns.bounds[columns.episode]
        held = poses[:, 7] > 0.5
        up = thing[:, 2] - thing[first, 2]
        apart = np.linalg.norm(thing[:, :2] - target[:, :2], axis=1)
        far = np.linalg.norm(thing - tool, axis=1)
        low = thing[:, 2] - target[:, 2] < height
        # The episode would have ended if what lies there were where it belongs.
        on = np.where(~held & (_both(_less(apart, reach), low) != 0), np.nan, _both(_less(apart, reach), low))
        other_held = _both(~held, _more(other[:, 2] - other[first, 2], GRIPPED))
        lifted = _both(held, _more(up, LIFTED))
        ended = success_frames(columns) & (last_frames(columns) == np.arange(len(columns)))  # by the very next step
        found = {
            "done": np.where(ended, 1.0, _done(far, apart, up, held, reach)),
            "near": _both(~held, _less(far, REACHED)),
            "held": held,
            "lifted": lifted,
            "above": _both(lifted, _less(apart, reach)),
            "on": np.where(ended, 1.0, on),
            "beside": np.where(ended, 0.0, _both(_both(~held, 1 - on), _less(np.abs(up), LIFTED))),
            "other_held": other_held,
            "empty": _both(~held, 1 - other_held),
        }
        return cls(**{name: degree.astype(np.float32) for name, degree in found.items()})


def _done(far: np.ndarray, apart: np.ndarray, up: np.ndarray, held: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Reach, grasp, lift, carry, lower, let go: a third of it is the hand's way, the rest the object's."""
    over = apart < reach
    rising = np.where(over, 1.0, np.clip(up / 0.06, 0, 1))  # over its goal it must come down again
    sinking = over * (1 - np.clip(up / 0.08, 0, 1))
    carrying = 0.4 + 0.1 * rising + 0.3 * (1 - np.clip(apart / AWAY, 0, 1)) + 0.15 * sinking
    reaching = 0.35 * (1 - np.clip(far / AWAY, 0, 1))
    return np.where(held, carrying, np.where(over, MISSED, reaching))


def _both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What is false stays false, whatever is known of the other."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.where((a == 0) | (b == 0), 0.0, a * b)


def _less(x: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """1 below, 0 above, NaN in between: from .8 to 1.25 of the limit."""
    return np.where(x < 0.8 * limit, 1.0, np.where(x > 1.25 * limit, 0.0, np.nan))


def _more(x: np.ndarray, limit: float) -> np.ndarray:
    return 1.0 - _less(x, limit)
