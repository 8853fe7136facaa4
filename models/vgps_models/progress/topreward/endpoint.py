"""Ask a model behind an OpenAI-compatible endpoint for the log-probabilities of its first token."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vgps_models.progress.chat import Answer, Chat, ChatConfig, Message, Picture, Prompt
from vgps_models.progress.estimate import Images
from vgps_models.progress.topreward.question import VERSION
from vgps_models.progress.topreward.score import Parts, Score, spelt

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

    async def _send(self, prompt: Prompt) -> Any:
        config = self.config
        return await self._client.chat.completions.create(
            model=config.model,
            messages=prompt.body(),  # type: ignore[arg-type]
            temperature=config.temperature,
            max_tokens=1,  # servers that give log-probabilities know this name best
            logprobs=True,
            top_logprobs=TOP,
        )

    def _read(self, completion: Any) -> Answer:
        return replace(super()._read(completion), text=json.dumps(_listed(completion.choices[0])))


def read(answer: Answer) -> Score:
    """A word that is not listed is taken to be as likely as it can be: no likelier than the last that is, nor than
    what the listed ones leave. That is next to nothing in a list of 20; where it is more, there is no answer."""
    if answer.refusal or answer.finish == "content_filter":
        return Score(failure=f"refused: {answer.refusal or 'content filter'}"[:200])
    listed: Mapping[str, float] = json.loads(answer.text)
    if not listed:
        return Score(failure="no log-probabilities; ask an endpoint and a model that give them, vLLM for one")
    said = {word: [p for token, p in listed.items() if spelt(token) is word] for word in (True, False)}
    if not any(said.values()):
        likely = sorted(listed, key=lambda token: -listed[token])[:3]
        return Score(failure=f"neither True nor False among the likely tokens, but {', '.join(map(repr, likely))}")
    rest = max(LEAST_REST, 1.0 - sum(math.exp(p) for p in listed.values()))
    unlisted = min(math.log(rest), *listed.values())
    log_true, log_false = (float(np.logaddexp.reduce(said[word] or [unlisted])) for word in (True, False))
    least_sure = max(log_true, log_false) + math.log(SURE / (1 - SURE))
    if not all(said.values()) and unlisted > least_sure:
        return Score(failure=f"of True and False only one among {len(listed)} listed tokens, too few to tell the other")
    return Score(log_true, log_false)


def _listed(choice: Any) -> dict[str, float]:
    """Of the first token. What is no log-probability, as some proxies send, is left out."""
    try:
        first = choice.logprobs.content[0]
        pairs = [(t.token, t.logprob) for t in (first, *(first.top_logprobs or ()))]
    except (AttributeError, LookupError, TypeError):
        return {}
    return {
        t: float(p) for t, p in pairs if isinstance(t, str) and isinstance(p, (int, float)) and -math.inf < p < 1e-3
    }
