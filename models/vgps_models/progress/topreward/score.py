"""A model's verdict on a statement: log-probabilities of True and False as its next token, in all their spellings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from vgps_models.progress.estimate import Images, Usage

AROUND = " \t\r\n\u00a0\u0120\u010a\u2581\"'`*_.,;:!()[]{}<>"
Parts = Sequence[Any]  # of a question: words (str), and pictures as a scorer's `picture` makes them


@dataclass(frozen=True)
class Score:
    """log_true, log_false: natural logarithms of the probabilities of the two words, each summed over its spellings;
    NaN when there is no answer, and `failure` says why. seen: the likeliest tokens and their probabilities."""

    log_true: float = math.nan
    log_false: float = math.nan
    usage: Usage = field(default_factory=Usage)
    failure: str = ""
    seen: Mapping[str, float] = field(default_factory=dict)

    def at_least(self, probability: float) -> Score:
        """Itself, or a failure where True and False together are less likely than `probability`.

        The model then mostly says something else, and the odds of the two words say nothing about the statement.
        """
        mass = math.exp(self.log_true) + math.exp(self.log_false)
        if self.failure or mass >= probability:
            return self
        why = (
            f"True and False together have a probability of {mass:.2g}, less than {probability:g}; the model says "
            f"something else: {shown(self.seen)}"
        )
        return replace(self, log_true=math.nan, log_false=math.nan, failure=why)


class Scorer(Protocol):
    """A model that can be asked whether a statement is true. Ask it inside of `async with`."""

    async def __aenter__(self) -> Scorer: ...

    async def __aexit__(self, *_: object) -> None: ...

    def picture(self, image: Images) -> Any:
        """What stands for an image in a question; made once however many questions show it. image: (H, W, 3) uint8."""
        ...

    async def score(self, parts: Parts) -> Score:
        """An answer that cannot be used is a failure in the score; no answer at all is a VgpsError."""
        ...


def spelt(token: str) -> bool | None:
    """True or False if a token says that word, in any case, with spaces, quotes or punctuation around it; else None.

    The marks of a space in the vocabularies of tokenizers (\u0120, \u2581) count as spaces.
    """
    return {"true": True, "false": False}.get(token.strip(AROUND).lower())


def likeliest(listed: Mapping[str, float], most: int = 4) -> dict[str, float]:
    """Probabilities of the first `most` tokens. listed: token -> log-probability."""
    return {token: math.exp(min(0.0, listed[token])) for token in sorted(listed, key=lambda t: -listed[t])[:most]}


def shown(seen: Mapping[str, float]) -> str:
    """'The', 'Yes' (probabilities 0.81, 0.1)."""
    words, chances = ", ".join(repr(token[:20]) for token in seen), ", ".join(f"{p:.2g}" for p in seen.values())
    return f"{words} (probabilities {chances})"
