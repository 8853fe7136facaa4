"""Guided control: a frozen policy proposes, a critic scores, a rule chooses."""

from __future__ import annotations

import time
from pathlib import Path

from vgps_models import checkpoint
from vgps_models.critics import selection
from vgps_models.critics.network import Critic
from vgps_models.errors import SpecError
from vgps_models.perception.runtime import Perception
from vgps_models.policies.base import Policy
from vgps_models.spaces import ActionSpec, Decision, Observation


class Steering:
    """Observation -> Decision, by the same `sample`, `encode`, `score` and `select` that the ROS nodes call."""

    def __init__(
        self,
        policy: Policy,
        critic: Critic | None = None,
        *,
        k: int = 10,
        rule: str = "argmax",
        beta: float = 1.0,
        penalty: float = 1.0,
    ) -> None:
        """k: chunks to choose from. rule: one of `selection.RULES`. beta, penalty: see `selection.select`.

        Without a critic only the rules `first` and `random` can choose.
        """
        selection.require_rule(rule)
        if k < 1:
            raise SpecError(f"there must be at least one chunk to choose from, not {k}")
        if critic is None and rule not in selection.UNSCORED:
            raise SpecError(f"rule '{rule}' needs a critic; without one use: {', '.join(selection.UNSCORED)}")
        if critic is not None:
            policy.spec.require_equal(critic.spec, mine="policy", theirs="critic")
            policy.normaliser.require_equal(critic.normaliser, mine="policy", theirs="critic")
        self.policy, self.critic = policy, critic
        self.k, self.rule, self.beta, self.penalty = k, rule, beta, penalty
        self.dropped = 0  # candidates that held NaN or infinity so far

    @classmethod
    def from_checkpoints(
        cls,
        policy: str | Path,
        critic: str | Path | None = None,
        *,
        k: int = 10,
        rule: str = "argmax",
        beta: float = 1.0,
        penalty: float = 1.0,
        spec: ActionSpec | None = None,
        threads: int = 1,
    ) -> Steering:
        """Load both; when they carry the same encoder it runs once an observation."""
        loaded = checkpoint.load_policy(policy, spec=spec, threads=threads)
        scorer = None if critic is None else checkpoint.load_critic(critic, spec=spec, threads=threads)
        if scorer is not None and scorer.perception.sha256 == loaded.perception.sha256:
            scorer.perception = loaded.perception
        return cls(loaded, scorer, k=k, rule=rule, beta=beta, penalty=penalty)

    def __call__(self, observation: Observation) -> Decision:
        """ms: "encode" (images to features, both sides), "policy" (sampling), "value" (scoring and choosing)."""
        began = time.perf_counter()
        perception = getattr(self.policy, "perception", None)
        if isinstance(perception, Perception):
            perception(observation)  # remembered, so that sampling is timed without it
        scored = self.critic is not None and self.rule not in selection.UNSCORED
        features = self.critic.encode(observation) if self.critic is not None and scored else None
        encoded = time.perf_counter()
        candidates, dropped = selection.drop_invalid(self.policy.sample(observation, self.k).chunks)
        self.dropped += dropped
        sampled = time.perf_counter()
        if self.critic is not None and features is not None:
            mean, std = self.critic.score(features, candidates)
            chosen = selection.select(
                self.rule, mean, std, beta=self.beta, penalty=self.penalty, key=observation.key
            )  # fmt: skip
        else:
            mean = std = selection.unscored(0)
            blank = selection.unscored(len(candidates))
            chosen = selection.select(self.rule, blank, blank, key=observation.key)
        done = time.perf_counter()
        return Decision(
            chunk=candidates[chosen],
            candidates=candidates,
            mean=mean,
            std=std,
            chosen=chosen,
            ms={
                "encode": 1e3 * (encoded - began),
                "policy": 1e3 * (sampled - encoded),
                "value": 1e3 * (done - sampled),
            },
        )
