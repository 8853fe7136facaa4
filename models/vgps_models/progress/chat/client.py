"""Ask a vision-language model over HTTP: cached, limited, retried, paid for.

The openai client sends; answers are read here, from the body as it came, because its own reading and its own retries
drop what matters: what a proxy says in place of an answer, a Retry-After above a minute, the tokens of each attempt.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vgps_models.errors import MissingDependencyError, VgpsError
from vgps_models.progress.chat.cache import AnswerCache
from vgps_models.progress.chat.ledger import Ledger, Price
from vgps_models.progress.chat.limits import Bucket, backoff_s
from vgps_models.progress.chat.prompt import Answer, Prompt
from vgps_models.progress.chat.refusals import Refusal, advice, refusal
from vgps_models.progress.chat.reply import BrokenOffError, NoCompletionError, Reply, read_reply
from vgps_models.progress.chat.words import hide, shorten, shown_url

LOG = logging.getLogger(__name__)
LOCAL = ("127.0.0.1", "localhost", "::1")
LARGEST_BODY = 32 * 2**20  # bytes of an answer
SAID_FROM_S = 5.0  # a wait of this length or more is logged


class ChatError(VgpsError):
    """The endpoint gave no answer; the message says why and what to do."""


@dataclass(frozen=True)
class ChatConfig:
    """Any endpoint that speaks OpenAI's chat completions: hosted models, vLLM, llama-server."""

    model: str = ""  # as the endpoint calls it
    base_url: str = "https://api.openai.com/v1"  # of the endpoint, up to and with /v1
    key_env: str = "OPENAI_API_KEY"  # environment variable that holds the key; local endpoints need none
    price: Price = field(default_factory=Price)  # US dollars a million tokens, input and output
    budget_usd: float = 0.0  # for everything on the ledger of this cache, also by earlier runs; 0 for no limit
    requests_per_minute: float = 60.0  # 0 for no limit
    tokens_per_minute: float = 200_000.0  # 0 for no limit
    concurrency: int = 8  # requests under way at a time
    attempts: int = 6  # of a request that the endpoint turns away or loses
    backoff_s: float = 1.0  # first wait between two of them; doubles, with jitter
    longest_wait_s: float = 120.0  # that the endpoint may ask for between two attempts; a longer one ends the run
    timeout_s: float = 120.0  # of one attempt, until the last byte of its answer; to connect, 10 s at most
    temperature: float = 0.0  # of sampling
    max_output_tokens: int = 4096  # longest answer, with what the model thinks before it [tokens]
    picture_tokens: int = 260  # tokens of one image, where the endpoint has not reported them
    strict: bool = True  # ask for the JSON schema; otherwise for any JSON object, for servers that know no schemas
    cache: Path = Path("runs/cache/chat")  # answers and ledger

    @property
    def local(self) -> bool:
        """Whether the endpoint is on this machine, and so neither needs a key nor costs anything."""
        return urlsplit(self.base_url).hostname in LOCAL

    @property
    def connect_s(self) -> float:
        return min(self.timeout_s, 10.0)

    def key(self) -> str:
        """From the environment alone; empty for a local endpoint without one. Raises ChatError for a bad one."""
        key = os.environ.get(self.key_env, "").strip()
        if not key and not self.local:
            raise ChatError(
                f"{shown_url(self.base_url)} needs a key: set the environment variable {self.key_env}, or point "
                "--base-url at a local server (vLLM, llama-server) that needs none"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ChatError(
                f"the environment variable {self.key_env} holds more than a key: spaces, line ends or "
                "letters that no key has; set it again"
            )
        return key

    def check(self) -> None:
        """Raises ChatError for an address that no request can be sent to, and for a budget that could not be held."""
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ChatError(
                f"the base URL '{shown_url(self.base_url) if parts.hostname else self.base_url}' cannot be used; it is "
                "an http or https address without a query, as http://127.0.0.1:8000/v1"
            )
        if not self.local and self.budget_usd and not (self.price.input and self.price.output):
            raise ChatError(
                f"what does {self.model} cost? give chat.price.input and chat.price.output [US dollars a million "
                f"tokens]; without them the budget of {self.budget_usd:g} US dollars would hold nothing back"
            )

    def settings(self) -> dict[str, Any]:
        """What decides an answer, besides the prompt."""
        names = ("model", "base_url", "temperature", "max_output_tokens", "strict")
        return {name: getattr(self, name) for name in names}


class Chat:
    """One endpoint. Use it in one event loop, as `async with Chat(config) as chat`."""

    def __init__(self, config: ChatConfig) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError(
                "asking a vision-language model needs the openai client; install it with: pip install 'vgps[vlm]'"
            ) from error
        if not config.model:
            raise ChatError("which model? name one that the endpoint serves, by the option that ends in chat.model")
        config.check()
        self.config, self._openai, self._secret = config, openai, config.key()
        self.cache = AnswerCache(config.cache / "answers")
        self.ledger = Ledger(config.cache / "ledger.jsonl", config.budget_usd)

    async def __aenter__(self) -> Chat:
        config = self.config
        self._client = self._openai.AsyncOpenAI(
            api_key=self._secret or "none", base_url=config.base_url, max_retries=0,
            timeout=self._openai.Timeout(config.timeout_s, connect=config.connect_s),
        )  # fmt: skip
        self._requests, self._tokens = Bucket(config.requests_per_minute), Bucket(config.tokens_per_minute)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._asked: dict[str, asyncio.Lock] = {}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        """The answer, from the cache if it was ever given. Raises ChatError or BudgetError."""
        key = prompt.key(self.config.settings())
        async with self._asked.setdefault(key, asyncio.Lock()):  # the same question twice at a time is paid once
            if (known := self.cache.get(key)) is not None:
                return known
            async with self._slots:
                return await self._pay(prompt, key)

    async def _pay(self, prompt: Prompt, key: str) -> Answer:
        config = self.config
        tokens = prompt.tokens(config.picture_tokens)
        most = config.price.of(tokens, config.max_output_tokens)
        self.ledger.reserve(most)
        try:
            answer = await self._attempts(prompt, key, tokens)
            self.cache.put(key, answer)  # before the books: an answer that is kept need not be paid again
            self.ledger.pay(
                key, config.model, answer.input_tokens, answer.output_tokens, answer.cost_usd,
                estimated=answer.estimated,
            )  # fmt: skip
            return answer
        finally:
            self.ledger.release(most)

    async def _attempts(self, prompt: Prompt, key: str, tokens: int) -> Answer:
        config = self.config
        for attempt in range(max(1, config.attempts)):
            await self._requests.take(1)
            await self._tokens.take(tokens + config.max_output_tokens)
            try:
                within = config.connect_s + config.timeout_s  # an answer that comes in drips meets no other limit
                return self._answer(await asyncio.wait_for(self._exchange(prompt), within), tokens)
            except asyncio.TimeoutError:
                failed = Refusal(f"no whole answer within {config.timeout_s:g} s", lost=True)
            except Exception as error:  # of the HTTP library, of openai, of a body that is no answer
                failed = refusal(error)
            words = shorten(hide(failed.words, self._secret))
            if failed.lost:  # the endpoint may charge for it all the same
                cost = config.price.of(tokens, 0)
                self.ledger.pay(key, config.model, tokens, 0, cost, estimated=True, lost=True)
            if failed.final:
                raise self._error(f"refuses ({failed.status}): {words}", failed)
            wait = backoff_s(attempt, failed.wait_s, config.backoff_s)
            if failed.wait_s is not None and failed.wait_s > config.longest_wait_s:
                raise self._error(
                    f"asks to wait {_duration(failed.wait_s)} before the next request ({words}); the longest wait is "
                    f"{config.longest_wait_s:g} s. Run again later: what was answered is kept", failed,
                )  # fmt: skip
            if attempt + 1 < config.attempts:
                if wait >= SAID_FROM_S:
                    LOG.warning(
                        "%s: %s; waiting %.0f s before attempt %d of %d",
                        shown_url(config.base_url), words, wait, attempt + 2, config.attempts,
                    )  # fmt: skip
                await asyncio.sleep(wait)
        raise self._error(f"gave no answer in {config.attempts} attempts; the last: {words}", failed)

    def _error(self, words: str, failed: Refusal) -> ChatError:
        config = self.config
        cure = advice(failed, shown_url(config.base_url), config.key_env, config.model)
        return ChatError(f"{shown_url(config.base_url)} {words}{'; ' + cure if cure else ''}")

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        """Arguments of one chat completion."""
        config = self.config
        schema = {"name": prompt.name, "schema": prompt.schema, "strict": True}
        return {
            "model": config.model,
            "messages": prompt.body(),
            "response_format": (
                {"type": "json_schema", "json_schema": schema} if config.strict else {"type": "json_object"}
            ),
            "temperature": config.temperature,
            "max_completion_tokens": config.max_output_tokens,
        }

    async def _exchange(self, prompt: Prompt) -> Reply:
        """One request and its answer. Raises NoCompletionError, or an error of openai or of the HTTP library."""
        completions = self._client.chat.completions.with_streaming_response
        async with completions.create(**self._request(prompt)) as response:
            body = bytearray()
            try:
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST_BODY:
                        raise NoCompletionError(f"an answer of more than {LARGEST_BODY} bytes")
            except NoCompletionError:
                raise
            except Exception as error:  # each version of the HTTP library has its own
                raise BrokenOffError(f"the answer breaks off after {len(body)} bytes: {error}") from error
            return read_reply(bytes(body), response.headers.get("content-type", ""))

    def _answer(self, reply: Reply, prompt_tokens: int) -> Answer:
        used_in, used_out, estimated = reply.tokens(prompt_tokens)
        return Answer(
            hide(self._text(reply), self._secret), reply.finish, hide(reply.refusal, self._secret), used_in, used_out,
            cost_usd=self.config.price.of(used_in, used_out), estimated=estimated,
        )  # fmt: skip

    def _text(self, reply: Reply) -> str:
        """What is kept of a reply, besides its refusal."""
        return reply.text


def _duration(seconds: float) -> str:
    """3600 -> "3600 s (1 h)"."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and unit != "days"):
            return f"{seconds:.0f} s ({seconds / size:.3g} {unit})"
    return f"{seconds:.0f} s"
