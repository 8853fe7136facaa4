"""Ask a model behind an OpenAI-compatible endpoint for the log-probabilities of its first token."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vgps_models.progress.chat import Answer, Chat, ChatConfig, Message, Picture, Prompt, Reply
from vgps_models.progress.estimate import Images
from vgps_models.progress.topreward.question import VERSION
from vgps_models.progress.topreward.score import Parts, Score, likeliest, shown, spelt

TOP = 20  # tokens that are listed; more than this no endpoint gives
LEAST_REST = 1e-12  # probability that is left for tokens that are not listed, at least; the listed are rounded
SURE = 0.05  # a word that is not listed may change the value by this much at most


class EndpointScorer:
    """Limits, cache, ledger and budget are those of `config`; its max_output_tokens does not count, it is 1.

    The endpoint must give log-probabilities and begin with its answer: instruct models on vLLM or llama-server do,
    models that think first do not.
    """

    def __init__(self, config: ChatConfig) -> None:
        self._chat = NextToken(replace(config, max_output_tokens=1))

    async def __aenter__(self) -> EndpointScorer:
        await self._chat.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._chat.__aexit__()

    def picture(self, image: Images) -> Picture:
        return Picture.of(image)

    async def score(self, parts: Parts) -> Score:
        # Not sent: an endpoint that is held to a schema hides what else the model would have said.
        schema = {"enum": ["True", "False"], "top_logprobs": TOP}
        answer = await self._chat.ask(Prompt([Message("user", parts)], schema, f"done_{VERSION}"))
        return replace(read(answer), usage=answer.usage)


class NextToken(Chat):
    """The text of its answers is a JSON object: token -> natural log-probability, {} when none was given."""

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "model": self.config.model,
            "messages": prompt.body(),
            "temperature": self.config.temperature,
            "max_tokens": 1,  # servers that give log-probabilities know this name best
            "logprobs": True,
            "top_logprobs": TOP,
        }

    def _text(self, reply: Reply) -> str:
        return json.dumps(listed(reply.logprobs))


def read(answer: Answer) -> Score:
    """A word that is not listed gets the highest probability that it can have: no more than the last listed token,
    and no more than the listed tokens leave. In a list of 20 that is next to nothing; where it could change the value
    by more than `SURE`, the answer is a failure."""
    if answer.refusal or answer.finish == "content_filter":
        return Score(failure=f"refused: {answer.refusal or 'content filter'}"[:200])
    tokens: Mapping[str, float] = json.loads(answer.text)
    if not tokens:
        return Score(failure="no log-probabilities; ask an endpoint and a model that give them, vLLM for one")
    seen = likeliest(tokens)
    said = {word: [p for token, p in tokens.items() if spelt(token) is word] for word in (True, False)}
    if not any(said.values()):
        return Score(failure=f"neither True nor False among the likely tokens, but {shown(seen)}", seen=seen)
    rest = max(LEAST_REST, 1.0 - sum(math.exp(p) for p in tokens.values()))
    unlisted = min(math.log(rest), *tokens.values())
    log_true, log_false = (float(np.logaddexp.reduce(said[word] or [unlisted])) for word in (True, False))
    least_sure = max(log_true, log_false) + math.log(SURE / (1 - SURE))
    if not all(said.values()) and unlisted > least_sure:
        only = f"of True and False only one among {len(tokens)} listed tokens, too few to know the other"
        return Score(failure=f"{only}: {shown(seen)}", seen=seen)
    return Score(log_true, log_false, seen=seen)


def listed(logprobs: Any) -> dict[str, float]:
    """Token -> log-probability of the first token of an answer; entries without a log-probability are left out.

    logprobs: as the endpoint sends it, in the form of chat completions (`content`, a list of tokens, each with its
    `top_logprobs`) or in the older form (`tokens`, `token_logprobs` and `top_logprobs`, a dictionary for each token).
    """
    if not isinstance(logprobs, Mapping):
        return {}
    pairs: list[tuple[Any, Any]] = []
    content, older = _first(logprobs.get("content")), _first(logprobs.get("top_logprobs"))
    if isinstance(content, Mapping):
        top = content.get("top_logprobs")
        if isinstance(top, Mapping):
            pairs += top.items()
        entries = [content, *(top if isinstance(top, list) else ())]
        pairs += [(e.get("token"), e.get("logprob")) for e in entries if isinstance(e, Mapping)]
    elif isinstance(older, Mapping):
        pairs += [*older.items(), (_first(logprobs.get("tokens")), _first(logprobs.get("token_logprobs")))]
    return {
        t: float(p)
        for t, p in pairs
        if isinstance(t, str) and isinstance(p, (int, float)) and not isinstance(p, bool) and -math.inf < p < 1e-3
    }


def _first(items: Any) -> Any:
    return items[0] if isinstance(items, list) and items else None
