"""What a model's next token says of a statement: log-probabilities of True and False, whichever way they are spelt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vgps_models.progress.estimate import Images, Usage

Parts = Sequence[Any]  # of a question: words (str), and pictures as a scorer's `picture` makes them


@dataclass(frozen=True)
class Score:
    """log_true, log_false: natural logarithms of the probabilities of the two words, each summed over its spellings;
    NaN when there is no answer, and `failure` says why."""

    log_true: float = math.nan
    log_false: float = math.nan
    usage: Usage = field(default_factory=Usage)
    failure: str = ""


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
    """True or False if that is what a token says, in any case and with any space around; else None."""
    return {"true": True, "false": False}.get(token.strip().lower())
