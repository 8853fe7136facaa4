"""How long scoring takes: encoder included, for several K within one run, on a set number of threads."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.critics import resnet
from vgps_models.critics.network import Critic, CriticConfig, QEnsemble
from vgps_models.critics.resnet import PixelPerception, ResNetConfig, ResNetEncoder
from vgps_models.errors import SpecError
from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder
from vgps_models.perception.language import WIDTH, Language
from vgps_models.perception.runtime import Eyes, Perception
from vgps_models.selection import Judge, Selection, choose
from vgps_models.spaces import ActionSpec, Normaliser, Observation, noise
from vgps_models.training.neighbours import Neighbours

SENTENCE = "put the spoon on the towel"
WARM_UP = 10  # rounds that are not counted
RARE = 20  # rounds between two measurements of what takes long


@dataclass(frozen=True)
class ScoreBench:
    """`vgps bench score`"""

    config: Literal["keypoint", "resnet34"] = "keypoint"  # architecture of the critic; resnet34 is the published one
    critic: str = ""  # checkpoint to measure instead: a path or a shipped name; untrained weights are as fast
    k: tuple[int, ...] = (1, 10, 50, 100)  # numbers of candidates
    rounds: int = 200  # measurements of each
    threads: int = 1  # torch threads
    variants: bool = False  # resnet34: also measure other ways to run it, compiled ones among them (2 minutes more)


def bench_score(config: ScoreBench = ScoreBench()) -> dict[str, Any]:
    """Milliseconds from an observation and K candidates to the choice.

    "k": encoder included, for each K, measured in turn so that a busy machine slows all of them alike.
    "candidates_to_choice_ms": the image came first and is encoded, K = 10.
    "ratio": p50 of each K over that of the smallest.
    "as_published" (resnet34): the same weights as V-GPS runs them, the image repeated for every candidate.
    "variants": other ways to run the encoder on one image, and what compiling took.
    """
    torch.set_num_threads(config.threads)
    critic = (
        checkpoint.load_critic(config.critic, threads=config.threads) if config.critic else UNTRAINED[config.config]()
    )
    random, eyes = np.random.default_rng(0), critic.perception
    shape = (critic.spec.horizon, len(critic.spec.names))
    candidates = critic.spec.clip(
        critic.normaliser.denormalise(noise((0, 0), (max(config.k), *shape)).astype(np.float64))
    )
    neighbours = Neighbours()
    full: dict[str, list[float]] = {str(k): [] for k in config.k}
    published: dict[str, list[float]] = {}
    head: list[float] = []
    repeated = _Repeated(critic, eyes) if isinstance(eyes, PixelPerception) else None
    for step in range(config.rounds + WARM_UP):
        for k in config.k:
            observation = _observation(eyes.config, random, step)
            began = time.perf_counter()
            features = critic.encode(observation)
            encoded = time.perf_counter()
            choose(Selection(), candidates[:k], None, Judge.of(critic, features), (0, step))
            done = time.perf_counter()
            if step >= WARM_UP:
                full[str(k)].append(1e3 * (done - began))
                if k == 10:
                    head.append(1e3 * (done - encoded))
        if repeated is not None and step >= WARM_UP and step % RARE == 0:
            for k in (1, 10):
                observation = _observation(eyes.config, random, step)
                began = time.perf_counter()
                repeated(observation, candidates[:k])
                published.setdefault(str(k), []).append(1e3 * (time.perf_counter() - began))
    table = {k: quantiles(ms) for k, ms in full.items()}
    base = table[str(min(config.k))]["p50_ms"]
    numbers = {
        "encoder": _described(eyes),
        "critic": Path(config.critic).name if config.critic else "untrained",
        "heads": critic.net.config.heads,
        "image": eyes.config.image_size,
        "threads": config.threads,
        "rounds": config.rounds,
        "busy_elsewhere_cores": neighbours.cores(),
        "k": table,
        "ratio": {k: row["p50_ms"] / base for k, row in table.items()},
        "candidates_to_choice_ms": {n.removesuffix("_ms"): v for n, v in quantiles(head).items()} if head else {},
    }
    if published:
        numbers["as_published"] = {k: quantiles(ms) for k, ms in published.items()}
    if config.variants:
        if not isinstance(eyes, PixelPerception):
            raise SpecError("--variants are measured of the published encoder; add --config resnet34")
        numbers["variants"] = encoder_variants(eyes.encoder, rounds=max(RARE, config.rounds // 5))
    return numbers


def encoder_variants(encoder: ResNetEncoder, *, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds for one image, measured in turn, of several ways to run the same weights.

    "as_run" is `fast`. first_s: what the first call took, which compiles.
    """
    made: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "as_run": encoder.fast(),
        "float32": copy.deepcopy(encoder).eval(),
        "float32, channels first": channels_first(copy.deepcopy(encoder).eval()),
        "as_run, channels first": channels_first(encoder.fast()),
        "as_run, compiled": torch.compile(encoder.fast()),
    }
    size = encoder.config.image_size
    inputs = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8), torch.full((1, WIDTH), WIDTH**-0.5)
    times: dict[str, list[float]] = {name: [] for name in made}
    first: dict[str, float] = {}
    with torch.no_grad():  # a compiled network does not like inference mode
        for name, run in made.items():
            first[name] = 1e-3 * milliseconds(lambda run=run: run(*inputs))
        for _ in range(rounds):
            for name, run in made.items():
                times[name].append(milliseconds(lambda run=run: run(*inputs)))
    return {name: quantiles(ms) | {"first_s": round(first[name], 2)} for name, ms in times.items()}


class _Repeated:
    """Scores as V-GPS does: one row of a batch for every candidate, each with a copy of the image, in float32."""

    def __init__(self, critic: Critic, eyes: PixelPerception) -> None:
        self.critic, self.eyes = critic, eyes
        self.encoder = copy.deepcopy(eyes.encoder).eval()

    @torch.inference_mode()
    def __call__(self, observation: Observation, candidates: np.ndarray) -> int:
        critic, count = self.critic, len(candidates)
        image = torch.from_numpy(resnet.view(observation, self.eyes.config))
        words = torch.from_numpy(self.eyes.language(observation.instruction))
        features = self.encoder(image.expand(count, -1, -1, -1), words.expand(count, -1))
        chunks = torch.from_numpy(critic.normaliser.normalise(candidates).reshape(count, 1, -1).astype(np.float32))
        return int(critic.net(features, words.expand(count, -1), chunks).amin(0).argmax())


def channels_first(encoder: ResNetEncoder) -> ResNetEncoder:
    """Turn its weights, and with them all that flows through, from channels last in memory to channels first."""

    def turned(module: Any, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, sentence = inputs
        return images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1), sentence

    encoder.register_forward_pre_hook(turned)
    return encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def quantiles(ms: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {"p50_ms": float(np.median(ms)), "p99_ms": float(np.quantile(ms, 0.99))}


def untrained_critic(seed: int = 0) -> Critic:
    """A critic of the default size with random weights: as fast as a trained one."""
    torch.manual_seed(seed)
    spec, encoder = ActionSpec(), EncoderConfig()
    perception = Perception(KeypointEncoder(encoder), _language())
    net = QEnsemble(CriticConfig(features=encoder.features, chunk=spec.horizon * len(spec.names)))
    return Critic(perception, net, spec, _limits(spec))


def untrained_resnet34(seed: int = 0) -> Critic:
    """The published critic with random weights; it scores one action."""
    torch.manual_seed(seed)
    spec = ActionSpec(horizon=1)
    perception = PixelPerception(ResNetEncoder(ResNetConfig()), _language())
    return Critic(perception, QEnsemble(resnet.HEADS), spec, _limits(spec))


UNTRAINED = {"keypoint": untrained_critic, "resnet34": untrained_resnet34}


def _described(eyes: Eyes) -> str:
    config, size = eyes.config, sum(p.numel() for p in eyes.encoder.parameters())
    kind = "ResNet, blocks" if isinstance(config, ResNetConfig) else "keypoints, channels"
    layers = config.blocks if isinstance(config, ResNetConfig) else config.channels
    return f"{kind} {list(layers)}, {len(config.cameras)} views, {size} parameters"


def _language() -> Language:
    return Language({SENTENCE: np.full(WIDTH, WIDTH**-0.5, np.float32)})


def _limits(spec: ActionSpec) -> Normaliser:
    return Normaliser(tuple(spec.low.tolist()), tuple(spec.high.tolist()))


def _observation(config: EncoderConfig | ResNetConfig, random: np.random.Generator, step: int) -> Observation:
    shape = (config.image_size, config.image_size, 3)
    images = {name: random.integers(0, 256, shape, dtype=np.uint8) for name in config.cameras}
    return Observation(images, random.normal(size=10).astype(np.float32), SENTENCE, key=(0, step))
