"""What a learned reward is worth when its points are seen by a camera, beside what it is worth from the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.irl.learned import LearnedReward
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import Track
from vgps_models.keypoints.lifting import metres
from vgps_models.keypoints.task import TaskWatchConfig
from vgps_models.rgbd.folder import write_folder
from vgps_models.rgbd.recording import open_recording
from vgps_models.spaces import Array
from vgps_models.spread import percentiles
from vgps_node.live_robot import RobotReward
from vgps_node.rewarding import WHO, ranked
from vgps_node.seen_tracks import watch, watcher
from vgps_sim.human.filming import Film, film, seen_by_camera, with_noise
from vgps_sim.robot_film import RobotFilm, film_robot
from vgps_sim.world import World


@dataclass(frozen=True)
class SeenReward:
    """Does it still rank success above failure when a camera says where everything is?"""

    rewards: tyro.conf.Positional[tuple[Path, ...]]  # of one task, that `vgps reward learn` wrote
    who: tuple[str, ...] = ("robot",)  # robot: live, by its joints and front camera; person: filmed, as a recording
    episodes: int = 60  # of either
    seed: int = 1_000_000  # of the first
    failures: float = 0.5  # share of the person's performances that is meant to fail
    width: int = 128  # [px] of the robot's camera; the simulated one's own
    height: int = 128  # [px]
    noise: float = 0.002  # [m] standard deviation of the depth
    holes: float = 0.03  # share of the depth that is missing
    points: str = "points"  # checkpoint of `vgps train points`
    watch: TaskWatchConfig = field(default_factory=TaskWatchConfig)
    resamples: int = 2000  # of the bootstrap

    def __post_init__(self) -> None:
        if not self.rewards:
            raise SpecError("no reward is named; give one or more files that `vgps reward learn` wrote")
        for who in self.who:
            if who not in WHO:
                raise UnknownNameError("kind of body", who, WHO)


@dataclass(frozen=True, eq=False)
class Episode:
    """The same moments as they are and as they were seen. found (T, N): which landmarks were seen then. off (T, N): how
    far from there they are believed to be [m]."""

    truth: Track
    seen: Track
    found: NDArray[np.bool_]
    off: Array


def check_seen(
    config: SeenReward, progress: Callable[[str, int, int], None] = lambda what, done, of: None
) -> dict[str, Any]:
    """Of each body how far off each landmark was, and of each reward `compared`."""
    rewards = {path.stem: load_reward(path) for path in config.rewards}
    first = next(iter(rewards.values()))
    for name, reward in rewards.items():
        if (reward.task, reward.names) != (first.task, first.names):
            raise SpecError(f"{name} is of {reward.task}, the first reward of {first.task}; give those of one task")
    out: dict[str, Any] = {"task": first.task, "seed": config.seed}
    for who in config.who:
        made, unusable = list[Episode](), dict[str, str]()
        films = {"robot": _robot, "person": _person}[who](first, config)
        for number, episode in enumerate(films):
            if isinstance(episode, Episode):
                made.append(episode)
            else:
                unusable[f"seed {config.seed + number}"] = episode
            progress(who, number + 1, config.episodes)
        if not made:
            raise DataError(f"none of the {config.episodes} episodes could be used: {unusable}")
        successes = sum(e.truth.success for e in made)
        out[who] = {"episodes": len(made), "successes": successes, "unusable": unusable, "things": _things(made)}
        out[who]["rewards"] = {n: compared(reward, made, config.resamples) for n, reward in rewards.items()}
    return out


def compared(reward: LearnedReward, episodes: list[Episode], resamples: int) -> dict[str, Any]:
    """AUC of the score of whole episodes and of their last moment, from the truth and from what was seen; and how alike
    the reward of the moments of an episode is: correlation, and difference in units of its span."""
    success = np.array([e.truth.success for e in episodes])
    told: dict[str, Any] = {}
    for way, tracks in {"truth": [e.truth for e in episodes], "seen": [e.seen for e in episodes]}.items():
        told[way] = {"episode": ranked(np.array([reward.score(t) for t in tracks]), success, resamples)}
        told[way]["end"] = ranked(np.array([float(reward.of(t)[-1]) for t in tracks]), success, resamples)
    pairs = [(reward.within(e.truth), reward.within(e.seen)) for e in episodes]
    alike = [float(np.corrcoef(a, b)[0, 1]) for a, b in pairs if min(a.std(), b.std()) > 1e-6]
    apart = np.abs(np.concatenate([a - b for a, b in pairs]))
    return told | {"correlation": percentiles(np.array(alike), (10, 50)), "difference": percentiles(apart, (50, 90))}


def _things(episodes: list[Episode]) -> dict[str, Any]:
    off, found = 1e3 * np.concatenate([e.off for e in episodes]), np.concatenate([e.found for e in episodes])
    return {
        name: {"seen": round(float(found[:, k].mean()), 3), "off_mm": percentiles(off[:, k], (50, 90))}
        for k, name in enumerate(episodes[0].truth.names)
    }


def _robot(reward: LearnedReward, config: SeenReward) -> Iterator[Episode | str]:
    world = World(reward.task, cameras=("front",), image_size=16)
    for number in range(config.episodes):
        made = film_robot(world, config.seed + number, "mixed", width=config.width, height=config.height)
        live = RobotReward(reward, config.points, made.camera_pose, config.watch.things)
        yield robot_seen(made, live, noise=config.noise, holes=config.holes, seed=number)
    world.close()


def robot_seen(made: RobotFilm, live: RobotReward, *, noise: float, holes: float, seed: int) -> Episode | str:
    """A film, picture by picture; why not where a landmark is never seen."""
    positions, confidence = list[Array](), list[Array]()
    for t, (rgb, depth) in enumerate(with_noise(made.rgb, made.depth, holes=holes, noise=noise, seed=seed)):
        seen = live(rgb, metres(depth), made.camera, made.period * t, made.q[t], float(made.gripper[t]))
        positions.append(seen.positions)
        confidence.append(seen.confidence)
    every, truth = np.array(positions), made.track
    known = np.isfinite(every).all((1, 2))
    if not known.any():
        return f"never seen: {', '.join(np.array(live.names)[~np.isfinite(every).any((0, 2))])}"
    every[: known.argmax()] = every[known.argmax()]  # before all has been seen there is no reward
    track = Track(truth.task, truth.names, truth.hand, truth.gap, truth.tilt, every[:, 1:], 0.0, truth.success)
    off = np.linalg.norm(track.points - truth.points, axis=2)
    return Episode(truth, track, np.asarray(np.array(confidence)[:, 1:] > 0), off)


def _person(reward: LearnedReward, config: SeenReward) -> Iterator[Episode | str]:
    for number in range(config.episodes):
        made = film(reward.task, config.seed + number, failures=config.failures, whole=True)
        yield person_seen(made, reward, config, number)


def person_seen(made: Film, reward: LearnedReward, config: SeenReward, seed: int) -> Episode | str:
    """A film, as a recording; why not where it cannot be read."""
    with TemporaryDirectory(prefix="film") as folder:
        frames = seen_by_camera(made, holes=config.holes, noise=config.noise, seed=seed)
        write_folder(Path(folder), made.camera, frames, fps=made.fps)
        recording = open_recording(Path(folder))
        try:
            watched = watch(recording, reward, watcher(config.points, None, reward, recording, config.watch))
        except DataError as error:
            return str(error)
    pose = made.camera_pose
    hand, things = made.tip @ pose[:3, :3].T + pose[:3, 3], made.things @ pose[:3, :3].T + pose[:3, 3]
    success, still = made.performance.success, np.zeros(len(made))
    truth = Track(reward.task, reward.names, hand, made.gap, still, things, 0.0, success)
    up = watched.camera_pose
    off = np.linalg.norm(watched.track.points - (made.things @ up[:3, :3].T + up[:3, 3]), axis=2)
    return Episode(truth, watched.track, watched.found, off)
