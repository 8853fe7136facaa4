"""Read an answer of GVL. Frames go by their number, never by their place; what does not fit is refused, not mended."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from vgps_models.errors import VgpsError
from vgps_models.progress.chat import Answer
from vgps_models.progress.estimate import Floats


class AnswerError(VgpsError):
    """An answer that cannot be used; the message says why, in words that the model can be told."""


def read(answer: Answer, frames: int) -> Floats:
    """Completion of frames 1 .. `frames` as fractions. Shape (frames,). Raises AnswerError."""
    if answer.refusal or answer.finish == "content_filter":
        raise AnswerError(f"refused: {answer.refusal or 'content filter'}"[:200])
    try:
        data = json.loads(_unfenced(answer.text))
    except ValueError as error:
        cut = "cut off at the limit of tokens" if answer.finish == "length" else f"no JSON ({error})"
        raise AnswerError(cut) from None
    entries = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise AnswerError("no object with a list 'frames'")
    values = np.full(frames, np.nan)
    for entry in entries:
        number, completion = _entry(entry)
        if not 1 <= number <= frames:
            raise AnswerError(f"frame {number} was not asked for; they are 1 to {frames}")
        if not np.isnan(values[number - 1]):
            raise AnswerError(f"frame {number} is there twice")
        values[number - 1] = completion / 100.0
    if missing := (1 + np.flatnonzero(np.isnan(values))).tolist():
        raise AnswerError(f"frames are missing: {', '.join(map(str, missing))}")
    return values


def _entry(entry: Any) -> tuple[int, float]:
    if not isinstance(entry, dict) or "frame" not in entry or "completion" not in entry:
        raise AnswerError("an entry without 'frame' or 'completion'")
    number, completion = entry["frame"], entry["completion"]
    if isinstance(number, bool) or not isinstance(number, int):
        raise AnswerError(f"frame {str(number)[:40]!r} is no whole number")
    if isinstance(completion, bool) or not isinstance(completion, (int, float)) or not 0 <= completion <= 100:
        raise AnswerError(f"the completion of frame {number} is {str(completion)[:40]!r}, not a number from 0 to 100")
    return number, float(completion)


def _unfenced(text: str) -> str:
    """Without the Markdown fence that some servers put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text.split("\n", 1)[1][: -len("```")]
    return text
