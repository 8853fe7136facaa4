"""Why an attempt brought no answer, whether another one can help, and what the user can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vgps_models.progress.chat.limits import retry_after_s
from vgps_models.progress.chat.reply import BrokenOffError, NoCompletionError
from vgps_models.progress.chat.words import words_of

TRANSIENT = (408, 409, 425, 429)  # and all from 500 on
EXHAUSTED = re.compile(r"insufficient_quota|billing|credit balance|out of credits", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """words: the endpoint's own, or those of the connection. status: of HTTP, or the one that the body names.

    final: whether asking again cannot help. wait_s: what the endpoint asks to wait [s], None for nothing.
    lost: whether the endpoint may have done, and may charge, what did not arrive.
    """

    words: str
    status: int | None = None
    final: bool = False
    wait_s: float | None = None
    lost: bool = False


def refusal(error: Exception) -> Refusal:
    """error: of openai, of its HTTP library, or NoCompletionError. Raises anything else again."""
    if isinstance(error, NoCompletionError):
        return _judged(str(error), error.status, None, lost=isinstance(error, BrokenOffError))
    response: Any = getattr(error, "response", None)
    if response is not None and getattr(error, "status_code", None):
        headers = response.headers
        words = words_of(_body(response), headers.get("content-type", ""))
        return _judged(words, int(response.status_code), retry_after_s(headers))
    import openai

    if isinstance(error, openai.APITimeoutError):
        cause = type(error.__cause__).__name__
        return Refusal(f"no answer in time ({cause})", lost=not cause.startswith(("Connect", "Pool")))
    cause = error.__cause__ or error.__context__ or error
    module = type(cause).__module__.partition(".")[0]
    if isinstance(error, openai.OpenAIError) or module in ("httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio"):
        return Refusal(f"no connection, or it was lost: {cause}")
    raise error


def advice(failed: Refusal, base_url: str, key_env: str, model: str) -> str:
    """What to do about it, empty where there is nothing but to wait. base_url: as it is shown."""
    path = urlsplit(base_url).path
    versioned = any(re.fullmatch(r"v\d+\w*", part) for part in path.split("/"))
    if re.search(r"/(chat/)?completions$", path):
        return f"give the base URL without /chat/completions: {re.sub(r'/(chat/)?completions$', '', base_url)}"
    not_there = failed.status in (404, 405) or (failed.status is None and failed.words.startswith("an HTML page"))
    if not_there and not versioned:
        return f"did you mean {base_url}/v1?"
    if failed.status == 404:
        return f"does the endpoint serve the model '{model}'?"
    if failed.status in (401, 403):
        return f"check the key in the environment variable {key_env}"
    if failed.status == 402 or EXHAUSTED.search(failed.words):
        return f"the account of the key in {key_env} has no credit left"
    if failed.status == 413:
        return "ask with fewer frames"
    if failed.status in (400, 422) and re.search(r"response_format|json_schema|schema", failed.words):
        return "for a server that knows no JSON schemas set strict to false"
    if failed.words.startswith("no connection"):
        return "is the server running, and is the address right?"
    return ""


def _judged(words: str, status: int | None, wait_s: float | None, *, lost: bool = False) -> Refusal:
    refused = status is not None and status < 500 and status not in TRANSIENT
    final = refused or (status == 429 and bool(EXHAUSTED.search(words)))
    words = words if status is None or final else f"{status} {words}"
    return Refusal(words, status, final, wait_s, lost)


def _body(response: Any) -> bytes:
    try:
        return bytes(response.content)
    except Exception:  # the HTTP library's own, for a body that was not read
        return b""
