"""How fast the loader is, and whether whoever learns from it has to wait."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture
from rich.console import Console
from rich.progress import track

from vgps_models.errors import UnknownNameError
from vgps_models.spaces import Image
from vgps_models.video.form import CODECS, Form
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Sampling, Transitions
from vgps_models.video.shards import VideoShards
from vgps_models.video.writing import ShardWriter

Consumer = Callable[[Transitions], Any]
STEPS = 48  # frames of a made-up video
CONSUMERS = ("none", "encoder")


@dataclass(frozen=True)
class VideoBench:
    """`vgps bench video`: frames a second of the loader, and how much of a consumer's speed is left when it is fed."""

    data: Path | None = None  # folder of shards; made-up videos of both codecs if None
    size: int = 96  # of made-up frames [px]
    videos: int = 200  # made-up videos
    batch: int = 64  # transitions
    steps: int = 60  # batches of each measurement; a consumer learns from a quarter as many
    workers: tuple[int, ...] = (0, 1, 2)  # processes of the loader
    budget_mb: float = 4096.0  # for frames kept in memory
    goals_from: str = "data"  # data | batch: where goals come from
    consumer: str = "encoder"  # none | encoder: a small convolutional network, forwards and backwards, on every frame
    threads: int = 1  # of the consumer


def bench_video(config: VideoBench, consumer: Consumer | None = None) -> dict[str, Any]:
    """consumer: what learns from a batch, instead of the configured one."""
    if config.consumer not in CONSUMERS:
        raise UnknownNameError("consumer", config.consumer, CONSUMERS)
    if consumer is None and config.consumer == "encoder":
        consumer = encoder(config.threads)
    settings = Sampling(batch=config.batch, goals_from=config.goals_from)
    numbers: dict[str, Any] = {"batch": config.batch, "goals_from": config.goals_from, "consumer": config.consumer}
    with tempfile.TemporaryDirectory() as folder:
        made = {} if config.data else {codec: made_up(Path(folder) / codec, codec, config) for codec in CODECS}
        roots = {"data": config.data} if config.data else made
        for name, root in roots.items():
            shards = VideoShards(root)
            size = sum(file.stat().st_size for file in root.glob("shard-*.frames"))
            ways: dict[str, dict[str, Any]] = {f"{n} processes": {"workers": n} for n in config.workers}
            ways["memory"] = {"workers": 1, "budget_mb": config.budget_mb}
            numbers[name] = {
                "codec": shards.form.codec,
                "frames": len(shards),
                "bytes_a_frame": round(size / len(shards), 1),
                "ways": {
                    way: _measure(shards, settings, config.steps, consumer, f"{name}, {way}", **arguments)
                    for way, arguments in ways.items()
                },
            }
    return numbers


def compare(loader: Loader, consumer: Consumer, steps: int) -> dict[str, float]:
    """A consumer fed by a loader, against the same consumer on a batch of the same shape that is there already."""
    batch = loader.next()
    still = replace(batch, frames=np.random.default_rng(0).integers(0, 256, batch.frames.shape).astype(np.uint8))
    consumer(still)
    half = -(-steps // 2)
    cpu = time.process_time()
    alone = _seconds(lambda: consumer(still), half)  # before and after: machines are not equally busy
    cpu = (time.process_time() - cpu) / half
    fed = _seconds(lambda: consumer(loader.next()), 2 * half)
    alone += _seconds(lambda: consumer(still), half)
    steps = 2 * half
    return {
        "consumer_cpu_s_per_step": round(cpu, 4),
        "consumer_alone_steps_per_s": round(steps / alone, 2),
        "consumer_fed_steps_per_s": round(steps / fed, 2),
        "fed_to_alone": round(alone / fed, 3),
    }


def encoder(threads: int = 1) -> Consumer:
    """A stand-in for a trainer: a small convolutional network, forwards and backwards, on every distinct frame."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    widths = (3, 32, 64, 128, 128)
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(4, b), nn.SiLU())]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 256))

    def consume(batch: Transitions) -> None:
        images = torch.from_numpy(batch.frames).permute(0, 3, 1, 2).float() / 255
        net.zero_grad(set_to_none=True)
        net(images).square().mean().backward()

    return consume


def made_up(root: Path, codec: str, config: VideoBench) -> Path:
    """Shards of smooth moving pictures, which take about as many bytes as filmed ones."""
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    form = Form(size=config.size, codec=codec)
    for number, videos in enumerate(np.array_split(np.arange(config.videos), 4)):
        writer = ShardWriter(root, number, form)
        for video in videos.tolist():
            wide = _smooth(random, config.size + STEPS)
            for step in range(STEPS):
                moved = wide[step : step + config.size, step // 2 : step // 2 + config.size]
                writer.write(form.encode(np.ascontiguousarray(moved)))
            writer.end_video(
                name=f"{video}", source="made up", view="camera", text="", embodiment="", begin_s=0.0, source_hz=form.hz
            )
            writer.end_recording(f"{video}")
        writer.finish()
        writer.close()
    return root


def _smooth(random: np.random.Generator, size: int) -> Image:
    coarse = Picture.fromarray(random.integers(0, 256, (size // 8, size // 8, 3)).astype(np.uint8))
    picture = np.asarray(coarse.resize((size, size), Picture.Resampling.BICUBIC)).astype(np.int16)
    return (picture + random.integers(-4, 5, picture.shape)).clip(0, 255).astype(np.uint8)


def _measure(
    shards: VideoShards, settings: Sampling, steps: int, consumer: Consumer | None, title: str, **arguments: Any
) -> dict[str, Any]:
    with Loader(shards, settings, **arguments) as loader:
        warm = len(shards) // settings.batch if loader.cached else 4
        for _ in track(
            range(min(warm, 300)), f"{title}: filling", console=Console(emoji=False, stderr=True), transient=True
        ):
            loader.next()
        frames, cpu, began = 0, time.process_time(), time.perf_counter()
        for _ in track(range(steps), title, console=Console(emoji=False, stderr=True), transient=True):
            frames += len(loader.next().frames)
        seconds = time.perf_counter() - began
        numbers: dict[str, Any] = {
            "frames_per_s": round(frames / seconds),
            "batches_per_s": round(steps / seconds, 2),
            "frames_a_batch": round(frames / steps, 1),
            "own_cpu_s_per_batch": round((time.process_time() - cpu) / steps, 4),
        }
        if consumer:
            numbers |= compare(loader, consumer, max(4, steps // 4))
            numbers["loader_to_consumer"] = round(numbers["batches_per_s"] / numbers["consumer_alone_steps_per_s"], 2)
        return numbers


def _seconds(call: Callable[[], Any], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began
