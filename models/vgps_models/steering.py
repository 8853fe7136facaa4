"""Guided control: a frozen policy proposes, a critic scores, a selection chooses."""

from __future__ import annotations

import time
from pathlib import Path

from vgps_models import checkpoint
from vgps_models.critics.network import Critic
from vgps_models.errors import SpecError
from vgps_models.perception.runtime import Perception
from vgps_models.policies.base import Policy
from vgps_models.selection import Judge, Selection, choose
from vgps_models.spaces import ActionSpec, Decision, Observation


class Steering:
    """Observation -> Decision, by the same `sample`, `encode`, `score` and `choose` that the ROS nodes call."""

    def __init__(
        self, policy: Policy, critic: Critic | None = None, *, k: int = 10, selection: Selection | None = None
    ) -> None:
        """k: chunks to choose from. selection: how; the default one, or the policy's first without a critic."""
        selection = selection or Selection(rule="first" if critic is None else Selection.rule)
        if k < 1:
            raise SpecError(f"there must be at least one chunk to choose from, not {k}")
        selection.require_critic(critic is not None)
        if critic is not None:
            policy.spec.require_equal(critic.spec, mine="policy", theirs="critic")
            policy.normaliser.require_equal(critic.normaliser, mine="policy", theirs="critic")
        self.policy, self.critic, self.k, self.selection = policy, critic, k, selection

    @classmethod
    def from_checkpoints(
        cls,
        policy: str | Path,
        critic: str | Path | None = None,
        *,
        k: int = 10,
        selection: Selection | None = None,
        spec: ActionSpec | None = None,
        threads: int = 1,
    ) -> Steering:
        """Load both; when they carry the same encoder it runs once an observation."""
        loaded = checkpoint.load_policy(policy, spec=spec, threads=threads)
        scorer = None if critic is None else checkpoint.load_critic(critic, spec=spec, threads=threads)
        if scorer is not None and scorer.perception.sha256 == loaded.perception.sha256:
            scorer.perception = loaded.perception
        return cls(loaded, scorer, k=k, selection=selection)

    def __call__(self, observation: Observation) -> Decision:
        """ms: "encode" (images to features, both sides), "policy" (sampling), "value" (scoring and choosing)."""
        began = time.perf_counter()
        perception = getattr(self.policy, "perception", None)
        if isinstance(perception, Perception):
            perception(observation)  # remembered, so that sampling is timed without it
        judge = None
        if self.critic is not None and self.selection.scored:
            judge = Judge.of(self.critic, self.critic.encode(observation))
        encoded = time.perf_counter()
        proposal = self.policy.sample(observation, self.k)
        sampled = time.perf_counter()
        choice = choose(self.selection, proposal.chunks, proposal.log_prob, judge, observation.key)
        done = time.perf_counter()
        return Decision(
            chunk=choice.chunk,
            candidates=proposal.chunks,
            mean=choice.mean,
            std=choice.std,
            chosen=choice.chosen,
            doubt=choice.doubt,
            abstained=choice.abstained,
            dropped=choice.dropped,
            ms={
                "encode": 1e3 * (encoded - began),
                "policy": 1e3 * (sampled - encoded),
                "value": 1e3 * (done - sampled),
            },
        )
