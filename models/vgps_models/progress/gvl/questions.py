"""The question of GVL: the first frame as 0 %, known examples, and shuffled frames by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.progress.chat import Message, Picture, Prompt
from vgps_models.progress.estimate import Clip, Example

Parts = list[str | Picture]
VERSION = 1  # raise it when the words change; it is part of every question's hash
ROLE = (
    "You judge how far a robot or a person has come with a task, from single pictures. Completion is a whole number of "
    "percent: 0 before anything was done, 100 when the task is done. It may fall when progress is undone."
)


def shuffle(frames: int, seed: int) -> NDArray[np.intp]:
    """Order in which the frames after the first are shown. Shape (frames - 1,), values 1 .. frames - 1."""
    return 1 + np.random.Generator(np.random.PCG64([seed, 11])).permutation(frames - 1)


def moments(clip: Clip) -> list[Parts]:
    """What shows each moment of a clip. Encoded once for all orders."""
    return clip.shown(Picture.of)


def examples(context: Sequence[Example]) -> Parts:
    """Known episodes, to be put before every question."""
    parts: Parts = []
    for i, example in enumerate(context):
        shown = moments(example.clip)
        parts += [f"Example {i + 1}. Task: {example.clip.task}.", "Its first frame, 0 % complete:", *shown[0]]
        for t in shuffle(len(example.clip), 1000 + i):
            parts += [f"A frame that is {100 * example.values[t]:.0f} % complete:", *shown[t]]
    return parts


def question(
    task: str, shown: Sequence[Parts], order: NDArray[np.intp], before: Parts, *, describe: bool, draw: int
) -> Prompt:
    """Frame number i + 1 of the question is moment order[i]. shown: `moments`; before: `examples`."""
    parts: Parts = [*before, f"Task: {task}.", "The first frame, 0 % complete:", *shown[0]]
    parts.append(f"The following {len(order)} frames of the same episode are in random order.")
    for i, t in enumerate(order):
        parts += [f"Frame {i + 1}:", *shown[t]]
    last = "describe what has been done so far in one short sentence, then give" if describe else "give"
    parts.append(
        f"For each of the frames 1 to {len(order)} {last} its completion of the task in percent. Answer in JSON with "
        "one entry a frame, named by the number above it."
    )
    messages = [Message("system", [ROLE]), Message("user", parts)]
    return Prompt(messages, schema(len(order), describe), f"completion_{VERSION}", draw)


def schema(frames: int, describe: bool) -> dict[str, Any]:
    """JSON schema of an answer: exactly one entry a frame."""
    entry: dict[str, Any] = {"frame": {"type": "integer", "minimum": 1, "maximum": frames}}
    if describe:
        entry["description"] = {"type": "string"}
    entry["completion"] = {"type": "integer", "minimum": 0, "maximum": 100}
    item = {"type": "object", "properties": entry, "required": list(entry), "additionalProperties": False}
    frame_list = {"type": "array", "items": item, "minItems": frames, "maxItems": frames}
    return {
        "type": "object",
        "properties": {"frames": frame_list},
        "required": ["frames"],
        "additionalProperties": False,
    }
