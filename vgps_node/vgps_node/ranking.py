"""What `value_node` does, without ROS: encode an observation when it comes, choose when candidates come.

The encoder never waits: while the policy still samples, the observation is being
encoded, so what is left when the candidates come is one small head for all of them.
Whichever of the two comes first waits for the other, by stamp.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vgps_models.critics import selection
from vgps_models.critics.network import Critic
from vgps_models.errors import SpecError, VgpsError
from vgps_models.spaces import Array, Observation
from vgps_node.moments import Candidates, Chunk, Moment, Recent, Scores


@dataclass(frozen=True, eq=False)
class Choice:
    """The chunk to execute, and why. problem: set when the value function could not choose."""

    chunk: Chunk
    scores: Scores
    problem: str = ""


class Ranker:
    """Encodings and candidates in, choices out. The same rules and functions as `Steering`."""

    def __init__(self, critic: Critic | None, *, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.critic = critic
        self.rule, self.beta, self.penalty = "first", 1.0, 1.0
        self._seconds = seconds
        self._encoded: Recent[tuple[Any, float]] = Recent(8)  # stamp -> features, ms
        self._waiting: Recent[tuple[Candidates, float]] = Recent(4)  # stamp -> candidates, when they came
        self._answers: Recent[Choice] = Recent(4)

    @property
    def scores(self) -> bool:
        """Whether the rule looks at scores."""
        return self.rule not in selection.UNSCORED

    def configure(self, critic: Critic | None, rule: str, beta: float, penalty: float) -> None:
        """How to choose from the next candidates on."""
        selection.require_rule(rule)
        if critic is None and rule not in selection.UNSCORED:
            raise SpecError(f"rule '{rule}' needs a critic; without one use: {', '.join(selection.UNSCORED)}")
        if not beta > 0 and rule == "softmax":
            raise SpecError(f"softmax needs beta > 0, not {beta}; use argmax for the limit")
        if critic is not self.critic:
            self._encoded.clear()
        self.critic, self.rule, self.beta, self.penalty = critic, rule, beta, penalty

    def see(self, moment: Moment, observation: Observation) -> Choice | None:
        """Encode an observation; the choice, when its candidates were here already."""
        if self.critic is not None and self.scores and self._encoded.get(moment.stamp) is None:
            began = self._seconds()
            features = self.critic.encode(observation)
            self._encoded.put(moment.stamp, (features, 1e3 * (self._seconds() - began)))
        waiting = self._waiting.pop(moment.stamp)
        return self._choose(*waiting) if waiting is not None else None

    def choose(self, candidates: Candidates) -> Choice | None:
        """The choice, when the observation is encoded; the same one when asked again."""
        stamp, came = candidates.moment.stamp, self._seconds()
        if (answer := self._answers.get(stamp)) is not None:
            return answer
        if self.scores and self._encoded.get(stamp) is None:
            self._waiting.put(stamp, (candidates, came))
            return None
        return self._choose(candidates, came)

    def _choose(self, candidates: Candidates, came: float) -> Choice:
        moment, actions, problem = candidates.moment, candidates.actions, ""
        began = self._seconds()
        features, encode_ms = self._encoded.get(moment.stamp) or (None, 0.0)
        try:
            chosen, mean, std = self._select(moment, actions, features)
        except VgpsError as error:  # the gate judges what is passed on, and holds if it must
            chosen, mean, std, problem = 0, selection.unscored(0), selection.unscored(0), str(error)
        done = self._seconds()
        scores = Scores(
            moment=moment,
            rule=self.rule,
            mean=mean,
            std=std,
            chosen=chosen,
            abstained=bool(problem),
            encode_ms=encode_ms,
            score_ms=1e3 * (done - began),
            candidates_to_choice_ms=1e3 * (done - came),
        )
        choice = Choice(Chunk(moment, actions[chosen]), scores, problem)
        self._answers.put(moment.stamp, choice)
        return choice

    def _select(self, moment: Moment, actions: Array, features: Any) -> tuple[int, Array, Array]:
        """Index among all candidates, and their scores; none for a rule that needs none, NaN where invalid."""
        valid, _ = selection.drop_invalid(actions)
        index = np.flatnonzero(np.isfinite(actions).all(axis=(1, 2)))
        if self.critic is None or not self.scores:
            blank = selection.unscored(len(valid))
            return int(index[selection.select(self.rule, blank, blank, key=moment.key)]), blank[:0], blank[:0]
        mean, std = self.critic.score(features, valid)
        i = selection.select(self.rule, mean, std, beta=self.beta, penalty=self.penalty, key=moment.key)
        all_mean, all_std = np.full(len(actions), np.nan), np.full(len(actions), np.nan)
        all_mean[index], all_std[index] = mean, std
        return int(index[i]), all_mean, all_std
