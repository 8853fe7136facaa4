"""The oracle foretells what really happens, takes the best of it, and leaves the world as it was."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from vgps_models.spaces import Array, Controller, Decision, Observation, noise
from vgps_sim import episode
from vgps_sim.env import execute, start
from vgps_sim.experts import Expert
from vgps_sim.kinematics import ToolServo
from vgps_sim.oracle import Oracle, OracleError, copy_state, foreseen, to_go, value
from vgps_sim.results import Condition, Job
from vgps_sim.world import World

TASK = "put_carrot_on_plate"
JOB = Job(Condition("oracle"), TASK, 500_001, execute=2, max_steps=40)
K = 4


@pytest.fixture(scope="module")
def world():
    world = World(TASK)
    yield world
    world.close()


def scattered(observation: Observation) -> Decision:
    """K chunks around a slow descent, hand open or closed; the same for the same key."""
    candidates = 0.02 * noise(observation.key, (K, 4, 7)).astype(float) - [0, 0, 0.01, 0, 0, 0, 0]
    candidates[:, :, 6] = (candidates[:, :1, 6] > 0).astype(float)
    return Decision(candidates[0], candidates, ms={"policy": 1.0})


def drive(world: World, servo: ToolServo, steps: int) -> list[Array]:
    """Into the middle of an episode, by the expert."""
    start(world, servo, JOB.seed)
    expert, actions = Expert(), []
    for _ in range(steps):
        actions.append(expert.act(world))
        execute(world, servo, actions[-1])
    return actions


def everything(world: World, servo: ToolServo) -> list[Array]:
    now = servo.state()
    kept = [world.seed, world.step, world.closed_for, *sorted(world.happened)]
    return [world.state(), np.array(kept, dtype=str), now.q, np.array(now.gripper), now.position, now.rotation]


def at_hand(world: World) -> Observation:
    return Observation({}, world.proprio(world.joints()), world.task.instruction, world.time, (world.seed, world.step))


def same(a: list[Array], b: list[Array]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# Far off, above the carrot, closing on it, carrying it.
@pytest.mark.parametrize("steps", [0, 6, 12, 18])
def test_it_takes_the_best_by_replay_and_leaves_world_and_servo_alone(world: World, steps: int) -> None:
    servo = ToolServo()
    before_it = drive(world, servo, steps)
    oracle = Oracle(scattered)
    oracle.bind(world, servo, JOB)
    before = everything(world, servo)
    decision = oracle(at_hand(world))
    assert same(everything(world, servo), before)

    replayed = [by_replay([*before_it, *chunk[: JOB.execute]]) for chunk in decision.candidates]
    assert decision.mean.tolist() == replayed
    assert decision.chosen == int(np.argmax(replayed))
    assert np.array_equal(decision.chunk, decision.candidates[decision.chosen])
    assert decision.ms["policy"] == 1.0 and decision.ms["value"] > 0


def by_replay(actions: list[Array]) -> float:
    """The value of `actions` from the first step on, in a world that never heard of copies."""
    world, servo, expert = World(TASK), ToolServo(), Expert()
    start(world, servo, JOB.seed)
    rest, steps = 0.0, 0
    while steps < JOB.max_steps and not world.success:
        execute(world, servo, actions[steps] if steps < len(actions) else expert.act(world))
        steps += 1
        if steps <= len(actions):
            rest = to_go(world)
    before = len(actions) - JOB.execute
    needed = steps - before if world.success else JOB.max_steps - before + 1
    return -needed - rest / (1 + rest)


def test_a_copy_goes_on_as_the_world_does(world: World) -> None:
    servo, hand, copy = ToolServo(), ToolServo(), World(TASK)
    drive(world, servo, 13)  # fingers on the carrot: a contact would show any difference
    for _ in range(2):
        copy_state(world, copy)
        hand.set_state(servo.state())
        assert same(everything(world, servo), everything(copy, hand))
        for action in scattered(at_hand(world)).candidates[0]:
            execute(world, servo, action)
            execute(copy, hand, action)
            assert same(everything(world, servo), everything(copy, hand))
    assert copy.data is not world.data and not copy._renderers


def test_values_order_as_they_should(world: World) -> None:
    servo, expert = ToolServo(), Expert()
    start(world, servo, JOB.seed)
    state, hand = World(TASK), ToolServo()

    def of(actions: Array, max_steps: int = 40) -> float:
        copy_state(world, state)
        hand.set_state(servo.state())
        return value(state, hand, actions, max_steps, expert)

    ahead = np.array([expert.act(world)])
    away, nothing = -ahead + [0, 0, 0.02, 0, 0, 0, 2], np.zeros((1, 7)) + [0, 0, 0, 0, 0, 0, 1]
    none = of(ahead[:0])
    assert of(ahead) > of(nothing) > of(away)
    # The expert's own action costs nothing, an idle step costs one.
    assert int(-of(ahead)) == int(-none) and int(-of(nothing)) == int(-none) + 1
    assert none == int(none) and 15 < -none < 40
    # With too few steps left all fail alike, one step more than there are, and nearer is better.
    assert -12 < of(away, max_steps=10) < of(ahead, max_steps=10) < -11
    assert of(ahead, max_steps=int(-none)) > -int(-none) - 1 > of(nothing, max_steps=int(-none))


def test_an_episode_repeats_and_its_side_wins(world: World) -> None:
    job = replace(JOB, max_steps=12)
    oracle = Oracle(scattered)
    first, second = episode.play(world, oracle, job), episode.play(world, Oracle(scattered), job)
    assert np.array_equal(first.actions, second.actions) and first.steps == 12
    assert all(len(r.mean) == K and r.chosen == int(np.argmax(r.mean)) for r in first.records)
    bare = episode.play(world, scattered, job)
    assert not np.array_equal(bare.actions, first.actions)


def test_without_a_world_it_says_so() -> None:
    with pytest.raises(OracleError, match="not over ROS"):
        Oracle(scattered)(Observation({}, np.zeros(10, np.float32), "put the carrot on the plate"))


def make_scattered() -> Controller:
    return scattered


def test_workers_can_make_it_from_another_side() -> None:
    side = foreseen(Condition("best", make_scattered, {"k": K}))
    assert side.name == "best" and side.settings == {"k": K, "oracle": "expert"}
    factory = ForkingPickler.loads(ForkingPickler.dumps(side.factory))  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(factory(), episode.Bound)
    with pytest.raises(OracleError, match="no controller"):
        foreseen(Condition("over ROS"))
