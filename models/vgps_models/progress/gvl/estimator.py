"""GVL as an estimator: several shuffles of a clip, one question each, one repair each, mean and spread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vgps_models.progress.chat import Chat, ChatConfig, Message
from vgps_models.progress.estimate import Clip, Estimate, Example, Floats, Usage
from vgps_models.progress.gvl.answers import AnswerError, read
from vgps_models.progress.gvl.questions import VERSION, Parts, examples, moments, question, shuffle


@dataclass(frozen=True)
class GVLConfig:
    chat: ChatConfig = field(default_factory=ChatConfig)
    shuffles: int = 1  # questions a clip, each in another order; more give a spread
    describe: bool = True  # have every frame described before it is judged
    seed: int = 0  # of the orders
    repairs: int = 1  # times an unusable answer is sent back with the reason


class GVL:
    """The first frame of a clip is the anchor: its value is 0 by definition, with no spread."""

    def __init__(self, config: GVLConfig) -> None:
        if config.shuffles < 1:
            raise ValueError(f"shuffles is {config.shuffles}; at least 1")
        self.config, self.source = config, f"gvl-{VERSION}:{config.chat.model}"

    def estimate(self, clip: Clip, context: Sequence[Example] = ()) -> Estimate:
        """Blocks until all shuffles are answered. Raises ChatError when the endpoint does not, BudgetError when it may
        cost too much; an answer that cannot be used is a failure in the estimate."""

        async def one() -> Estimate:
            async with Chat(self.config.chat) as chat:
                return await self._ask(chat, clip, examples(context))

        return asyncio.run(one())

    async def estimate_many(
        self, clips: Iterable[tuple[str, Clip]], context: Sequence[Example] = ()
    ) -> AsyncIterator[tuple[str, Estimate]]:
        """(name, clip) in, (name, estimate) out as they come. No more clips are held than questions are under way.

        After the first error no new clip is begun; what is under way is finished, and kept in the cache, first.
        """
        before = examples(context)
        async with Chat(self.config.chat) as chat:
            waiting: set[asyncio.Task[tuple[str, Estimate]]] = set()
            source = iter(clips)
            error: BaseException | None = None
            while True:
                while error is None and len(waiting) < self.config.chat.concurrency:
                    if (item := next(source, None)) is None:
                        break
                    waiting.add(asyncio.create_task(self._named(chat, *item, before)))
                if not waiting:
                    break
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if task.exception() is None:
                        yield task.result()
                    else:
                        error = error or task.exception()
            if error is not None:
                raise error

    async def _named(self, chat: Chat, name: str, clip: Clip, before: Parts) -> tuple[str, Estimate]:
        return name, await self._ask(chat, clip, before)

    async def _ask(self, chat: Chat, clip: Clip, before: Parts) -> Estimate:
        config, shown = self.config, moments(clip)
        rounds = await asyncio.gather(
            *(self._shuffled(chat, clip.task, shown, before, config.seed + i) for i in range(config.shuffles)),
            return_exceptions=True,
        )
        if errors := [r for r in rounds if isinstance(r, BaseException)]:
            raise errors[0]
        answered = [r for r in rounds if not isinstance(r, BaseException)]
        values = np.stack([values for values, _, _ in answered])
        failures = tuple(failure for _, failure, _ in answered if failure)
        usage = sum((spent for _, _, spent in answered), Usage())
        known = values[~np.isnan(values).all(axis=1)]
        blank = np.full(len(clip), np.nan)
        mean, spread = (known.mean(axis=0), known.std(axis=0)) if len(known) else (blank, blank)
        return Estimate(mean, spread, self.source, usage, failures, config.shuffles)

    async def _shuffled(
        self, chat: Chat, task: str, shown: Sequence[Parts], before: Parts, seed: int
    ) -> tuple[Floats, str, Usage]:
        """Values of one order, NaN when its answer cannot be used; why not; what it cost."""
        order = shuffle(len(shown), seed)
        prompt = question(task, shown, order, before, describe=self.config.describe, draw=seed)
        usage, reason = Usage(), ""
        for _ in range(1 + self.config.repairs):
            answer = await chat.ask(prompt)
            usage += answer.usage
            try:
                values = np.zeros(len(shown))
                values[order] = read(answer, len(order))
                return values, "", usage
            except AnswerError as error:
                reason = str(error)
            complaint = (
                f"That answer cannot be used: {reason}. Answer again, with every frame from 1 to {len(order)} once."
            )
            said = answer.text or answer.refusal or "(nothing)"
            prompt = prompt.then(Message("assistant", [said[:8000]]), Message("user", [complaint]))
        return np.full(len(shown), np.nan), reason, usage
