"""Whatever a body, a header or a page holds is read, or refused in words that can be printed."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.progress.chat.limits import retry_after_s
from vgps_models.progress.chat.reply import NoCompletionError, read_reply
from vgps_models.progress.chat.words import LONGEST, hide, shorten, shown_url, words_of

NAMES = st.sampled_from(
    ["choices", "message", "content", "type", "text", "thinking", "reasoning_content", "refusal", "finish_reason",
     "usage", "total_tokens", "prompt_tokens", "error", "detail", "code", "status", "delta", "logprobs"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=5), max_leaves=25)
KINDS = st.sampled_from(["application/json", "text/event-stream", "text/html", "text/plain", ""])
COMPLETIONS = VALUES.map(lambda v: {"choices": [{"message": v, "finish_reason": "stop"}], "usage": v})
BODIES = (
    st.binary(max_size=200)
    | (VALUES | COMPLETIONS).map(lambda v: json.dumps(v).encode())
    | st.lists(VALUES).map(lambda v: "".join(f"data: {json.dumps(e)}\n\n" for e in v).encode())
)


@given(BODIES, KINDS, st.integers(1, 5000))
def test_every_body_is_a_reply_or_a_refusal(body, kind, prompt_tokens):
    try:
        reply = read_reply(body, kind)
    except NoCompletionError as error:
        assert error.status is None or 400 <= error.status < 600
    else:
        used_in, used_out, estimated = reply.tokens(prompt_tokens)
        assert isinstance(reply.text, str) and reply.finish and used_in >= 0 and used_out >= 0
        assert estimated or (used_in > 0 and used_out > 0)


@given(st.binary(max_size=300) | VALUES.map(lambda v: json.dumps(v).encode()), KINDS)
def test_every_body_has_words_that_can_be_printed(body, kind):
    words = shorten(words_of(body, kind))
    assert words.isprintable() and len(words) <= LONGEST


@given(st.text(min_size=4, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_key_is_hidden_wherever_it_stands(key, before, after):
    assert key not in hide(f"{before}{key}{after}", key) or key in "***" or key.lower() in f"{before}***{after}".lower()


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text(max_size=12)), st.floats(0, 4e9))
def test_a_wait_is_a_time_or_nothing(headers, now):
    wait = retry_after_s(headers, now)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


@pytest.mark.parametrize(
    "headers, wait",
    [
        ({"retry-after": "90"}, 90.0), ({"retry-after": "1.5"}, 1.5), ({"retry-after": "-4"}, 0.0), ({}, None),
        ({"retry-after-ms": "250", "retry-after": "90"}, 0.25), ({"retry-after": "inf"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 01:00:00 GMT"}, 3590.0), ({"retry-after": "1 Jan 1970 00:00:40"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0), ({"retry-after": "tomorrow"}, None),
    ],
)  # fmt: skip
def test_retry_after_in_all_its_forms(headers, wait):
    assert retry_after_s(headers, now=10.0) == wait


def test_a_url_is_shown_without_its_secrets():
    assert shown_url("https://me:secret@models.example:8443/v1/?key=sk-1#x") == "https://models.example:8443/v1"
