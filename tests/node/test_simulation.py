"""Episodes and the three ways to pass time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_node.simulation import NANO, NoEpisodeError, Simulation
from vgps_sim.kinematics import JointCommand, ToolServo
from vgps_sim.scene import CAMERAS, FRONT, camera_pose
from vgps_sim.tasks import ALL_TASKS
from vgps_sim.world import World

TASK = "put_carrot_on_plate"


@pytest.fixture(scope="module")
def sim():
    simulation = Simulation(max_steps=5)
    yield simulation
    simulation.close()


@pytest.fixture(autouse=True)
def lockstep(sim: Simulation) -> None:
    sim.set_clock("lockstep")


def commands(sim: Simulation, n: int) -> list[JointCommand]:
    servo, arm = ToolServo(), sim.arm()
    servo.reset(arm.q, arm.gripper)
    return [servo.command(np.array([0.02, 0.01, -0.01, 0, 0, 0.1, i % 2])) for i in range(n)]


def play(sim: Simulation, seed: int) -> list[np.ndarray]:
    sim.reset(TASK, seed)
    states = [np.concatenate([sim.arm().q, sim.arm().velocity])]
    for command in commands(sim, 5):
        sim.step(command)
        states.append(np.concatenate([sim.arm().q, sim.arm().velocity]))
    return states


@pytest.mark.parametrize("task", ALL_TASKS)
def test_lockstep_is_what_a_world_does_alone(sim: Simulation, task: str) -> None:
    sim.reset(task, 3)
    world = World(task)
    world.reset(3)
    for command in commands(sim, 3):
        sim.step(command)
        world.apply(command)
    assert np.array_equal(sim.arm().q, world.joints().q)
    mine, theirs = sim.snapshot().images, world.images()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    world.close()


def test_stamps_never_go_back_and_never_repeat(sim: Simulation) -> None:
    stamps = [sim.state.moment.stamp]
    for seed in (1, 1, 2):
        stamps.append(sim.reset(TASK, seed).moment.stamp)
        stamps += [sim.step().moment.stamp for _ in range(3)]
    assert all(b - a == NANO // 5 for a, b in pairwise(stamps[1:]))
    assert stamps[1] > stamps[0]


def test_keys_and_ends(sim: Simulation) -> None:
    state = sim.reset(TASK, 11)
    assert (state.moment.key, state.done, state.instruction) == ((11, 0), False, ALL_TASKS[TASK].instruction)
    states = [sim.step() for _ in range(5)]
    assert [s.moment.key for s in states] == [(11, i) for i in range(1, 6)]
    assert [s.done for s in states] == [False] * 4 + [True] and not sim.running
    assert sim.reset(TASK, 11).episode == state.episode + 1


def test_latency_is_reproducible_and_moves_the_world_on(sim: Simulation) -> None:
    at_once = play(sim, 4)
    sim.set_clock("latency", 0.1)
    first, began = play(sim, 4), sim.state.moment.stamp
    again = play(sim, 4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[-1], at_once[-1])
    assert sim.state.moment.stamp - began == pytest.approx(NANO * (5 * (0.2 + 0.1) + 0.2))


def test_realtime_in_slices_goes_where_lockstep_goes(sim: Simulation) -> None:
    sim.reset(TASK, 5)
    made = commands(sim, 3)
    for command in made:
        sim.step(command)
    target, moment = sim.arm().q, sim.state.moment
    sim.set_clock("realtime")
    sim.reset(TASK, 5)
    for command in made:
        sim.direct(command)
        ticks = round(0.2 / sim.slice)
        assert [sim.tick() for _ in range(ticks)] == [False] * (ticks - 1) + [True]
    assert np.abs(sim.arm().q - target).max() < 1e-6
    assert sim.state.moment.key == moment.key


def test_what_does_not_exist_is_refused_and_changes_nothing(sim: Simulation) -> None:
    sim.reset(TASK, 6)
    before = sim.state
    with pytest.raises(UnknownNameError, match=TASK):
        sim.reset("fly", 0)
    with pytest.raises(UnknownNameError, match="lockstep"):
        sim.set_clock("never")
    with pytest.raises(VgpsError, match="latency"):
        sim.set_clock("lockstep", 0.1)
    with pytest.raises(VgpsError, match="outside"):
        sim.set_clock("latency", float("nan"))
    assert sim.state == before and sim.clock == "lockstep"


def test_without_an_episode_nothing_can_be_done() -> None:
    idle = Simulation()
    for ask in (idle.step, idle.tick, idle.arm, idle.snapshot):
        with pytest.raises(NoEpisodeError, match="reset"):
            ask()
    assert not idle.running and idle.stamp == 0


def test_an_idle_world_moves_by_the_wall_clock_and_holds_the_arm_before_and_between_episodes() -> None:
    idle = Simulation(max_steps=2)
    idle.wake()
    home, before = idle.arm().q, idle.stamp
    assert not idle.running and not idle.waiting and idle.state.episode == 0
    assert set(idle.snapshot().images) == {"front", "wrist"}
    with pytest.raises(NoEpisodeError, match="reset"):
        idle.step()
    ticks = round(0.2 / idle.slice)
    assert sum(idle.tick() for _ in range(3 * ticks)) == 3  # control periods
    assert idle.stamp - before == pytest.approx(0.6 * NANO) and np.abs(idle.arm().q - home).max() < 0.01
    idle.reset(TASK, 5)
    assert idle.running and idle.waiting and idle.stamp > before + 0.6 * NANO
    for command in commands(idle, 2):
        idle.step(command)
    over = idle.state
    assert over.done and not idle.waiting
    for _ in range(2 * ticks):
        idle.tick()
    settled = idle.arm().q
    for _ in range(2 * ticks):
        idle.tick()
    assert idle.state == over and idle.stamp > over.moment.stamp and np.abs(idle.arm().q - settled).max() < 0.01
    idle.wake()  # changes nothing that is there
    assert idle.state == over
    idle.close()


def test_episodes_do_not_depend_on_the_idle_time_before_them(sim: Simulation) -> None:
    first = play(sim, 9)
    for _ in range(37):
        sim.tick()
    assert np.array_equal(play(sim, 9), first)


def test_cameras_are_where_the_pictures_are_taken_from() -> None:
    """The front camera stands; the wrist camera keeps its place in the tool's frame."""
    sim = Simulation()
    sim.reset(TASK, 1)
    frames = sim.camera_frames()
    rides, front = frames["front"]
    assert not rides and np.allclose(front, camera_pose(CAMERAS[FRONT]), atol=1e-6)
    rides, wrist = frames["wrist"]
    assert rides
    for command in commands(sim, 3):
        sim.step(command)
    assert np.allclose(sim.camera_frames()["wrist"][1], wrist, atol=1e-6)
    assert np.allclose(wrist[:3, :3] @ wrist[:3, :3].T, np.eye(3), atol=1e-6)
    sim.close()


def test_an_episode_may_be_told_in_other_words_and_end_sooner(sim: Simulation) -> None:
    state = sim.reset(TASK, 1, instruction="feed the rabbit", max_steps=2)
    assert state.instruction == "feed the rabbit" and state.task == TASK
    assert not sim.step().done and sim.step().done
    state = sim.reset(TASK, 1)  # the next one is as ever
    assert state.instruction == ALL_TASKS[TASK].instruction
    assert not sim.step().done and not sim.step().done
