"""TOPReward as an estimator: one question a prefix, each by itself, and the probability of "True" as the value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import expit

from vgps_models.errors import DataError
from vgps_models.progress.chat import ChatConfig
from vgps_models.progress.estimate import Clip, Estimate, Example, Floats, Usage, spaced
from vgps_models.progress.topreward.endpoint import EndpointScorer
from vgps_models.progress.topreward.local import LocalConfig, LocalScorer
from vgps_models.progress.topreward.question import VERSION, prefix, question
from vgps_models.progress.topreward.score import Score, Scorer


@dataclass(frozen=True)
class TOPRewardConfig:
    """Values out of log-probabilities, by `normalise`:

    probability: P(True) / (P(True) + P(False)), which can be compared between episodes.
    episode: log P(True) between its least and its greatest over the episode, as in the paper. It orders the moments
        of one episode, but every episode reaches 1, a failure too.
    """

    scorer: Literal["endpoint", "local"] = "endpoint"  # a model behind HTTP (chat) | in this process (local)
    chat: ChatConfig = field(default_factory=ChatConfig)  # of endpoint
    local: LocalConfig = field(default_factory=LocalConfig)  # of local
    prefixes: int = 16  # moments of a clip that are judged, evenly spread; one question each
    most_frames: int = 16  # moments that a question shows, evenly spread from the first to the one that is judged
    normalise: Literal["probability", "episode"] = "probability"
    # Of True and False together, for an answer to count; below it the model mostly says something else, and the odds
    # of the two words mean nothing. 0 accepts every answer.
    least_probability: float = 0.25


class TOPReward:
    """Judges `prefixes` moments of a clip, the first and the last among them; the others have no value (NaN)."""

    def __init__(self, config: TOPRewardConfig) -> None:
        """Loads the model if it is a local one."""
        if min(config.prefixes, config.most_frames) < 2:
            raise ValueError(f"prefixes is {config.prefixes} and most_frames {config.most_frames}; at least 2 each")
        self.config = config
        self._local = LocalScorer(config.local) if config.scorer == "local" else None
        kind = "" if config.normalise == "probability" else f"-{config.normalise}"  # such values must not be mixed
        self.source = f"topreward-{VERSION}{kind}:{self._local.model if self._local else config.chat.model}"

    def estimate(self, clip: Clip, context: Sequence[Example] = ()) -> Estimate:
        """Blocks until every prefix is judged. Raises ChatError when an endpoint does not answer, BudgetError when it
        may cost too much; an answer that cannot be used is a failure in the estimate. Context is refused."""
        _refuse(context)

        async def one() -> Estimate:
            async with self._scorer() as scorer:
                return await self._judge(scorer, clip)

        return asyncio.run(one())

    async def estimate_many(
        self, clips: Iterable[tuple[str, Clip]], context: Sequence[Example] = ()
    ) -> AsyncIterator[tuple[str, Estimate]]:
        """(name, clip) in, (name, estimate) out, within the limits of one session.

        One clip after the other: the questions about one are enough to keep an endpoint busy.
        """
        _refuse(context)
        async with self._scorer() as scorer:
            for name, clip in clips:
                yield name, await self._judge(scorer, clip)

    def _scorer(self) -> Scorer:
        """A local model is loaded once; a session with an endpoint belongs to one event loop."""
        return self._local or EndpointScorer(self.config.chat)

    async def _judge(self, scorer: Scorer, clip: Clip) -> Estimate:
        judged, shown = spaced(len(clip), self.config.prefixes), clip.shown(scorer.picture)
        questions = [question(clip.task, [shown[i] for i in prefix(t, self.config.most_frames)]) for t in judged]
        # What is under way when one fails is finished first, and kept in the cache.
        said = await asyncio.gather(*(scorer.score(parts) for parts in questions), return_exceptions=True)
        if errors := [s for s in said if isinstance(s, BaseException)]:
            raise errors[0]
        scores = [s.at_least(self.config.least_probability) for s in said if isinstance(s, Score)]
        values, spread = np.full(len(clip), np.nan), np.full(len(clip), np.nan)
        values[judged] = self._values(scores)
        spread[~np.isnan(values)] = 0.0
        failures = tuple(f"frames 0 to {t}: {s.failure}" for t, s in zip(judged, scores, strict=True) if s.failure)
        usage = sum((s.usage for s in scores), Usage())
        return Estimate(values, spread, self.source, usage, failures, len(scores))

    def _values(self, scores: Sequence[Score]) -> Floats:
        """In [0, 1], NaN for failures. Shape (len(scores),)."""
        log_true, log_false = np.array([(s.log_true, s.log_false) for s in scores], np.float64).T
        if self.config.normalise == "probability":
            return expit(log_true - log_false)  # of the odds: no probability need be told from 0
        known = log_true[~np.isnan(log_true)]
        if not len(known) or np.ptp(known) == 0:
            return log_true * 0.0  # nothing to order: no progress
        return (log_true - known.min()) / np.ptp(known)


def _refuse(context: Sequence[Example]) -> None:
    if len(context):
        raise DataError("TOPReward takes no examples: it reads a probability, and nothing shows how high it should be")
