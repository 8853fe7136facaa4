"""Read an answer of GVL. Frames go by their number, never by their place; an answer that does not fit is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from vgps_models.errors import VgpsError
from vgps_models.progress.chat import Answer
from vgps_models.progress.estimate import Floats

LONGEST = 200_000  # characters of an answer that are searched for JSON
TAGS = r"(?:think|thinking|thought|thoughts|reasoning|reflection)"
THINKING_BEGINS, THINKING_ENDS = (
    re.compile(rf"<{slash}{TAGS}>|\u25c1{slash}think\u25b7", re.IGNORECASE) for slash in ("", "/")
)


class AnswerError(VgpsError):
    """An answer that cannot be used; the message says why, in words that the model can be told."""


def read(answer: Answer, frames: int) -> Floats:
    """Completion of frames 1 .. `frames` as fractions. Shape (frames,). Raises AnswerError.

    The answer is the last JSON object of the text that has every frame once; prose, Markdown fences and a thinking
    block around it do not matter. What a model writes while it thinks counts only where nothing follows.
    """
    if answer.refusal or answer.finish == "content_filter":
        raise AnswerError(f"refused: {answer.refusal or answer.text.strip() or 'content filter'}"[:200])
    cut = answer.finish == "length"
    said = _after_thinking(answer.text)
    found = _objects(said) or ([] if cut else _objects(answer.text))
    if cut:  # the parts of an object that does not end are no answer
        found = [data for data in found if "frames" in data]
    if not found:
        if cut:
            raise AnswerError("cut off at the limit of tokens; max_output_tokens sets it, and thinking counts too")
        if not answer.text.strip():
            raise AnswerError(f"the answer is empty (finish_reason {answer.finish!r})")
        raise AnswerError(f"no JSON object in the answer, which says: {' '.join(answer.text.split())[:120]!r}")
    reason: AnswerError | None = None
    for data in reversed(found):
        try:
            return _values(data, frames)
        except AnswerError as error:
            reason = reason or error
    assert reason is not None
    raise reason


def _values(data: dict[str, Any], frames: int) -> Floats:
    entries = data.get("frames")
    if not isinstance(entries, list):
        raise AnswerError("no object with a list 'frames'")
    values = np.full(frames, np.nan)
    for entry in entries:
        number, completion = _entry(entry)
        if not 1 <= number <= frames:
            raise AnswerError(f"frame {str(number)[:40]} was not asked for; they are 1 to {frames}")
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


def _after_thinking(text: str) -> str:
    """Without the thinking block that some models begin with; empty where that block does not end."""
    text = THINKING_ENDS.split(text)[-1]
    return THINKING_BEGINS.split(text, maxsplit=1)[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text, in their order; objects inside of others are not listed by themselves.

    Objects with a list 'frames' alone where there is one: what a model cites or remarks besides is not its answer.
    """
    decoder, found, at = json.JSONDecoder(), list[dict[str, Any]](), text.find("{")
    while 0 <= at < LONGEST:
        try:
            data, end = decoder.raw_decode(text, at)
            found.append(data)
        except ValueError:
            end = at + 1
        except RecursionError:
            break
        at = text.find("{", end)
    return [data for data in found if isinstance(data.get("frames"), list)] or found
