"""When to believe the critic: a threshold of doubt that held-out episodes vouch for (split conformal prediction).

The doubt of a decision is the spread of the critic's heads over the chunk that was chosen. An episode's doubt is the
largest of its decisions. If episodes are exchangeable, one more of them exceeds the threshold below with probability
at most alpha (Vovk et al. 2005; for robots, 2605.30660): where nothing has changed, guidance lets go somewhere in an
episode that rarely, and where it lets go more often, something has changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.errors import DataError
from vgps_models.files import write_whole
from vgps_models.selection.settings import Selection, SelectionError


def conformal_threshold(doubts: Sequence[float], alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of the doubts of n episodes."""
    n = len(doubts)
    rank = math.ceil((n + 1) * (1 - alpha) - 1e-9)
    if not 0 < alpha < 1 or rank > n:
        raise SelectionError(
            f"{n} episodes cannot vouch for alpha = {alpha}; alpha must lie between 0 and 1, and "
            f"n episodes reach down to 1 / (n + 1)"
        )
    return float(np.sort(np.asarray(doubts, np.float64))[rank - 1])


def measured_coverage(
    doubts: Sequence[float], alpha: float, *, splits: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Share of episodes that keep below a threshold made from others: mean over random halves, and 95 % of them."""
    random, values = np.random.default_rng(seed), np.asarray(doubts, np.float64)
    shares = np.empty(splits)
    for i in range(splits):
        made, tried = np.array_split(random.permutation(values), 2)
        shares[i] = (tried <= conformal_threshold(made.tolist(), alpha)).mean()
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(shares.mean()), float(low), float(high)


@dataclass(frozen=True)
class Trust:
    """A threshold, and the one combination that it was made for. `vgps train trust` writes it."""

    threshold: float  # of the doubt [score]
    alpha: float  # largest share of episodes in which guidance lets go
    policy_sha256: str
    critic_sha256: str
    k: int
    selection: Selection  # abstain is 0 in it
    doubts: tuple[float, ...]  # of the held-out episodes [score]
    coverage: tuple[float, float, float]  # measured_coverage of them
    data_sha256: str = ""
    command: str = ""
    git: str = ""

    def selection_for(self, policy_sha256: str, critic_sha256: str, k: int, selection: Selection) -> Selection:
        """The same selection, abstaining above the threshold; refused for what it was not made for."""
        mine = {"policy": self.policy_sha256, "critic": self.critic_sha256, "k": self.k} | self.selection.to_json()
        theirs = {"policy": policy_sha256, "critic": critic_sha256, "k": k} | replace(selection, abstain=0.0).to_json()
        if different := [f"{name}: {mine[name]} != {theirs[name]}" for name in mine if mine[name] != theirs[name]]:
            raise SelectionError(
                f"this threshold of trust was made for another choice ({'; '.join(different)}); "
                "make one with `vgps train trust`"
            )
        return replace(selection, abstain=self.threshold)

    def save(self, path: Path) -> None:
        write_whole(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Trust:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            values: dict[str, Any] = {field.name: data[field.name] for field in fields(cls)}
            values |= {name: tuple(values[name]) for name in ("doubts", "coverage")}
            values["selection"] = Selection.from_json(values["selection"])
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no file of `vgps train trust` ({error})") from None
