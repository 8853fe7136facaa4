"""Demonstrations of known quality, recorded as a LeRobot v3 data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np

from vgps_models.data.episodes import Episode
from vgps_models.data.records import Problem
from vgps_models.data.writer import AlreadyRecordedError, EpisodeWriter
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.spaces import GRIPPER, Array
from vgps_sim.domain import get_domain
from vgps_sim.env import execute, start
from vgps_sim.flaws import QUALITIES, Demonstrator
from vgps_sim.human.demonstrations import FAILURES, demonstrated
from vgps_sim.kinematics import ToolServo
from vgps_sim.retarget.replay import Replay, planned
from vgps_sim.scenes import label_names, labels
from vgps_sim.tasks import TASKS, get_task, number_of
from vgps_sim.workers import one_thread
from vgps_sim.world import World

DEMONSTRATORS = ("robot", "person")


@dataclass(frozen=True)
class CollectConfig:
    """Record demonstrations."""

    out: Path = Path("data/mixed")  # data set folder; a run that was stopped goes on where it stopped
    episodes: int = 1200  # in all, spread evenly over the tasks
    quality: str = "mixed"  # expert | mixed | poor | varied (each episode one of the three)
    by: str = "robot"  # robot: its own expert, flawed as `quality` says | person: a person's motions, retargeted
    domain: str = "target"  # target | broad: cameras, light and colours differ a lot from episode to episode
    seed: int = 0  # first layout; keep data below 100000, tuning below 1000000, reports from there on
    tasks: tuple[str, ...] = tuple(TASKS)
    processes: int = 2  # worker processes, one thread each

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise UnknownNameError("quality", self.quality, QUALITIES)
        if self.by not in DEMONSTRATORS:
            raise UnknownNameError("demonstrator", self.by, DEMONSTRATORS)
        if self.by == "person" and self.quality not in FAILURES:
            raise UnknownNameError("quality of a person's demonstrations", self.quality, FAILURES)
        get_domain(self.domain)
        said = {label_names(get_task(task)) for task in self.tasks}
        if len(said) > 1:
            raise SpecError(
                f"the things of {', '.join(self.tasks)} differ in number; record the standard tasks, sort_onions and "
                "pour_balls in folders of their own"
            )


@dataclass(frozen=True)
class Collected:
    """What `collect` did: episodes recorded and successful now, found already there, and damage that was set aside."""

    recorded: int
    successes: int
    found: int
    problems: tuple[Problem, ...]


def collect(config: CollectConfig, progress: Callable[[str, bool], None] = lambda name, success: None) -> Collected:
    """Record what is missing and write the LeRobot files; `progress` hears of each episode and its outcome."""
    writer = EpisodeWriter(config.out)
    wanted = [
        (config.tasks[i % len(config.tasks)], config.seed + i // len(config.tasks)) for i in range(config.episodes)
    ]
    missing = [key for key in wanted if key not in writer]
    # Sorted by task, since a world is built once a task; handed out in small pieces to keep workers even.
    pieces = [missing[i::4] for i in range(4)] if len(config.tasks) == 4 else [missing]
    jobs = [(config, tuple(piece[i : i + 10])) for piece in pieces for i in range(0, len(piece), 10)]
    outcomes: list[bool] = []
    if jobs:
        with one_thread(), get_context("spawn").Pool(min(config.processes, len(jobs))) as pool:
            for done in pool.imap_unordered(_record, jobs):
                for name, success in done:
                    outcomes.append(success)
                    progress(name, success)
    merged = writer.finalise()
    return Collected(len(outcomes), sum(outcomes), len(wanted) - len(missing), (*writer.problems, *merged.problems))


def _record(job: tuple[CollectConfig, tuple[tuple[str, int], ...]]) -> list[tuple[str, bool]]:
    config, keys = job
    writer, worlds = EpisodeWriter(config.out), dict[str, World]()
    done = []
    for task, seed in keys:
        if task not in worlds:
            worlds[task] = World(task, domain=get_domain(config.domain))
        episode = demonstrate(worlds[task], seed, config.quality, by=config.by)
        with suppress(AlreadyRecordedError):  # another `vgps collect` has been at the same data set meanwhile
            writer.write(episode)
            done.append((episode.name, episode.success))
    for world in worlds.values():
        world.close()
    return done


class Acting(Protocol):
    """Whoever demonstrates. flaws: what goes wrong."""

    @property
    def flaws(self) -> tuple[str, ...]: ...

    def act(self, world: World) -> tuple[Array, bool]:
        """The next action (7,), and whether a flaw shaped it."""
        ...

    def finished(self) -> bool: ...


def demonstrate(
    world: World, seed: int, quality: str, watch: Callable[[World], None] = lambda world: None, *, by: str = "robot"
) -> Episode:
    """One demonstration; layout, flaws and noise are all drawn from the task and the seed.

    watch: called at every moment, the last one too, which no frame shows.
    by: "robot", or "person": what a person did, on a table laid as the person's was.
    """
    servo = ToolServo(world.spec)
    rng = np.random.default_rng([number_of(world.task.id), seed, QUALITIES.index(quality) + 1])
    demonstrator: Acting
    if by == "person":
        shot = demonstrated(world.task.id, seed, quality)
        start(world, servo, seed, shot.demonstration.places)
        fault = shot.performance.fault
        demonstrator = Replay(planned(shot.demonstration, world), (fault,) if fault else ())
    else:
        start(world, servo, seed)
        demonstrator = Demonstrator(rng, quality)
    layout = hashlib.sha256(world.state().tobytes()).hexdigest()[:16]
    words = str(rng.choice([world.task.instruction, *world.task.paraphrases]))
    frames: list[tuple] = []
    events: dict[str, int] = {}
    while world.step < world.task.max_steps and not world.success and not demonstrator.finished():
        watch(world)
        joints, step = world.joints(), world.step
        before = (world.images(), world.proprio(joints), np.r_[joints.q, joints.gripper], labels(world))
        asked, flawed = demonstrator.act(world)
        action = asked.astype(np.float32).astype(np.float64)  # what is stored is what is executed, to the bit
        if execute(world, servo, action):
            action = np.r_[np.zeros(6), action[GRIPPER]]  # the arm could not follow and held
        frames.append((*before, action, asked, flawed))
        for event in world.events:
            events.setdefault(event, step)
    watch(world)
    images, proprio, joint, state, actions, commanded, flaws = zip(*frames, strict=True)
    return Episode(
        images={name: np.stack([frame[name] for frame in images]) for name in world.cameras},
        proprio=np.array(proprio, np.float32),
        joints=np.array(joint, np.float32),
        actions=np.array(actions, np.float32),
        commanded=np.array(commanded, np.float32),
        environment_state=np.array(state, np.float32),
        flawed=np.array(flaws, bool),
        instruction=words,
        task_id=world.task.id,
        seed=seed,
        success=world.success,
        flaw="+".join(demonstrator.flaws),
        events=events,
        quality=quality if by == "robot" else f"{by}, {quality}",
        layout_hash=layout,
    )
