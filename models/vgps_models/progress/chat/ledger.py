"""What was paid: one line a request, appended at once, so that a killed run has paid for nothing unseen."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from vgps_models.errors import VgpsError


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
    """budget: US dollars for all that is on this ledger, also by earlier runs; 0 for no limit."""

    path: Path
    budget: float = 0.0
    spent: float = field(init=False, default=0.0)
    reserved: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    self.spent += float(json.loads(line)["cost_usd"])
                except (ValueError, KeyError, TypeError):
                    continue  # a line that a kill cut off; its answer was not kept either

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

    def pay(self, key: str, model: str, input_tokens: int, output_tokens: int, cost: float) -> None:
        self.spent += cost
        line = {
            "time": round(time.time(), 3), "model": model, "key": key[:16],
            "input_tokens": input_tokens, "output_tokens": output_tokens, "cost_usd": cost,
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as out:
            out.write(json.dumps(line) + "\n")
