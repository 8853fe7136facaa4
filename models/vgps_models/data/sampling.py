"""What learners make of the frames: action chunks, chunk-level transitions, wrong instructions, splits.

Rewards follow V-GPS (arXiv 2410.13816): -1 a step, 0 on the step that succeeds,
which ends the episode with value 0. So every value lies in [-1 / (1 - gamma), 0].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgps_models.data.store import Columns
from vgps_models.spaces import GRIPPER

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def action_chunks(columns: Columns, horizon: int) -> Floats:
    """The actions t .. t + H - 1 from every frame t on. Shape (N, H, 7).

    Past the end of the episode the arm stays: no displacement, and the gripper as it was last.
    """
    steps, last = _steps(columns, horizon)
    chunks = columns.actions[np.minimum(steps, last)].copy()
    chunks[steps > last, :GRIPPER] = 0.0
    return chunks


def chunk_padding(columns: Columns, horizon: int) -> Bools:
    """Which steps of `action_chunks` lie past the end of their episode. Shape (N, H)."""
    steps, last = _steps(columns, horizon)
    return steps > last


def _steps(columns: Columns, horizon: int) -> tuple[Ints, Ints]:
    """Frame index of every step of every chunk (N, H), and of the last frame of its episode (N, 1)."""
    return np.arange(len(columns))[:, None] + np.arange(horizon), last_frames(columns)[:, None]


def last_frames(columns: Columns) -> Ints:
    """For every frame the last one of its episode. Shape (N,)."""
    return columns.bounds[1:][columns.episode] - 1


def succeeded(columns: Columns) -> Bools:
    """Whether each episode ended in success. Shape (M,)."""
    return columns.success[columns.bounds[1:] - 1]


def success_frames(columns: Columns) -> Bools:
    """Frames of successful episodes: the data of filtered cloning. Shape (N,)."""
    return succeeded(columns)[columns.episode]


@dataclass(frozen=True, eq=False)
class Transitions:
    """What followed n steps of every frame; target = reward + discount * value[following]. N frames."""

    usable: Bools  # (N,) false for the last frame of a failure: nothing is known of what followed
    reward: Floats  # (N,) discounted sum over the steps that were made
    discount: Floats  # (N,) gamma ** (steps made), or 0 when they ended in success
    following: Ints  # (N,) the frame that was reached
    mc_return: Floats  # (N,) discounted sum to the end of the episode, and beyond after a failure


def transitions(columns: Columns, horizon: int, gamma: float) -> Transitions:
    """Transitions of whole chunks of `horizon` steps.

    A success within the chunk ends it. A failure is an episode that was cut off by
    the clock, not ended: its last chunks bootstrap from its last frame, over as many
    steps as there are. Its Monte-Carlo return cannot know what would have followed
    and takes the worst, failing for ever: -1 / (1 - gamma). A true return is never
    lower, so it may serve as the lower bound that Cal-QL asks for.
    """
    _require(horizon, gamma)
    index, last = np.arange(len(columns)), last_frames(columns)
    won = succeeded(columns)[columns.episode]
    remaining = last - index  # steps to the last frame; one action more to the end
    ended = won & (remaining < horizon)
    steps = np.minimum(remaining, horizon)  # that cost -1: all but the one that succeeds
    power = gamma ** steps.astype(np.float64)
    to_end = (1.0 - gamma ** remaining.astype(np.float64)) / (1.0 - gamma)
    return Transitions(
        usable=ended | (steps > 0),
        reward=(-(1.0 - power) / (1.0 - gamma)).astype(np.float32),
        discount=np.where(ended, 0.0, power).astype(np.float32),
        following=index + steps,
        mc_return=np.where(won, -to_end, -1.0 / (1.0 - gamma)).astype(np.float32),
    )


def _require(horizon: int, gamma: float) -> None:
    if not 0.0 < gamma < 1.0 or horizon < 1:
        raise ValueError(f"gamma is {gamma} and horizon {horizon}; expected 0 < gamma < 1 and horizon >= 1")


def rewarded(columns: Columns, horizon: int, gamma: float, rewards: Floats) -> Transitions:
    """Transitions of whole chunks under a reward of every frame (N,), in [-1, 0], that knows of no outcome.

    Whatever an episode ends in, it stays there: the last frame's reward goes on for ever. So nothing is cut off, every
    frame is usable, and returns are exact for that way of ending.
    """
    _require(horizon, gamma)
    if rewards.shape != (len(columns),) or not np.isfinite(rewards).all() or rewards.min() < -1 or rewards.max() > 0:
        raise ValueError(f"rewards {rewards.shape} of {len(columns)} frames must be finite and within [-1, 0]")
    index, last = np.arange(len(columns)), last_frames(columns)
    remaining, rows = last - index, rewards.astype(np.float64)
    ahead = np.empty(len(columns) + 1)  # returns, from behind
    for frame in reversed(range(len(columns))):
        ahead[frame] = rows[frame] / (1 - gamma) if remaining[frame] == 0 else rows[frame] + gamma * ahead[frame + 1]
    returns = ahead[:-1]
    ended = remaining < horizon
    following = np.where(ended, last, index + horizon)
    power = gamma ** float(horizon)
    return Transitions(
        usable=np.ones(len(columns), bool),
        reward=np.where(ended, returns, returns - power * returns[following]).astype(np.float32),
        discount=np.where(ended, 0.0, power).astype(np.float32),
        following=following,
        mc_return=returns.astype(np.float32),
    )


def wrong_instructions(columns: Columns, seed: int = 0) -> Ints:
    """For every frame one instruction of another task; the same one throughout an episode. Shape (N,).

    With a single task there is none: then the right one comes back, and no frame may be used as a negative.
    """
    random = np.random.Generator(np.random.PCG64([seed, 5]))
    tasks = np.array(columns.instruction_tasks)
    own = columns.instruction[columns.bounds[:-1]]
    chosen = own.copy()
    for episode, instruction in enumerate(own):
        others = np.flatnonzero(tasks != tasks[instruction])
        if len(others):
            chosen[episode] = random.choice(others)
    return chosen[columns.episode]


def split_episodes(columns: Columns, fraction: float, seed: int = 0) -> tuple[Bools, Bools]:
    """Frames to train on and frames of held-out episodes; never both of one episode. Shapes (N,), (N,)."""
    count = len(columns.bounds) - 1
    held = max(1, round(count * fraction)) if count > 1 else 0
    order = np.random.Generator(np.random.PCG64([seed, 3])).permutation(count)
    out = np.isin(columns.episode, order[:held])
    return ~out, out
