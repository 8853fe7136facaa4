"""What was paid: one line a request, written at once, so that a killed run leaves no payment unrecorded."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from vgps_models.errors import VgpsError

LOG = logging.getLogger(__name__)


class BudgetError(VgpsError):
    """The next request could cost more than is left."""


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens."""

    input: float = 0.0  # US dollars a million tokens that are sent
    output: float = 0.0  # US dollars a million tokens of answers

    def of(self, input_tokens: int, output_tokens: int) -> float:
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


@dataclass
class Ledger:
    """budget: US dollars for all that is on this ledger, also by earlier runs; 0 for no limit.

    Raises BudgetError when there is a budget and the ledger cannot be read.
    """

    path: Path
    budget: float = 0.0
    spent: float = field(init=False, default=0.0)
    reserved: float = field(init=False, default=0.0)
    _unwritten: int = field(init=False, default=0, repr=False)

    def __post_init__(self) -> None:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            if self.budget:
                raise BudgetError(
                    f"the budget of ${self.budget:g} cannot be held: the ledger {self.path} cannot be read ({error}); "
                    "mend or remove it, or name another cache"
                ) from None
            return
        self.spent = sum(map(_cost, lines))

    def reserve(self, cost: float) -> None:
        """Set aside what a request may cost at most. Raises BudgetError when that is more than is left."""
        if self.budget and self.spent + self.reserved + cost > self.budget + 1e-12:
            raise BudgetError(
                f"the budget of ${self.budget:g} is used up: ${self.spent:.4f} spent, ${self.reserved:.4f} under way, "
                f"and the next request may cost ${cost:.4f}. What was answered is kept; raise the budget to go on."
            )
        self.reserved += cost

    def release(self, reserved: float) -> None:
        self.reserved -= reserved

    def pay(
        self, key: str, model: str, input_tokens: int, output_tokens: int, cost: float,
        *, estimated: bool = False, lost: bool = False,
    ) -> None:  # fmt: skip
        """Count a request. estimated: the tokens are an estimate; lost: its answer broke off or did not come in time.

        Never raises: a ledger that cannot be written is no reason to lose an answer. A warning says so once.
        """
        self.spent += cost
        line = {
            "time": round(time.time(), 3), "model": model, "key": key[:16], "input_tokens": input_tokens,
            "output_tokens": output_tokens, "cost_usd": cost, "estimated": estimated,
        } | ({"lost": True} if lost else {})  # fmt: skip
        try:
            self._append((json.dumps(line) + "\n").encode())
        except OSError as error:
            self._unwritten += 1
            if self._unwritten == 1:
                LOG.warning(
                    "what was paid cannot be written to %s (%s): the budget counts it in this run only",
                    self.path,
                    error,
                )

    def _append(self, line: bytes) -> None:
        """After a line that a kill cut off, a new one begins: otherwise both would be lost."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as out:
            if out.seek(0, os.SEEK_END):
                out.seek(-1, os.SEEK_END)
                line = line if out.read(1) == b"\n" else b"\n" + line
            out.write(line)


def _cost(line: bytes) -> float:
    """0 for a line that a kill cut off, whose answer was not kept either, and for a cost that is none."""
    try:
        cost = float(json.loads(line)["cost_usd"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0.0
    return cost if math.isfinite(cost) and cost > 0 else 0.0
