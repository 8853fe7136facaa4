"""How many frames a second video pre-training learns from, and whether it has to wait for its loader."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgps_models.perception.images import ImageConfig
from vgps_models.training.neighbours import Neighbours
from vgps_models.training.video import VideoTrainer, VideoTraining, sized
from vgps_models.video.bench import VideoBench, made_up
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Transitions
from vgps_models.video.shards import VideoShards


@dataclass(frozen=True)
class VideoTrainBench:
    """`vgps bench video-training`"""

    data: Path | None = None  # folder of shards; made-up JPEG videos if None
    steps: int = 20  # of each measurement
    rounds: int = 3  # times that all ways are measured, in turn
    memory: bool = True  # also with all frames kept in memory
    kind: str = "resnet"  # image network: conv | resnet | vit
    batch: int = 64  # transitions
    threads: int = 1  # torch threads; a loader that decodes wants a core of its own
    workers: int = 1  # processes that decode

    def training(self, root: Path) -> VideoTraining:
        """The training whose step is measured."""
        made = VideoTraining(data=(root,), threads=self.threads, workers=self.workers, image=ImageConfig(self.kind))
        return replace(made, sampling=replace(made.sampling, batch=self.batch))


def bench_video_training(config: VideoTrainBench = VideoTrainBench()) -> dict[str, Any]:
    """The trainer's own step on batches that a loader feeds, against the same step on tensors that are there already.

    fed_to_alone: speed that is left when it is fed, by the median of the rounds; both are measured in turn in one run,
    so that a busy machine slows both. frames_per_s: distinct frames learned from.
    """
    torch.set_num_threads(config.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = config.data or made_up(Path(folder) / "made", "jpeg", VideoBench(size=128, videos=100))
        shards = VideoShards(root)
        training = sized(config.training(root), shards)
        trainer, neighbours = VideoTrainer(training, shards), Neighbours()
        ways = {"decoding": 0.0} | ({"memory": 1e5} if config.memory else {})
        numbers: dict[str, Any] = {
            "image": training.image.to_json(),
            "batch": {k: getattr(training.sampling, k) for k in ("batch", "per_video", "goals", "goals_from")},
            "threads": training.threads,
            "codec": shards.form.codec,
            "frames": len(shards),
        }
        for way, budget in ways.items():
            with Loader(shards, training.sampling, workers=training.workers, budget_mb=budget) as loader:
                numbers[way] = _measure(trainer, loader, config)
        numbers["busy_elsewhere_cores"] = neighbours.cores()
    return numbers


def _measure(trainer: VideoTrainer, loader: Loader, config: VideoTrainBench) -> dict[str, float]:
    random = np.random.default_rng(0)
    still = [_noise(loader.next(), random) for _ in range(config.steps)]  # as many frames as real batches have
    alone, fed = [], []
    trainer.learn(0, still[0])
    for _ in range(config.rounds):
        alone.append(_frames_per_s(trainer, lambda step: still[step], config.steps))
        fed.append(_frames_per_s(trainer, lambda _: loader.next(), config.steps))
    frames = float(np.mean([len(batch.frames) for batch in still]))
    return {
        "step_s": round(frames / float(np.median(fed)), 4),
        "frames_per_s": round(float(np.median(fed))),
        "frames_a_step": round(frames, 1),
        "fed_to_alone": round(float(np.median(np.array(fed) / np.array(alone))), 3),
    }


def _frames_per_s(trainer: VideoTrainer, take: Callable[[int], Transitions], steps: int) -> float:
    frames, began = 0, time.perf_counter()
    for step in range(steps):
        batch = take(step)
        trainer.learn(step, batch)
        frames += len(batch.frames)
    return frames / (time.perf_counter() - began)


def _noise(batch: Transitions, random: np.random.Generator) -> Transitions:
    return replace(batch, frames=random.integers(0, 256, batch.frames.shape).astype(np.uint8))
