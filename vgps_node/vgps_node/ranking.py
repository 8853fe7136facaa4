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

from vgps_models.critics.network import Critic
from vgps_models.errors import VgpsError
from vgps_models.selection import Choice, Judge, Selection, choose
from vgps_models.spaces import Observation
from vgps_node.moments import Candidates, Chunk, Moment, Recent, Scores


@dataclass(frozen=True, eq=False)
class Answer:
    """The chunk to execute, and why. problem: set when the value function could not choose."""

    chunk: Chunk
    scores: Scores
    problem: str = ""


class Ranker:
    """Encodings and candidates in, answers out. The same functions as `Steering`."""

    def __init__(self, critic: Critic | None, *, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.critic, self.selection = critic, Selection("first")
        self._seconds = seconds
        self._encoded: Recent[tuple[Any, float]] = Recent(8)  # stamp -> features, ms
        self._waiting: Recent[tuple[Candidates, float]] = Recent(4)  # stamp -> candidates, when they came
        self._answers: Recent[Answer] = Recent(4)

    def configure(self, critic: Critic | None, selection: Selection) -> None:
        """How to choose from the next candidates on."""
        selection.require_critic(critic is not None)
        if critic is not self.critic:
            self._encoded.clear()
        self.critic, self.selection = critic, selection

    def rewind(self) -> None:
        """Forget every encoding, candidate and answer, because time went back."""
        for recent in (self._encoded, self._waiting, self._answers):
            recent.clear()

    def see(self, moment: Moment, observation: Observation) -> Answer | None:
        """Encode an observation; the answer, when its candidates were here already."""
        if self.critic is not None and self.selection.scored and self._encoded.get(moment.stamp) is None:
            began = self._seconds()
            features = self.critic.encode(observation)
            self._encoded.put(moment.stamp, (features, 1e3 * (self._seconds() - began)))
        waiting = self._waiting.pop(moment.stamp)
        return self._answer(*waiting) if waiting is not None else None

    def choose(self, candidates: Candidates) -> Answer | None:
        """The answer, when the observation is encoded; the same one when asked again."""
        stamp, came = candidates.moment.stamp, self._seconds()
        if (answer := self._answers.get(stamp)) is not None:
            return answer
        if self.selection.scored and self._encoded.get(stamp) is None:
            self._waiting.put(stamp, (candidates, came))
            return None
        return self._answer(candidates, came)

    def _answer(self, candidates: Candidates, came: float) -> Answer:
        moment, problem = candidates.moment, ""
        began = self._seconds()
        features, encode_ms = self._encoded.get(moment.stamp) or (None, 0.0)
        judge = Judge.of(self.critic, features) if self.critic is not None and self.selection.scored else None
        try:
            choice = choose(self.selection, candidates.actions, candidates.log_prob, judge, moment.key)
        except VgpsError as error:  # the gate judges what is passed on, and holds if it must
            broken = ~np.isfinite(candidates.actions).all(axis=(1, 2))
            choice, problem = Choice(candidates.actions[0], 0, int(broken.sum()), abstained=True), str(error)
        done = self._seconds()
        scores = Scores(
            moment=moment,
            rule=self.selection.rule,
            mean=choice.mean,
            std=choice.std,
            chosen=choice.chosen,
            doubt=choice.doubt,
            abstained=choice.abstained,
            dropped=choice.dropped,
            encode_ms=encode_ms,
            score_ms=1e3 * (done - began),
            candidates_to_choice_ms=1e3 * (done - came),
        )
        answer = Answer(Chunk(moment, choice.chunk), scores, problem)
        self._answers.put(moment.stamp, answer)
        return answer
