"""An evaluation over the graph: the same jobs and the same results as in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from vgps_models.contract import Contract
from vgps_models.errors import VgpsError
from vgps_models.spaces import Decision
from vgps_msgs import msg, srv
from vgps_node import bringup, messages, topics
from vgps_node.bringup import GATE, POLICY, SIM, VALUE, GraphOptions, sim_graph
from vgps_node.conditions import Steered, require_graph
from vgps_node.domain import own_domain
from vgps_node.gate import Reason
from vgps_node.moments import Candidates, Chunk, Scores, TaskState
from vgps_node.runtime import RELIABLE, ros
from vgps_node.supervisor import Supervisor
from vgps_sim.results import EpisodeResult, Job, StepRecord


class SessionError(VgpsError):
    """The graph did not do what an evaluation needs; the message says which node, and why."""


class SilenceError(SessionError):
    """An episode stopped without a word, or a message about it was lost."""


@dataclass
class _Heard:
    """What was heard since a reset was asked for, by stamp."""

    states: dict[int, TaskState] = field(default_factory=dict)
    sent: dict[int, msg.SentAction] = field(default_factory=dict)
    candidates: dict[int, Candidates] = field(default_factory=dict)
    scores: dict[int, Scores] = field(default_factory=dict)
    chunks: dict[int, Chunk] = field(default_factory=dict)

    def episode(self, number: int) -> list[TaskState]:
        """States of an episode in the order of its steps. A reset asked for twice began two; the second counts."""
        number = max([number, *(s.episode for s in self.states.values())])
        return [s for _, s in sorted(self.states.items()) if s.episode == number]

    def complete(self, number: int, execute: int) -> bool:
        """The episode is over, and everything that was published about it has come."""
        states = self.episode(number)
        if not states or not states[-1].done or len(states) != states[-1].moment.step + 1:
            return False
        *acted, _ = [state.moment.stamp for state in states]
        if any(stamp not in self.sent for stamp in acted):
            return False
        planned = [stamp for stamp in acted[::execute] if not _held(self.sent[stamp])]
        return all(stamp in part for stamp in planned for part in (self.candidates, self.scores, self.chunks))


class RosSession:
    """An episode source over a running graph: `with RosSession(options, folder) as session: evaluate.run(...)`.

    Starts the graph in a ROS domain of its own, each node a process, and stops it at the end. A node that
    dies ends the evaluation with its name, its exit code and the end of its log.

    options: what the graph starts with; each job then sets what its condition asks for.
    log_folder: where the nodes' output goes.
    stall: steady time without any news from the graph after which an episode is given up [s].
    """

    name = "ros"
    REPEATS = 2  # times that an episode of which something was lost is played again
    QUIET = 0.3  # [s] without news after which a realtime episode that is over has nothing more to say
    ASKED, PATIENCE = 12, 5.0  # times that a service is asked, and how long an answer is waited for [s]

    def __init__(
        self, options: GraphOptions | None = None, log_folder: Path = Path("runs/log"), *, stall: float = 15.0
    ) -> None:
        self._options = options or GraphOptions()
        require_graph(self._options)
        self._log_folder, self._stall = log_folder, stall
        # Against the wall clock a late chunk is an outcome; where the world waits it is a fault.
        self._strict = self._options.clock != "realtime"
        self._stack = ExitStack()
        self._parameters: dict[str, dict[str, bringup.Parameter]] = {}
        self._heard = _Heard()
        self._news = time.monotonic()
        self._checked = 0.0

    # Start and stop

    def __enter__(self) -> RosSession:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the graph. Safe to call again."""
        self._stack.close()

    def _start(self) -> None:
        self.domain = domain = self._stack.enter_context(own_domain())
        specs = sim_graph(self._options)
        commands = {spec.name: spec.command() for spec in specs}
        environment = bringup.environment() | {"ROS_DOMAIN_ID": str(domain)}
        self.supervisor = self._stack.enter_context(Supervisor(commands, self._log_folder, environment))
        context, self._executor = self._stack.enter_context(ros([], domain_id=domain))
        self._node = Node("evaluation", context=context)
        self._stack.callback(self._node.destroy_node)
        self._executor.add_node(self._node)
        self._listen()
        self.supervisor.wait_ready()
        self._parameters = {spec.name: dict(spec.parameters) for spec in specs}
        self._wait_for_graph()

    def _listen(self) -> None:
        node, contract = self._node, Contract.load()
        self._reset = node.create_client(srv.Reset, topics.RESET)
        self._setters = {name: AsyncParameterClient(node, name) for name in (SIM, POLICY, VALUE, GATE)}
        node.create_subscription(msg.TaskState, contract.task.topic, self._on_state, RELIABLE)
        node.create_subscription(msg.SentAction, contract.action.topic, self._on_sent, RELIABLE)
        node.create_subscription(msg.Candidates, topics.CANDIDATES, self._on_candidates, RELIABLE)
        node.create_subscription(msg.Scores, topics.SCORES, self._on_scores, RELIABLE)
        node.create_subscription(msg.ActionChunk, topics.CHUNK, self._on_chunk, RELIABLE)

    def _wait_for_graph(self, timeout: float = 30.0) -> None:
        """Until every node sees every other one: a reader for each topic, a server for each service."""
        contract = Contract.load()
        readers = {contract.task.topic: 4, contract.state.topic: 3, topics.CANDIDATES: 2, topics.CHUNK: 2}
        readers |= {feature.topic: 2 for feature in contract.images.values()} | {topics.JOINT_COMMAND: 1}
        readers |= {topics.SCORES: 1, contract.action.topic: 1}

        began = time.monotonic()

        def there() -> bool:
            if time.monotonic() - began > timeout:
                raise SessionError(f"the nodes of the graph do not find each other within {timeout:g} s")
            heard = all(self._node.count_subscribers(topic) >= n for topic, n in readers.items())
            written = all(self._node.count_publishers(topic) >= 1 for topic in readers)
            served = self._reset.service_is_ready() and all(c.services_are_ready() for c in self._setters.values())
            return heard and written and served

        self._until(there)

    # Episodes

    def play(self, job: Job) -> EpisodeResult:
        """Play one episode over the graph.

        Where the world waits for its controller the same job gives the same episode, so one of which a message
        was lost is played again.
        """
        for again in range(self.REPEATS if self._strict else 0, -1, -1):
            try:
                return self._play(job)
            except SilenceError as silence:
                if not again:
                    raise
                self._node.get_logger().warning(f"{silence}; it is played again")
        raise AssertionError("unreachable")

    def _play(self, job: Job) -> EpisodeResult:
        self._configure(job)
        self._heard = heard = _Heard()
        request = srv.Reset.Request(task=job.task, seed=job.seed)
        response = self._ask(partial(self._reset.call_async, request), "the simulator does not answer")
        if not response.ok:
            raise SessionError(f"the simulator refused to begin: {response.message}")
        self._news = time.monotonic()
        self._until(lambda: self._complete(job, response.episode))
        return _result(job, heard, heard.episode(response.episode), strict=self._strict)

    def _complete(self, job: Job, number: int) -> bool:
        if time.monotonic() - self._news > self._stall:
            heard = self._heard
            at = max((state.moment.step for state in heard.episode(number)), default=0)
            raise SilenceError(
                f"{job.task}, seed {job.seed}: nothing more was heard after step {at} for {self._stall:g} s "
                f"({len(heard.states)} states, {len(heard.sent)} sent actions, {len(heard.candidates)} sets of "
                f"candidates, {len(heard.scores)} scores); logs: {self._log_folder}"
            )
        if not self._strict:
            states = self._heard.episode(number)
            return bool(states) and states[-1].done and time.monotonic() - self._news > self.QUIET
        return self._heard.complete(number, job.execute)

    def _configure(self, job: Job) -> None:
        """Set what this job asks for, where it differs from what is set."""
        side = Steered.from_settings(job.condition.settings)
        wanted: dict[str, dict[str, bringup.Parameter]] = {
            SIM: {"max_steps": job.max_steps},
            POLICY: {"checkpoint": side.policy, "k": side.k, "execute": job.execute},
            VALUE: {
                "checkpoint": side.critic or "none",
                "execute": job.execute,
                **side.selection.to_json(),
            },
            GATE: {"execute": job.execute},
        }
        for name, parameters in wanted.items():
            known = self._parameters[name]
            changed = [Parameter(key, value=value) for key, value in parameters.items() if known.get(key) != value]
            if not changed:
                continue
            setter = self._setters[name]
            outcome = self._ask(partial(setter.set_parameters_atomically, changed), f"{name} does not answer").result
            if not outcome.successful:
                raise SessionError(f"{name} refused its settings: {outcome.reason}")
            known.update(parameters)

    def _ask(self, send: Callable[[], Future], problem: str) -> Any:
        """The answer to a request that may be repeated. It must be: a server that has not yet found the client
        of a request drops its answer."""
        futures: list[Future] = []
        for _ in range(self.ASKED):
            futures.append(send())
            began = time.monotonic()
            self._until(lambda: any(f.done() for f in futures) or time.monotonic() - began > self.PATIENCE)  # noqa: B023
            for future in futures:
                if future.done():
                    return future.result()
        raise SessionError(f"{problem} (asked {self.ASKED} times in {self.ASKED * self.PATIENCE:g} s)")

    def _until(self, done: Callable[[], bool]) -> None:
        """Spin until `done`, or until a node dies."""
        while not done():
            self._executor.spin_once(timeout_sec=0.1)
            now = time.monotonic()
            if now - self._checked > 0.2:
                self._checked = now
                self.supervisor.check()

    # What is heard

    def _on_state(self, message: msg.TaskState) -> None:
        self._hear(self._heard.states, message, messages.task_state_from_msg(message))

    def _on_sent(self, message: msg.SentAction) -> None:
        self._hear(self._heard.sent, message, message)

    def _on_candidates(self, message: msg.Candidates) -> None:
        self._hear(self._heard.candidates, message, messages.candidates_from_msg(message))

    def _on_scores(self, message: msg.Scores) -> None:
        self._hear(self._heard.scores, message, messages.scores_from_msg(message))

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        self._hear(self._heard.chunks, message, messages.chunk_from_msg(message))

    def _hear(self, heard: dict[int, Any], message: Any, value: Any) -> None:
        heard[messages.stamp_of(message)] = value
        self._news = time.monotonic()


def _held(sent: msg.SentAction) -> bool:
    """The gate held for want of a valid chunk. What the arm cannot reach is the policy's own failure."""
    return sent.hold and sent.reason != Reason.IK


def _result(job: Job, heard: _Heard, states: list[TaskState], *, strict: bool) -> EpisodeResult:
    """Of a complete episode; raises when it says nothing about the policy."""
    actions, records, last = [], [], states[-1]
    chunk, still = np.zeros((0, 7)), np.array([0, 0, 0, 0, 0, 0, 1.0])
    for state, following in pairwise(states):
        stamp, step = state.moment.stamp, state.moment.step
        sent, i = heard.sent.get(stamp), step % job.execute
        if sent is not None and _held(sent) and (strict or sent.reason != Reason.NOTHING_RECEIVED):
            raise SessionError(f"the gate held at step {step} ({Reason(sent.reason).name}): {sent.detail}")
        if i == 0:
            candidates, scores, chosen = heard.candidates.get(stamp), heard.scores.get(stamp), heard.chunks.get(stamp)
            chunk = np.zeros((0, 7))
            if candidates is not None and scores is not None and chosen is not None:
                if scores.abstained and not len(scores.mean):
                    raise SessionError(f"the value function could not choose at step {step}; see the log of value_node")
                chunk = chosen.actions
                records.append(_record(candidates, scores, chosen, following.loop_ms))
        if sent is not None and not _held(sent) and len(chunk):
            still[6] = chunk[i, 6]
            actions.append(chunk[i])  # as asked, also where the arm could not follow
        else:
            actions.append(still.copy())  # realtime: nothing came in time
    return EpisodeResult(
        task=job.task,
        seed=job.seed,
        condition=job.condition.name,
        success=last.success,
        steps=last.moment.step,
        events=last.events,
        actions=np.array(actions, dtype=np.float64).reshape(-1, 7),
        records=tuple(records),
    )


def _record(candidates: Candidates, scores: Scores, chunk: Chunk, loop_ms: float) -> StepRecord:
    ms = {"policy": candidates.sample_ms, "encode": scores.encode_ms, "value": scores.candidates_to_choice_ms}
    decision = Decision(
        chunk=chunk.actions,
        candidates=candidates.actions,
        mean=scores.mean,
        std=scores.std,
        chosen=scores.chosen,
        ms=ms | ({"loop": loop_ms} if loop_ms >= 0 else {}),
        doubt=scores.doubt,
        abstained=scores.abstained,
        dropped=scores.dropped,
    )
    return StepRecord.of(decision, step=candidates.moment.step)
