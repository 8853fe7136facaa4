"""How long one training step of the published critic takes, and how much memory: the trainer's own `step`."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vgps_models.critics.calql import CalQLConfig
from vgps_models.critics.resnet import ResNetEncoder
from vgps_models.data import Columns
from vgps_models.data.sampling import wrong_instructions
from vgps_models.precision import uses_bf16
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training.bench import channels_first
from vgps_models.training.end_to_end import EndToEndTrainer
from vgps_models.training.frames import Frames
from vgps_models.training.neighbours import Neighbours
from vgps_models.training.pixel_critic import PUBLISHED, PixelTraining

FRAMES, EPISODES = 64, 8  # of the made-up data; a step takes as long on any


@dataclass(frozen=True)
class TrainBench:
    """`vgps bench train`"""

    batch: int = 16  # transitions an update
    wrong_batch: int = 4  # wrong-instruction transitions an update, in the rows that have any
    steps: int = 5  # measured steps; one more comes first
    threads: int = 2  # torch threads
    variants: bool = False  # also measure other ways to run the step, a compiled one among them (10 minutes more)


@dataclass(frozen=True)
class _Way:
    """How a step is run."""

    training: PixelTraining
    steps: int
    channels_first: bool = False
    compiled: bool = False


def bench_train(config: TrainBench = TrainBench()) -> dict[str, Any]:
    """Seconds and memory of one Cal-QL step of the published configuration: draw, encode, loss, backward, update.

    "as_published": the loss of V-GPS. "with_wrong_instructions": as `vgps train pixels` does it, with the
    loss on wrong instructions. Each in a process of its own, for its peak of resident memory.
    encoded_rows: images through the encoder in a step, with and without gradients. operations: the largest
    parts of a step's time, by the profiler.
    "variants": the step as published, run in other ways.
    """
    published = PixelTraining(
        batch=config.batch, wrong_batch=config.wrong_batch, threads=config.threads,
        calql=replace(PUBLISHED, wrong_weight=0.0),
    )  # fmt: skip
    wrong = replace(published, calql=replace(PUBLISHED, wrong_weight=CalQLConfig.wrong_weight))
    as_published = _Way(published, config.steps)
    ways = {"as_published": as_published, "with_wrong_instructions": _Way(wrong, config.steps)}
    numbers = {
        "encoder": f"ResNet, blocks {list(published.resnet.blocks)}",
        "image": published.resnet.image_size,
        "threads": config.threads,
        "batch": config.batch,
        "bfloat16": uses_bf16(published.bf16),
    } | {name: _apart(way) for name, way in ways.items()}
    if config.variants:
        numbers["variants"] = {
            "float32": _apart(replace(as_published, training=replace(published, bf16="off"))),
            "bfloat16": _apart(replace(as_published, training=replace(published, bf16="on"))),
            "channels first": _apart(replace(as_published, channels_first=True)),
            "compiled": _apart(replace(as_published, compiled=True)),
        }
    return numbers


def _apart(way: _Way) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, way).result()


def _measure(way: _Way) -> dict[str, Any]:
    torch.set_num_threads(way.training.threads)
    before = _peak_gb()
    trainer = made_up_trainer(way.training)
    encoders = {"with_gradients": trainer.learner.encoder, "without": trainer.learner.target_encoder}
    for encoder in encoders.values():
        if way.channels_first:
            channels_first(encoder)
        if way.compiled:
            encoder.compile()
    rows = dict.fromkeys(encoders, 0)
    handles = [encoder.register_forward_hook(_counter(rows, name)) for name, encoder in encoders.items()]
    first = _seconds(lambda: trainer.step(0))
    for handle in handles:
        handle.remove()
    neighbours, used = Neighbours(), time.process_time()
    seconds = [_seconds(lambda step=step: trainer.step(step)) for step in range(1, way.steps + 1)]
    return {
        "step_s": {"p50": float(np.median(seconds)), "min": min(seconds), "max": max(seconds)},
        "cpu_s_per_step": (time.process_time() - used) / way.steps,
        "first_step_s": first,
        "peak_rss_gb": _peak_gb(),
        "rss_before_gb": before,
        "busy_elsewhere_cores": neighbours.cores(),
        "operations": _operations(lambda: trainer.step(way.steps + 1)),
        "encoded_rows": rows,
        "scored_chunks": 1 + trainer.needs.uniform + trainer.needs.policy + way.training.calql.policy_chunks,
    }


def made_up_trainer(config: PixelTraining) -> EndToEndTrainer:
    """The real trainer on noise: images of the encoder's size, every second episode a success."""
    random, spec = np.random.default_rng(0), ActionSpec()
    size, length = config.resnet.image_size, FRAMES // EPISODES
    episode, last = np.arange(FRAMES) // length, np.arange(FRAMES) % length == length - 1
    columns = Columns(
        state=random.normal(size=(FRAMES, 10)).astype(np.float32),
        joints=np.zeros((FRAMES, 7), np.float32),
        actions=random.uniform(spec.low, spec.high, (FRAMES, 7)).astype(np.float32),
        commanded=np.zeros((FRAMES, 7), np.float32),
        environment_state=np.zeros((FRAMES, 0), np.float32),
        done=last,
        success=last & (episode % 2 == 0),
        flawed=np.zeros(FRAMES, np.bool_),
        episode=episode,
        frame=np.arange(FRAMES) % length,
        instruction=episode // 2 % 2,
        bounds=np.arange(EPISODES + 1) * length,
        instructions=("put the spoon on the towel", "put the carrot on the plate"),
        instruction_tasks=("put_spoon_on_towel", "put_carrot_on_plate"),
    )
    sentences = random.normal(size=(2, 384))
    sentences = (sentences / np.linalg.norm(sentences, axis=1, keepdims=True)).astype(np.float32)
    none = np.zeros((FRAMES, 0), np.float32)
    frames = Frames(columns, none, none, wrong_instructions(columns), sentences, spec, "")
    images = random.integers(0, 256, (FRAMES, size, size, 3), dtype=np.uint8)
    samples = random.uniform(-1, 1, (FRAMES, config.samples, spec.horizon * 7)).astype(np.float32)
    normaliser = Normaliser(tuple(spec.low.tolist()), tuple(spec.high.tolist()))
    torch.manual_seed(config.seed)
    return EndToEndTrainer(config, frames, [images], samples, normaliser, ResNetEncoder(config.resnet))


def _operations(call: Callable[[], Any], largest: int = 8) -> dict[str, float]:
    """Share of the time of every operation of torch, the largest first."""
    with torch.profiler.profile() as told:
        call()
    own = {event.key: event.self_cpu_time_total for event in told.key_averages()}
    total = sum(own.values())
    return {name: round(own[name] / total, 3) for name in sorted(own, key=lambda n: -own[n])[:largest]}


def _counter(rows: dict[str, int], name: str) -> Callable[..., None]:
    def count(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        rows[name] += len(inputs[0])

    return count


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _peak_gb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
