"""Read the body of a chat completion, whichever way an endpoint writes it: one object, or a stream of events."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vgps_models.progress.chat.words import decode, is_html, reason, words_of

MOST_TOKENS = 10_000_000  # of one request; a larger count is not believed
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length")
FILTERED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "content_filtered")


class NoCompletionError(ValueError):
    """A body that holds no chat completion. The message is what the endpoint says; status: the one that it names."""

    def __init__(self, words: str, status: int | None = None) -> None:
        super().__init__(words)
        self.status = status


class BrokenOffError(NoCompletionError):
    """An answer that began and did not end: it may be charged all the same."""


@dataclass(frozen=True)
class Reply:
    """One completion. reasoning: what the model thought before it answered, where the endpoint keeps the two apart.

    finish: "stop", "length", "content_filter" or another word of the endpoint. usage: as it was sent, {} for none.
    logprobs: as they were sent, None for none.
    """

    text: str
    reasoning: str
    refusal: str
    finish: str
    usage: Mapping[str, Any]
    logprobs: Any = None

    def tokens(self, prompt_tokens: int) -> tuple[int, int, bool]:
        """Input and output tokens, and whether any of the two is an estimate.

        A count that is missing, negative, no number or 0 is estimated: the input as `prompt_tokens`, the output as one
        token for four characters of the answer and of the reasoning, at least 1. Where a total is given, it holds:
        what it exceeds the known counts by is output (some endpoints leave thinking out of the output alone).
        """
        given_in = _count(self.usage, "prompt_tokens", "input_tokens")
        given_out = _count(self.usage, "completion_tokens", "output_tokens")
        total = _count(self.usage, "total_tokens")
        written = max(1, math.ceil(len(self.text + self.reasoning + self.refusal) / 4))
        if given_in and given_out:
            return given_in, max(given_out, total - given_in), False
        if total and given_in:
            return given_in, max(1, total - given_in), total <= given_in
        if total and given_out:
            return max(1, total - given_out), given_out, total <= given_out
        if total:
            output = min(total, written)
            return max(0, total - output), output, True
        return given_in or prompt_tokens, given_out or written, True


def read_reply(body: bytes, content_type: str = "") -> Reply:
    """Raises NoCompletionError with the endpoint's words when there is no completion in the body."""
    try:
        return _read(decode(body).strip(), content_type)
    except RecursionError:
        raise NoCompletionError("JSON that is nested too deeply") from None


def _read(text: str, content_type: str) -> Reply:
    if "event-stream" in content_type.lower() or text.startswith(("data:", "event:", ":", "id:", "retry:")):
        return _completion(_streamed(text))
    if not text or is_html(text, content_type):
        raise NoCompletionError(words_of(text.encode(), content_type))
    try:
        data = json.loads(text)
    except ValueError:
        if text.startswith(("{", "[")):
            raise BrokenOffError(f"JSON that breaks off or is damaged, ending in {text[-60:]!r}") from None
        raise NoCompletionError(text) from None
    if isinstance(data, list) and len(data) == 1:  # as some put it around an error
        data = data[0]
    return _completion(data)


def _completion(data: Any) -> Reply:
    choices = data.get("choices") if isinstance(data, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else None
    if choice is None or _error_in(choice, "message"):
        raise _no_completion(choice if choice is not None else data)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        if not isinstance(choice.get("text"), str):
            raise _no_completion(data)
        message = {"content": choice["text"]}
    text, thought, refused = _content(message.get("content"))
    thought += _content(message.get("reasoning_content") or message.get("reasoning"))[0]
    refused += _content(message.get("refusal"))[0]
    finish = str(choice.get("finish_reason") or "stop").lower()
    finish = "length" if finish in CUT_OFF else "content_filter" if finish in FILTERED else finish
    if not text.strip() and not refused and finish == "stop":
        text = thought  # servers that take the whole answer for thinking leave the content empty
    usage = data.get("usage")
    return Reply(text, thought, refused, finish, usage if isinstance(usage, Mapping) else {}, choice.get("logprobs"))


def _content(content: Any) -> tuple[str, str, str]:
    """(answer, thinking, refusal) in a message's content: a string, or a list of parts of several types."""
    if isinstance(content, str):
        return content, "", ""
    if isinstance(content, Mapping):
        return _part(content)
    if not isinstance(content, list):
        return "", "", ""
    parts = [_content(part) for part in content]
    return "".join(p[0] for p in parts), "".join(p[1] for p in parts), "".join(p[2] for p in parts)


def _part(part: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(part.get("type", "text")).lower()
    if kind == "refusal":
        return "", "", str(part.get("refusal") or part.get("text") or "")
    if any(word in kind for word in ("think", "reason")):
        inner = next((part[name] for name in ("thinking", "reasoning", "text", "content") if part.get(name)), "")
        said, thought, _ = _content(inner)
        return "", said + thought, ""
    inner = part.get("text") or part.get("content")
    if isinstance(inner, Mapping):  # {"type": "text", "text": {"value": ...}}
        inner = inner.get("value")
    return _content(inner)


def _streamed(text: str) -> dict[str, Any]:
    """The events of a stream put together as one completion."""
    content: dict[str, list[Any]] = {"content": [], "reasoning_content": [], "refusal": []}
    logprobs: list[Any] = []
    finish, usage, ended, begun = None, None, False, False
    for event in _events(text):
        if event == "[DONE]":
            ended = True
            break
        try:
            data = json.loads(event)
        except ValueError:
            continue  # the event that was cut off: what is missing then is the end
        choices = data.get("choices") if isinstance(data, Mapping) else None
        if not isinstance(choices, list):
            if reason(data):
                raise _no_completion(data)
            continue
        usage = data.get("usage") or usage
        for choice in choices[:1]:
            if not isinstance(choice, Mapping):
                continue
            if _error_in(choice, "delta", "message") or isinstance(choice.get("message"), Mapping):
                return dict(data)
            begun, finish = True, choice.get("finish_reason") or finish
            delta = choice.get("delta")
            if isinstance(delta, Mapping):
                for name, collected in content.items():
                    said = delta.get(name) or (delta.get("reasoning") if name == "reasoning_content" else None)
                    collected.append(said)
            if isinstance(choice.get("logprobs"), Mapping):
                logprobs += choice["logprobs"].get("content") or []
    if not begun:
        raise NoCompletionError(text or "an empty body")
    if not ended and finish is None:
        raise BrokenOffError("a stream of events that breaks off before its end")
    message = {name: [part for part in collected if part] for name, collected in content.items()}
    return {
        "choices": [{"message": message, "finish_reason": finish, "logprobs": {"content": logprobs}}],
        "usage": usage,
    }


def _events(text: str) -> Iterable[str]:
    """The data of each server-sent event; lines of one event are put together, comments are left out."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("data:"):
            lines.append(line[5:].strip())
        elif not line.strip() and lines:
            yield "\n".join(lines)
            lines = []


def _error_in(choice: Mapping[str, Any], *but_for: str) -> bool:
    """Whether a choice holds an error in the place of an answer."""
    said = any(isinstance(m := choice.get(name), Mapping) and m.get("content") for name in but_for)
    return bool(choice.get("error")) and not said


def _no_completion(data: Any) -> NoCompletionError:
    inner = data.get("error") if isinstance(data, Mapping) else None
    status = None
    for place in (inner, data):
        for name in ("code", "status", "status_code"):
            value = place.get(name) if isinstance(place, Mapping) else None
            if str(value).isdigit() and 400 <= int(str(value)) < 600:
                status = status or int(str(value))
    return NoCompletionError(reason(data) or f"no chat completion, but {json.dumps(data)}", status)


def _count(usage: Mapping[str, Any], *names: str) -> int:
    """The first of these counts that can be believed; 0 for none."""
    for name in names:
        value = usage.get(name)
        try:
            number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
        except (ValueError, OverflowError):
            continue
        if 0 < number <= MOST_TOKENS:
            return math.ceil(number)
    return 0
