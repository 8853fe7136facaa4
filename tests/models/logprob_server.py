"""The local endpoint of vlm_server, answering TOPReward's question with log-probabilities from known truth.

The truth of a question is that of its last JPEG. Faults of the model, besides those of the endpoint: see `_complete`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from typing import Any

import numpy as np
from vlm_server import Server

OTHER = 0.04  # probability of all words but True and False


class LogprobServer(Server):
    """noise: standard deviation of the log-odds."""

    def _complete(self, body: dict[str, Any], fault: str, number: int) -> dict[str, Any]:
        value = min(max(self.truth[digests(body)[-1]], 1e-9), 1 - 1e-9)
        odds = value / (1 - value) * math.exp(self.noise * np.random.default_rng(number).standard_normal())
        true, false = (1 - OTHER) * odds / (1 + odds), (1 - OTHER) / (1 + odds)
        listed = [("True", 0.6 * true), (" True", 0.3 * true), ("TRUE", 0.1 * true), ("False", 0.7 * false)]
        listed += [("false", 0.2 * false), ("\nFALSE", 0.1 * false), ("The", 0.75 * OTHER), ("Truest", 0.25 * OTHER)]
        content, finish, refusal = "True", "length", None
        match fault:
            case "neither":
                listed = [("The", 0.8), ("Yes", 0.1), ("Truest", 0.01)]
            case "only false":
                listed = [("False", 0.9), ("The", 0.05), ("No", 0.02)]
            case "one":
                listed = [("False", 0.9)]
            case "filtered":
                finish = "content_filter"
            case "refusal":
                refusal = "I cannot help with that."
        tokens = [{"token": t, "logprob": math.log(p), "bytes": list(t.encode())} for t, p in listed]
        tokens.sort(key=lambda t: -t["logprob"])
        first: dict[str, Any] = {**tokens[0], "top_logprobs": tokens}
        match fault:
            case "odd numbers":
                first = {"token": "True", "logprob": None, "top_logprobs": [{"token": "False", "logprob": 0.7}]}
            case "no list":
                first = {**tokens[0], "top_logprobs": None}
        logprobs = None if fault == "no logprobs" else {"content": [first]}
        message = {"role": "assistant", "content": content, "refusal": refusal}
        return {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 1, "total_tokens": 1001},
        }  # fmt: skip


def digests(body: dict[str, Any]) -> list[str]:
    """Of the JPEGs of a request, in its order; as `truth_of` knows them."""
    parts = [part for message in body["messages"] for part in message["content"] if part["type"] == "image_url"]
    jpegs = [base64.b64decode(part["image_url"]["url"].split(",", 1)[1]) for part in parts]
    return [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs]
