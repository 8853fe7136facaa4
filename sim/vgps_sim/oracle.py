"""The oracle: every candidate is tried out in a copy of the world, the scripted expert goes on from there, and the one
after which it succeeds soonest is executed.

What is tried out are the steps that would be executed before the next decision. The
candidates are those of another controller, so paired episodes differ from that
one's by the choice alone.

What this bounds: the choice of ONE chunk among K by a critic that knows the
expert's value of what follows, Q(s, chunk) = -(steps until the expert has
succeeded), without error and from the true state. The gap to a learned critic
is what better values could still win with the same samples.

What it does not bound:
- other samples: no choice is better than the best of K.
- a critic of the policy's own continuation. After the choice it is the guided
  policy that goes on, not the expert. The expert mends what the policy may not
  (a slipped grasp, an awkward hand), so the oracle may take a chunk that is
  good in an expert's hands only; planning over several decisions could do better.
- the fastest way: the expert is scripted, and slower or clumsier than need be.
- a controller without the simulator: it sees the state, not images.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from vgps_models.errors import VgpsError
from vgps_models.spaces import Array, Controller, Decision, Observation
from vgps_sim.env import execute
from vgps_sim.experts import Expert
from vgps_sim.kinematics import ToolServo
from vgps_sim.results import Condition, ControllerFactory, Job
from vgps_sim.world import World


class OracleError(VgpsError):
    """An oracle that has no world to look into."""


class Oracle:
    """The best of `proposer`'s candidates by trial in a copy of the world. Draws no pictures while it tries."""

    def __init__(self, proposer: Controller) -> None:
        self.proposer = proposer
        self._expert = Expert()
        self._copies: dict[str, tuple[World, ToolServo]] = {}
        self._bound: tuple[World, ToolServo, Job] | None = None

    def bind(self, world: World, servo: ToolServo, job: Job) -> None:
        """The world and servo that the next episode is played with; both are only read."""
        self._bound = (world, servo, job)

    def __call__(self, observation: Observation) -> Decision:
        """mean: the candidates' `value`, std: 0. ms: the proposer's, and "value" for trying them out."""
        proposed = self.proposer(observation)
        began = time.perf_counter()
        value = self.values(proposed.candidates)
        chosen = int(np.argmax(value))
        took = 1e3 * (time.perf_counter() - began)
        return replace(
            proposed,
            chunk=proposed.candidates[chosen],
            mean=value,
            std=np.zeros_like(value),
            chosen=chosen,
            ms={**proposed.ms, "value": proposed.ms.get("value", 0.0) + took},
        )

    def values(self, candidates: Array) -> Array:
        """`value` of each candidate (K, H, 7) from the present state of the bound world. Shape (K,)."""
        if self._bound is None:
            raise OracleError("the oracle looks into the simulator; play it with vgps_sim.episode, not over ROS")
        world, servo, job = self._bound
        name = world.task.id
        if name not in self._copies:
            self._copies[name] = (World(name, spec=world.spec), ToolServo(world.spec))
        copy, hand = self._copies[name]
        before = servo.state()
        out = np.empty(len(candidates))
        for i, chunk in enumerate(candidates):
            copy_state(world, copy)
            hand.set_state(before)
            out[i] = value(copy, hand, chunk[: job.execute], job.max_steps, self._expert)
        return out


def value(world: World, servo: ToolServo, actions: Array, max_steps: int, expert: Expert) -> float:
    """-(control steps until success) when `actions` (n, 7) are executed now and the expert goes on from there.

    A failure counts as one step more than the episode has left, so it is below every success. Whole steps
    decide; among equals it is the way `to_go` after the actions, which is worth less than one step.
    Moves `world` and `servo`.
    """
    left = max_steps - world.step
    steps, rest = 0, 0.0
    while steps < left and not world.success:
        execute(world, servo, actions[steps] if steps < len(actions) else expert.act(world))
        steps += 1
        if steps <= len(actions):
            rest = to_go(world)
    if not world.success:
        steps = left + 1
    return -steps - rest / (1.0 + rest)


def to_go(world: World) -> float:
    """Way from the tool to the object and from the object to its target [m]."""
    goal = world.task.goal(world)
    tool, thing, target = world.tool_pose()[0], world.position(goal.object), world.position(goal.target)
    return float(np.linalg.norm(tool - thing) + np.linalg.norm(thing - target))


def copy_state(source: World, into: World) -> None:
    """Make `into` continue exactly as `source` would, bit by bit; both are worlds of the same task and spec."""
    mujoco.mj_copyData(into.data, into.model, source.data)
    into.seed, into.step, into.closed_for = source.seed, source.step, source.closed_for
    into.happened = set(source.happened)


def foreseen(condition: Condition) -> Condition:
    """The side on which an oracle chooses among the candidates of `condition`'s controller."""
    if condition.factory is None:
        raise OracleError(f"condition '{condition.name}' has no controller here whose candidates could be tried out")
    return Condition(condition.name, OracleFactory(condition.factory), {**condition.settings, "oracle": "expert"})


@dataclass(frozen=True)
class OracleFactory:
    """Makes a controller and lets an oracle choose among its candidates. Picklable when the factory is."""

    proposer: ControllerFactory

    def __call__(self) -> Oracle:
        return Oracle(self.proposer())
