"""Ask a vision-language model over HTTP: cached, limited, retried, paid for."""

from __future__ import annotations

import asyncio
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

LOCAL = ("127.0.0.1", "localhost", "::1")


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
    timeout_s: float = 120.0  # of one attempt
    temperature: float = 0.0  # of sampling
    max_output_tokens: int = 4096  # longest answer, with what the model thinks before it [tokens]
    picture_tokens: int = 260  # what one image is reckoned at before the endpoint tells
    strict: bool = True  # ask for the JSON schema; otherwise for any JSON object, for servers that know no schemas
    cache: Path = Path("runs/cache/chat")  # answers and ledger

    @property
    def local(self) -> bool:
        """Whether the endpoint is on this machine, and so neither needs a key nor costs anything."""
        return urlsplit(self.base_url).hostname in LOCAL

    def key(self) -> str:
        """From the environment alone. Raises ChatError that says what to set."""
        key = os.environ.get(self.key_env, "")
        if not key and not self.local:
            raise ChatError(
                f"{self.base_url} needs a key: set the environment variable {self.key_env}, or point --base-url at a "
                "local server (vLLM, llama-server) that needs none"
            )
        return key or "none"

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
            raise ChatError("which model? name one that the endpoint serves with --model")
        self.config, self._openai, self._secret = config, openai, config.key()
        self.cache = AnswerCache(config.cache / "answers")
        self.ledger = Ledger(config.cache / "ledger.jsonl", config.budget_usd)

    async def __aenter__(self) -> Chat:
        config = self.config
        self._client = self._openai.AsyncOpenAI(
            api_key=self._secret, base_url=config.base_url, timeout=config.timeout_s, max_retries=0
        )
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
            answer = await self._attempts(prompt, tokens)
            self.cache.put(key, answer)  # before the books: what is kept need not be paid again
            self.ledger.pay(key, config.model, answer.input_tokens, answer.output_tokens, answer.cost_usd)
            return answer
        finally:
            self.ledger.release(most)

    async def _attempts(self, prompt: Prompt, tokens: int) -> Answer:
        config, errors = self.config, self._openai
        for attempt in range(config.attempts):
            await self._requests.take(1)
            await self._tokens.take(tokens + config.max_output_tokens)
            try:
                return self._read(await self._send(prompt))
            except errors.APIStatusError as error:
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    raise ChatError(f"{config.base_url} refuses ({error.status_code}): {self._hide(error)}") from None
                reason, wait = f"{error.status_code} {self._hide(error)}", _retry_after(error.response.headers)
            except (errors.APIConnectionError, errors.APIError, ValueError) as error:
                reason, wait = f"{type(error).__name__}: {self._hide(error)}", None
            if attempt + 1 < config.attempts:
                await asyncio.sleep(backoff_s(attempt, wait, config.backoff_s))
        raise ChatError(f"{config.base_url} gave no answer in {config.attempts} attempts; the last: {reason}")

    async def _send(self, prompt: Prompt) -> Any:
        config = self.config
        schema = {"name": prompt.name, "schema": prompt.schema, "strict": True}
        form = {"type": "json_schema", "json_schema": schema} if config.strict else {"type": "json_object"}
        return await self._client.chat.completions.create(
            model=config.model,
            messages=prompt.body(),  # type: ignore[arg-type]
            response_format=form,  # type: ignore[arg-type]
            temperature=config.temperature,
            max_completion_tokens=config.max_output_tokens,
        )

    def _read(self, completion: Any) -> Answer:
        """Raises ValueError for what is no completion; a proxy may answer 200 with anything."""
        try:
            choice, usage = completion.choices[0], completion.usage
            message = choice.message
            used = (int(usage.prompt_tokens), int(usage.completion_tokens)) if usage else (0, 0)
            text, refusal = message.content or "", getattr(message, "refusal", None) or ""
            finish = choice.finish_reason or "stop"
        except (AttributeError, IndexError, TypeError) as error:
            raise ValueError(f"no chat completion ({error})") from None
        return Answer(str(text), str(finish), str(refusal), *used, cost_usd=self.config.price.of(*used))

    def _hide(self, error: Exception) -> str:
        """Its words without the key, and no more than a line or two of them."""
        return str(error).replace(self._secret, "***")[:300]


def _retry_after(headers: Any) -> float | None:
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError, TypeError):
        return None
