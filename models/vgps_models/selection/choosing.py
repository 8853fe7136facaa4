"""Candidates and a critic's opinion in, one chunk out.

    expand -> score -> choose by the rule -> refine -> abstain

Both `Steering` and the ROS graph call `choose`, so they act alike by construction. Everything drawn at
random depends on the observation's key alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from vgps_models.selection import making, rules
from vgps_models.selection.density import kernel_log_density
from vgps_models.selection.settings import Selection, SelectionError
from vgps_models.spaces import ActionSpec, Array, Normaliser

CHOICE, EXPANSION, REFINEMENT = 7, 8, 9  # streams: keep these draws apart from the policy's noise for the same moment


class _Critic(Protocol):
    spec: ActionSpec
    normaliser: Normaliser

    def score(self, features: Any, candidates: Array) -> tuple[Array, Array]: ...


@dataclass(frozen=True, eq=False)
class Judge:
    """A critic that has seen the observation.

    score: executable chunks (N, H, 7) -> mean and standard deviation over its heads, (N,) each.
    """

    score: Callable[[Array], tuple[Array, Array]]
    spec: ActionSpec
    normaliser: Normaliser

    @classmethod
    def of(cls, critic: _Critic, features: Any) -> Judge:
        """features: what the critic made of the observation."""
        return cls(partial(critic.score, features), critic.spec, critic.normaliser)


@dataclass(frozen=True, eq=False)
class Choice:
    """The chunk to execute, and why.

    chunk: executable. Shape (H, 7).
    chosen: its index among the proposed candidates; -1 when it is none of them.
    dropped: candidates that hold NaN or infinity.
    mean, std: scores of the candidates, NaN for one that was dropped; empty for a rule that needs none. Shape (K,).
    doubt: spread over the heads of what was chosen, before abstaining [score]; 0 when nothing was scored.
    abstained: the doubt was too large, so the chunk is the policy's first.
    """

    chunk: Array
    chosen: int
    dropped: int
    mean: Array = field(default_factory=lambda: np.zeros(0))
    std: Array = field(default_factory=lambda: np.zeros(0))
    doubt: float = 0.0
    abstained: bool = False


def choose(
    selection: Selection, candidates: Array, log_prob: Array | None, judge: Judge | None, key: tuple[int, int]
) -> Choice:
    """Make one chunk of K candidates (K, H, 7), K >= 1.

    log_prob: how likely the policy drew each, None when it cannot tell. Shape (K,).
    judge: None will do for rules that need no scores.
    key: the observation's key.

    Raises SelectionError when nothing can be chosen: no candidates, all of them broken, no finite score.
    """
    candidates = np.asarray(candidates, np.float64)
    if candidates.ndim != 3 or len(candidates) == 0:
        raise SelectionError(f"candidates need shape (K, H, 7) with K >= 1, not {candidates.shape}")
    whole = np.flatnonzero(np.isfinite(candidates).all(axis=(1, 2)))
    dropped = len(candidates) - len(whole)
    if len(whole) == 0:
        raise SelectionError(f"all {len(candidates)} candidates hold NaN or infinity; the policy is broken")
    pool = candidates[whole]  # the proposed ones come first
    selection.require_critic(judge is not None)
    if judge is None or not selection.scored:
        blank = np.zeros(len(pool))
        chosen = int(whole[rules.pick(selection, blank, blank, blank, _random(key, CHOICE))])
        return Choice(candidates[chosen], chosen, dropped)

    if selection.expand:
        drawn = making.expand(pool, selection.expand, judge.spec, _random(key, EXPANSION))
        pool = np.concatenate([pool, drawn])
    mean, std = judge.score(pool)
    typical = _log_density(selection, pool, None if log_prob is None else log_prob[whole], judge.normaliser)
    usable = np.flatnonzero(np.isfinite(mean) & np.isfinite(std) & np.isfinite(typical))
    if len(usable) == 0:
        raise SelectionError(f"none of {len(pool)} chunks has a finite score; the critic's weights or input are broken")

    at = -1  # where in the pool the chunk is
    if selection.rule == "weighted_mean" and len(usable) > 1:
        chunk = rules.weighted_mean(pool[usable], mean[usable], selection.beta, judge.spec)
    else:
        random = _random(key, CHOICE)
        at = int(usable[rules.pick(selection, mean[usable], std[usable], typical[usable], random)])
        chunk = pool[at]
    if selection.refine != "none":
        made = making.refine(selection, chunk, judge.score, judge.spec, judge.normaliser, _random(key, REFINEMENT))
        at, chunk = (at, chunk) if made is chunk else (-1, made)
    doubt = float(std[at] if at >= 0 else judge.score(chunk[None])[1][0])
    abstained = bool(selection.abstain and not doubt <= selection.abstain)
    if abstained:
        at, chunk = 0, pool[0]

    all_mean, all_std = np.full((2, len(candidates)), np.nan)
    all_mean[whole], all_std[whole] = mean[: len(whole)], std[: len(whole)]
    chosen = int(whole[at]) if 0 <= at < len(whole) else -1
    return Choice(chunk, chosen, dropped, all_mean, all_std, doubt, abstained)


def _log_density(selection: Selection, pool: Array, log_prob: Array | None, normaliser: Normaliser) -> Array:
    """log p of every chunk of the pool; zero where the rule does not ask for it. Shape (N,)."""
    if selection.rule != "pessimistic":
        return np.zeros(len(pool))
    if selection.density == "kernel":
        return kernel_log_density(normaliser.normalise(pool))
    if log_prob is None:
        raise SelectionError("this policy cannot tell how likely its samples are; use density kernel")
    return log_prob


def _random(key: tuple[int, int], stream: int) -> np.random.Generator:
    seed, step = key
    return np.random.Generator(np.random.PCG64([abs(int(seed)), int(step), stream]))
