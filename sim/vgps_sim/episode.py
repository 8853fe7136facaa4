"""Play one episode: a world, an arm's servo and a controller in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from vgps_models.spaces import Array, Controller, Decision, Image, Observation
from vgps_sim.env import start
from vgps_sim.kinematics import IkError, JointCommand, ToolServo
from vgps_sim.results import Condition, EpisodeResult, EvaluationError, Job, StepRecord
from vgps_sim.world import World

WorldFactory = Callable[[str], World]  # task id -> its world


class Judge(Protocol):
    """Tells from images alone how far along a task looks, 0 to 1; at or above `threshold` it calls it a success."""

    threshold: float

    def __call__(self, images: Mapping[str, Image], instruction: str) -> float: ...


@runtime_checkable
class Bound(Protocol):
    """A controller that looks at more than its observations: it is told of the world before every episode."""

    def bind(self, world: World, servo: ToolServo, job: Job) -> None: ...

    def __call__(self, observation: Observation) -> Decision: ...


class EpisodeSource(Protocol):
    """Where episodes come from: the simulator in this process, or a running ROS graph."""

    name: str

    def play(self, job: Job) -> EpisodeResult:
        """Play the episode that `job` names; the same job gives the same actions."""
        ...

    def close(self) -> None: ...


class WorldSource:
    """Episodes in this process. Worlds and controllers are made when first needed and kept."""

    name = "in-process"

    def __init__(self, world_factory: WorldFactory = World, judge_factory: Callable[[], Judge] | None = None) -> None:
        self._world_factory = world_factory
        self._judge = judge_factory() if judge_factory else None
        self._worlds: dict[str, World] = {}
        self._controllers: dict[Condition, Controller] = {}

    def play(self, job: Job) -> EpisodeResult:
        if job.task not in self._worlds:
            self._worlds[job.task] = self._world_factory(job.task)
        condition = job.condition  # by name and settings: another "guided" is another controller
        if condition not in self._controllers:
            if condition.factory is None:
                raise EvaluationError(
                    f"condition '{condition.name}' has no controller factory; give Condition(name, factory)"
                )
            self._controllers[condition] = condition.factory()
        return play(self._worlds[job.task], self._controllers[condition], job, self._judge)

    def close(self) -> None:
        for world in self._worlds.values():
            world.close()
        self._worlds.clear()


def joint_command(servo: ToolServo, action: Array) -> JointCommand:
    """The joint command for one action (7,); the arm holds where there is no solution."""
    try:
        return servo.command(action)
    except IkError:
        return servo.hold()


def play(world: World, controller: Controller, job: Job, judge: Judge | None = None) -> EpisodeResult:
    """One episode, re-planned every `job.execute` steps, ended by success or after `job.max_steps`.

    judge: also says what the last images look like; the outcome is the world's own all the same.
    """
    servo = ToolServo(world.spec)
    start(world, servo, job.seed)
    if isinstance(controller, Bound):
        controller.bind(world, servo, job)
    actions: list[Array] = []
    records: list[StepRecord] = []
    while len(actions) < job.max_steps and not world.success:
        observation = world.observation()
        began = time.perf_counter()
        decision = controller(observation)
        chunk = np.asarray(decision.chunk, dtype=np.float64)
        command = joint_command(servo, chunk[0])
        records.append(record(decision, step=len(actions), loop=1e3 * (time.perf_counter() - began)))
        for i, action in enumerate(chunk[: min(job.execute, job.max_steps - len(actions))]):
            world.apply(command if i == 0 else joint_command(servo, action))
            actions.append(action)
            if world.success:
                break
    seen = None if judge is None else judge(world.images(), world.task.instruction)
    return EpisodeResult(
        task=job.task,
        seed=job.seed,
        condition=job.condition.name,
        success=bool(world.success),
        steps=len(actions),
        events=tuple(world.events),
        actions=np.array(actions).reshape(-1, 7),
        records=tuple(records),
        progress=seen,
        called=None if judge is None or seen is None else seen >= judge.threshold,
    )


def record(decision: Decision, *, step: int, loop: float) -> StepRecord:
    """What is kept of a decision; `loop` is its whole duration [ms]."""
    return StepRecord.of(replace(decision, ms={**decision.ms, "loop": loop}), step=step)
