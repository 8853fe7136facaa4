"""The sides of an evaluation, as settings and as controllers made from them. Knows no ROS and loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vgps_models.selection import Selection
from vgps_models.spaces import Controller
from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions
from vgps_sim.results import Condition


@dataclass(frozen=True)
class Steered:
    """A guided policy as settings. Picklable; called, it loads the checkpoints and gives the controller."""

    policy: str  # checkpoint: a shipped name or a path
    critic: str | None  # None for no critic
    k: int  # chunks to choose from
    selection: Selection  # how

    def __call__(self) -> Controller:
        from vgps_models.steering import Steering

        return Steering.from_checkpoints(self.policy, self.critic, k=self.k, selection=self.selection)

    def trusting(self, trust: Path) -> Steered:
        """The same, abstaining above the threshold of a file of `vgps train trust` that was made for it."""
        from vgps_models.checkpoint import read_card
        from vgps_models.selection.trust import Trust

        policy, critic = (read_card(name).weights_sha256 for name in (self.policy, str(self.critic)))
        return replace(self, selection=Trust.load(trust).selection_for(policy, critic, self.k, self.selection))

    def settings(self) -> dict[str, Any]:
        """What decides the outcome, with the checkpoints by the hash of their weights."""
        from vgps_models.checkpoint import read_card

        hashes = {"policy_sha256": read_card(self.policy).weights_sha256[:16]}
        if self.critic is not None:
            hashes["critic_sha256"] = read_card(self.critic).weights_sha256[:16]
        names = {"policy": self.policy, "critic": self.critic, "k": self.k}
        return names | self.selection.to_json() | hashes

    def condition(self, name: str) -> Condition:
        """A side of an evaluation, refused when policy and critic do not fit each other."""
        self.require_fit()
        return Condition(name, self, self.settings())

    def require_fit(self) -> None:
        """Raise when a checkpoint is unknown or damaged, a critic is missing, or both were trained on other actions."""
        from vgps_models.checkpoint import verify

        self.selection.require_critic(self.critic is not None)
        policy = verify(self.policy, "policy")
        if self.critic is None:
            return
        critic = verify(self.critic, "critic")
        mine, theirs = f"policy {self.policy}", f"critic {self.critic}"
        if policy.spec and critic.spec:
            policy.spec.require_equal(critic.spec, mine=mine, theirs=theirs)
        if policy.normaliser and critic.normaliser:
            policy.normaliser.require_equal(critic.normaliser, mine=mine, theirs=theirs)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Steered:
        """Of a condition's settings; what is not ours is left out."""
        return cls(settings["policy"], settings["critic"], settings["k"], Selection.from_json(settings))


def require_graph(options: GraphOptions, progress: ProgressOptions | None = None) -> None:
    """Raise when a checkpoint or a reward that a node of the graph loads is missing, damaged or of another kind."""
    critic = None if options.critic == "none" else options.critic
    Steered(options.policy, critic, options.k, options.selection).require_fit()
    if progress is not None and progress.learned:
        from vgps_models.progress.backends import verify_judge

        verify_judge(progress.checkpoint)
    if options.reward:
        from vgps_models.irl.rewards import load_reward

        load_reward(Path(options.reward))
