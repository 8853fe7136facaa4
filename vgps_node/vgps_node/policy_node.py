"""The policy on the graph: observations in, K candidate chunks out."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node

from vgps_models import checkpoint
from vgps_models.contract import Contract
from vgps_models.policies.base import Policy
from vgps_models.spaces import ActionSpec, Observation
from vgps_msgs.msg import Candidates as CandidatesMsg
from vgps_node import messages, topics
from vgps_node.bringup import OPTIONS
from vgps_node.moments import Candidates, Recent, TaskState
from vgps_node.observing import ObservationInput
from vgps_node.runtime import RELIABLE, RELIABLE_IMAGES, declare, run


class PolicyNode(Node):
    """Samples at every step that is a multiple of `execute`."""

    PARAMETERS: ClassVar = {
        "checkpoint": OPTIONS["policy"],
        "k": OPTIONS["k"],
        "execute": OPTIONS["execute"],
        "reliable_images": RELIABLE_IMAGES,
    }

    def __init__(self, context: Context) -> None:
        super().__init__("policy_node", context=context)
        parameters = declare(self, self.PARAMETERS, self._apply, live=("checkpoint", "k", "execute"))
        self._name, self._policy = "", None
        self.k, self.execute = 1, 1
        self._apply(parameters)
        self._sampled: Recent[Candidates] = Recent(4)
        self._publisher = self.create_publisher(CandidatesMsg, topics.CANDIDATES, RELIABLE)
        ObservationInput(
            self, Contract.load(), self._on_observation, self._sampled.clear, reliable=parameters["reliable_images"]
        )

    @property
    def policy(self) -> Policy:
        assert self._policy is not None  # _apply ran
        return self._policy

    def _apply(self, parameters: dict[str, Any]) -> None:
        name = parameters.get("checkpoint", self._name)
        if name != self._name:
            self._policy, self._name = checkpoint.load_policy(name, spec=ActionSpec()), name
        self.k, self.execute = parameters.get("k", self.k), parameters.get("execute", self.execute)

    def _on_observation(self, task: TaskState, observation: Observation) -> None:
        moment = task.moment
        if task.done or moment.step % self.execute:
            return
        if (candidates := self._sampled.get(moment.stamp)) is None:
            began = time.perf_counter()
            proposal = self.policy.sample(observation, self.k)
            ms = 1e3 * (time.perf_counter() - began)
            candidates = Candidates(moment, proposal.chunks, ms, proposal.log_prob)
            self._sampled.put(moment.stamp, candidates)
        self._publisher.publish(messages.candidates_to_msg(candidates))


def main() -> None:
    run(PolicyNode)


if __name__ == "__main__":
    main()
