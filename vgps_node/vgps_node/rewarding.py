"""A reward learned by watching a person in simulation, and what it is worth: `vgps reward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vgps_models.data import EpisodeStore
from vgps_models.data.relabelling import write_rewards
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.irl.imitation import ImitationConfig, imitate
from vgps_models.irl.learned import READS, LearnedReward
from vgps_models.irl.perceptual import PerceptualConfig, perceive
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import Track, shaken
from vgps_models.ranking import ranking
from vgps_models.training.provenance import plain
from vgps_sim.arms import get_arm
from vgps_sim.human.handling import handled
from vgps_sim.human.tracks import acted, recorded, watched
from vgps_sim.tasks import ALL_TASKS
from vgps_sim.world import World

WHO = ("person", "robot")
ENOUGH = {"airl": 200, "perceptual": 20}  # method -> demonstrations, unless told otherwise


@dataclass(frozen=True)
class LearnReward:
    """Watch a person, and learn what for it is done."""

    task: str  # sort_onions, pour_balls or one of the standard tasks
    out: Path  # .safetensors to write; a card of the same name beside it
    method: str = "airl"  # or perceptual: steps and what tells them apart, of few demonstrations and in seconds
    demonstrations: int | None = None  # performances that succeed; none: 200 for airl, 20 for perceptual
    reads: str = "all"  # all, or things: how they lie to each other alone, for a body that lets go in other ways
    noise: float = 0.0  # [m] by which points are off where the reward will be used; a camera's detector 0.01
    seed: int = 200_000  # of the first
    threads: int = 1  # torch threads
    imitation: ImitationConfig = field(default_factory=ImitationConfig)  # of airl
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)  # of perceptual

    def __post_init__(self) -> None:
        if self.task not in ALL_TASKS:
            raise UnknownNameError("task", self.task, ALL_TASKS)
        if self.method not in ENOUGH:
            raise UnknownNameError("method", self.method, ENOUGH)
        if self.reads not in READS:
            raise UnknownNameError("kind of reading", self.reads, READS)
        if self.count < 1:
            raise SpecError("a reward needs at least one demonstration")

    @property
    def count(self) -> int:
        """Performances to watch."""
        return ENOUGH[self.method] if self.demonstrations is None else self.demonstrations


def learn_reward(config: LearnReward, progress: Callable[[str, int, int], None] = lambda what, done, of: None) -> Path:
    """Write the reward. progress: what is being done, how much of it is, of how much."""
    shown, rng = list[Track](), np.random.default_rng(config.seed)
    for number in range(config.count):
        track = watched(config.task, config.seed + number, failures=0.0)
        if config.noise > 0:
            track = shaken(track, config.noise, rng)
        if track.success:  # one that was not meant to fail and did is no demonstration
            shown.append(track)
        progress("watching", number + 1, config.count)
    reward, told = {"airl": _imitated, "perceptual": _perceived}[config.method](config, shown, progress)
    settings = plain(asdict(replace(config, demonstrations=config.count)))
    reward.save(config.out, {"task": config.task, "settings": settings, **told})
    return config.out


def _imitated(
    config: LearnReward, shown: Sequence[Track], progress: Callable[[str, int, int], None]
) -> tuple[LearnedReward, dict[str, Any]]:
    import torch  # a node that owns no model does without

    torch.set_num_threads(config.threads)
    tried, total = 0, config.imitation.rounds * config.imitation.rehearsals

    def rehearse(seed: int, policy: Callable[[np.ndarray], np.ndarray]) -> Track:
        nonlocal tried
        tried += 1
        progress("trying out", tried, total)
        track = handled(config.task, seed, policy)
        return shaken(track, config.noise, np.random.default_rng(seed)) if config.noise > 0 else track

    made = imitate(shown, rehearse, config.imitation, config.reads)
    return made.reward, {"rounds": made.rounds}


def _perceived(
    config: LearnReward, shown: Sequence[Track], progress: Callable[[str, int, int], None]
) -> tuple[LearnedReward, dict[str, Any]]:
    return perceive(shown, config.perceptual, config.reads), {}


@dataclass(frozen=True)
class CheckReward:
    """Does it rank success above failure, of people and of a robot that it has never seen?"""

    reward: tyro.conf.Positional[Path]  # what `vgps reward learn` wrote
    episodes: int = 160  # of either
    seed: int = 1_000_000  # of the first
    failures: float = 0.5  # share of the person's performances that is meant to fail
    resamples: int = 2000  # of the bootstrap


def check_reward(
    config: CheckReward, progress: Callable[[str, int, int], None] = lambda what, done, of: None
) -> dict[str, Any]:
    """AUC of the score of whole episodes and of the reward of their last moment, with 95 % intervals."""
    reward = load_reward(config.reward)
    out: dict[str, Any] = {"task": reward.task, "reward": str(config.reward), "seed": config.seed}
    for who in WHO:
        tracks = []
        for track in _tracks(reward.task, who, config):
            tracks.append(track)
            progress(who, len(tracks), config.episodes)
        success = np.array([track.success for track in tracks])
        scores = {"episode": [reward.score(t) for t in tracks], "end": [float(reward.of(t)[-1]) for t in tracks]}
        out[who] = {"episodes": len(tracks), "successes": int(success.sum())}
        out[who] |= {name: ranked(np.array(found), success, config.resamples) for name, found in scores.items()}
    return out


@dataclass(frozen=True)
class Relabel:
    """Reward every frame of recorded episodes, without their outcomes."""

    data: tyro.conf.Positional[Path]  # data set of `vgps collect`
    rewards: tuple[Path, ...]  # of `vgps reward learn`, one for every task in the data
    out: Path | None = None  # parquet file to write; none: beside the data set


def relabel(config: Relabel, progress: Callable[[str, int, int], None] = lambda what, done, of: None) -> dict[str, Any]:
    """Write the file; tells how well the mean reward of an episode ranks its outcome (AUC), by task."""
    known = {reward.task: reward for reward in map(load_reward, config.rewards)}
    store = EpisodeStore(config.data)
    columns, arm = store.columns(), get_arm(store.spec.arm)
    rewards, scores = np.zeros(len(columns), np.float32), list[tuple[str, float, bool]]()
    for episode, track in enumerate(recorded(columns, arm)):
        if track.task not in known:
            raise UnknownNameError("task of a reward", track.task, known)
        start, end = columns.bounds[episode : episode + 2]
        rewards[start:end] = known[track.task].within(track)[: end - start]
        scores.append((track.task, known[track.task].score(track), track.success))
        progress("episodes", episode + 1, len(store))
    out = config.out or config.data.with_name(f"{config.data.name}.reward-irl.parquet")
    told = {"rewards": {task: str(path) for task, path in zip(known, config.rewards, strict=True)}}
    write_rewards(out, store, rewards, told)
    found: dict[str, Any] = {"out": str(out), "frames": len(rewards), "mean": round(float(rewards.mean()), 4)}
    for task in known:
        of = [(score, success) for name, score, success in scores if name == task]
        values, success = np.array([s for s, _ in of]), np.array([s for _, s in of], bool)
        found[task] = {"episodes": len(of), "auc": round(ranking(values, success), 4)}
    return found


def _tracks(task: str, who: str, config: CheckReward) -> Iterator[Track]:
    if who == "person":
        for number in range(config.episodes):
            yield watched(task, config.seed + number, failures=config.failures)
        return
    world = World(task, cameras=("front",), image_size=16)  # a demonstration needs one
    for number in range(config.episodes):
        yield acted(world, config.seed + number, "mixed")
    world.close()


def ranked(scores: np.ndarray, success: np.ndarray, resamples: int) -> dict[str, Any]:
    """AUC of scores, with a 95 % bootstrap interval; SpecError where there is nothing to tell apart."""
    if success.all() or not success.any():
        raise SpecError(f"all {len(success)} episodes {'succeed' if success.all() else 'fail'}; ask for more of them")
    random, drawn = np.random.default_rng(0), list[float]()
    for _ in range(resamples):
        rows = random.integers(len(scores), size=len(scores))
        if 0 < success[rows].sum() < len(rows):
            drawn.append(ranking(scores[rows], success[rows]))
    interval = [round(float(edge), 4) for edge in np.percentile(drawn, [2.5, 97.5])]
    return {"auc": round(ranking(scores, success), 4), "ci95": interval}
