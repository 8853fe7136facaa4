"""The value function on the graph: candidates in, the chosen chunk out. `Ranker` does the work."""

from __future__ import annotations

from typing import Any, ClassVar

from rclpy.context import Context
from rclpy.node import Node

from vgps_models import checkpoint
from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.selection import Selection
from vgps_models.spaces import ActionSpec, Observation
from vgps_msgs.msg import ActionChunk, Candidates, Scores
from vgps_node import messages, topics
from vgps_node.bringup import OPTIONS
from vgps_node.moments import TaskState
from vgps_node.observing import ObservationInput
from vgps_node.params import specs
from vgps_node.ranking import Answer, Ranker
from vgps_node.runtime import RELIABLE, RELIABLE_IMAGES, declare, run

NO_CRITIC = "none"


class ValueNode(Node):
    """Encodes observations as they come, and chooses among candidates."""

    LIVE: ClassVar = {"checkpoint": OPTIONS["critic"], **specs(Selection()), "execute": OPTIONS["execute"]}
    PARAMETERS: ClassVar = LIVE | {"reliable_images": RELIABLE_IMAGES}

    def __init__(self, context: Context) -> None:
        super().__init__("value_node", context=context)
        parameters = declare(self, self.PARAMETERS, self._apply, live=self.LIVE)
        self._name, self.ranker, self.execute = NO_CRITIC, Ranker(None), 1
        self._apply(parameters)
        self._chunks = self.create_publisher(ActionChunk, topics.CHUNK, RELIABLE)
        self._scores = self.create_publisher(Scores, topics.SCORES, RELIABLE)
        ObservationInput(
            self, Contract.load(), self._on_observation, self.ranker.rewind, reliable=parameters["reliable_images"]
        )
        self.create_subscription(Candidates, topics.CANDIDATES, self._on_candidates, RELIABLE)

    def _apply(self, parameters: dict[str, Any]) -> None:
        ranker, critic, name = self.ranker, self.ranker.critic, parameters.get("checkpoint", self._name)
        if name != self._name:
            critic = None if name == NO_CRITIC else checkpoint.load_critic(name, spec=ActionSpec())
        ranker.configure(critic, Selection.from_json(ranker.selection.to_json() | parameters))
        self._name, self.execute = name, parameters.get("execute", self.execute)

    def _on_observation(self, task: TaskState, observation: Observation) -> None:
        if not task.done and task.moment.step % self.execute == 0:
            self._publish(self.ranker.see(task.moment, observation))

    def _on_candidates(self, message: Candidates) -> None:
        try:
            candidates = messages.candidates_from_msg(message)
        except VgpsError as error:
            self.get_logger().warning(f"candidates ignored: {error}", throttle_duration_sec=1.0)
            return
        self._publish(self.ranker.choose(candidates))

    def _publish(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self._chunks.publish(messages.chunk_to_msg(answer.chunk))
        self._scores.publish(messages.scores_to_msg(answer.scores))
        if answer.problem:
            self.get_logger().error(f"passing the first candidate on: {answer.problem}", throttle_duration_sec=1.0)


def main() -> None:
    run(ValueNode)


if __name__ == "__main__":
    main()
