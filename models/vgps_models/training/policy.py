"""Train a policy on all the data, flaws and all, as a generalist is; or on what a critic chose among its samples."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import split_episodes, success_frames
from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.policies import describe, make_net
from vgps_models.policies.network import ChunkNet
from vgps_models.progress import annotation
from vgps_models.spaces import ActionSpec, Normaliser
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.distil import Distillation, Guided, guided
from vgps_models.training.frames import Floats, Frames, chunks, feature_scale, load_frames
from vgps_models.training.weights import Weighing, weigh
from vgps_models.training.wording import Wording


@dataclass(frozen=True)
class PolicyTraining:
    """`vgps train policy`: about 2 minutes on 2 cores once the frames are encoded."""

    data: Path = Path("data/mixed")  # episode store
    architecture: str = "flow"  # one of `vgps_models.policies.ARCHITECTURES`
    encoder: str = "runs/encoder.safetensors"  # encoder checkpoint: a path or a shipped name
    out: Path = Path("runs/policy.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames are kept
    like: str = ""  # checkpoint whose normaliser is taken over, so that its critic fits; empty: bounds of this data
    start: str = ""  # policy checkpoint to go on from (fine-tuning); encoder, architecture and normaliser are its own
    success_only: bool = False  # clone the successful episodes alone (the filtered baseline)
    steps: int = 10_000  # updates
    batch: int = 256  # chunks an update
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    average: float = 0.999  # decay of the moving average of the weights, which is what is kept
    rephrase: bool = True  # say each instruction in other words, anew for every chunk
    feature_noise: float = 0.0  # standard deviation of noise on standardised features
    held_out: float = 0.05  # fraction of episodes kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 1000  # updates between resume points
    model: dict[str, int] = field(default_factory=dict)  # sizes other than the architecture's own: width 128 ...
    weigh: Weighing = field(default_factory=Weighing)  # count frames by the progress that follows them
    distil: Distillation = field(default_factory=Distillation)  # learn the best of a policy's own samples instead


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a policy learns, and in whose terms. chunks: normalised, one a frame. (N, H * 7)"""

    perception: Perception
    frames: Frames
    normaliser: Normaliser
    chunks: Floats
    architecture: dict[str, Any]  # for `make_net`
    start: ChunkNet | None = None  # weights to begin with
    guided: Guided | None = None  # where the chunks come from, unless from the data
    weights: Floats | None = None  # how much each frame counts, (N,)
    made_of: dict[str, str] = field(default_factory=dict)  # hashes of the checkpoints that went into it


class _Trainer:
    def __init__(self, config: PolicyTraining, lesson: Lesson) -> None:
        self.config, self.lesson, frames = config, lesson, lesson.frames
        train, test = split_episodes(frames.columns, config.held_out, config.seed)
        if config.success_only:
            won = success_frames(frames.columns)
            train, test = train & won, test & won
        self.train, self.test = np.flatnonzero(train), np.flatnonzero(test)
        if len(self.train) == 0:
            raise DataError(f"{config.data} has no {'successful ' * config.success_only}episode to train on")
        # Drawn as often as they count, which any architecture's loss can do without knowing.
        self.odds: Floats | None = None
        if lesson.weights is not None:
            weights = lesson.weights[self.train]
            if not weights.any():
                raise DataError(f"{config.data}: progress gives every training frame a weight of 0; nothing is left")
            self.odds = np.cumsum(weights / weights.sum())
        self.features = torch.from_numpy(frames.features)
        self.chunks = torch.from_numpy(lesson.chunks)
        self.sentences = torch.from_numpy(frames.sentences)
        self.instruction = frames.columns.instruction
        self.wording = Wording(frames.columns.instructions, lesson.perception.language)
        torch.manual_seed(config.seed)
        self.net = make_net(lesson.architecture)
        if lesson.start is not None:
            self.net.load_state_dict(lesson.start.state_dict())
        else:
            mean, std = feature_scale(frames.features[self.train])
            self.net.feature_mean.copy_(mean)
            self.net.feature_std.copy_(std)
        self.average = copy.deepcopy(self.net)
        self.modules = {"net": self.net, "average": self.average}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.decay, fused=True)

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        numpy_random, generator = loop.generators(config.seed, step)
        rows = self.train[self._draw(numpy_random)]
        instruction = self.instruction[rows]
        told = self.wording.draw(instruction, numpy_random) if config.rephrase else self.sentences[instruction]
        rows, told = parallel.share(rows), parallel.share(told)
        with parallel.shared_draws():
            features = self.features[rows]
            if config.feature_noise > 0:
                noise = torch.randn(features.shape, generator=generator)
                features = features + config.feature_noise * self.net.feature_std * noise
            loss = self.net.loss(self.chunks[rows], features, told, generator)
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, list(self.net.parameters()), loss, rate=rate, clip=1.0)
        loop.average(self.average, self.net, step, config.average)
        return {"loss": loss.detach()}

    def _draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        if self.odds is None:
            return random.integers(len(self.train), size=self.config.batch)
        return np.searchsorted(self.odds[:-1], random.random(self.config.batch), side="right")

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Loss on held-out episodes, averaged network; of a distilled policy also the critic's scores."""
        if len(self.test) == 0:
            return {}
        rows = self.test[:4096]
        told, generator = self.sentences[self.instruction[rows]], torch.Generator().manual_seed(0)
        loss = self.average.loss(self.chunks[rows], self.features[rows], told, generator)
        scores = self.lesson.guided.measure(self.average, rows) if self.lesson.guided else {}
        return {"held_out_loss": float(loss), "held_out_frames": float(len(rows))} | scores


def train_policy(config: PolicyTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    lesson = _weighed(config, _distilling(config) if config.distil else _cloning(config))
    frames, perception = lesson.frames, lesson.perception
    trainer = _Trainer(config, lesson)
    hashes = (frames.data_sha256, perception.sha256, *lesson.made_of.values())
    fingerprint = provenance.fingerprint(config, *hashes, str(lesson.architecture), str(lesson.normaliser.to_json()))
    reached, numbers = loop.run(
        trainer, title=f"{lesson.architecture['name']} policy", steps=config.steps, out=config.out,
        fingerprint=fingerprint, save_every=config.save_every, log_every=200, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    card = checkpoint.Card(
        kind="policy",
        architecture={"encoder": perception.config.to_json(), "policy": describe(trainer.net)},
        spec=frames.spec,
        normaliser=lesson.normaliser,
        instructions=tuple(sorted({*perception.language.known, *frames.columns.instructions})),
        data_sha256=frames.data_sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)) | lesson.made_of,
        metrics=numbers | trainer.measure(),
    )
    modules = {"encoder": perception.encoder, "policy": trainer.average}
    checkpoint.save(config.out, card, modules, perception.language)
    loop.finish(config.out)
    return config.out


def _weighed(config: PolicyTraining, lesson: Lesson) -> Lesson:
    """The lesson with weights by progress, if they are asked for."""
    if config.weigh.kind == "none":
        return lesson
    store = EpisodeStore(config.data)
    path = config.weigh.progress or annotation.default_path(config.data, "learned")
    made = annotation.read(path, store)
    weights, trust = weigh(config.weigh, made.values, lesson.frames.columns, lesson.frames.spec.horizon)
    for task in (task for task, trusted in trust.items() if not trusted):
        Console(emoji=False, stderr=True).print(
            f"{task}: {made.source} orders its successes badly, so it is cloned without weights"
        )
    told = {"progress_source": made.source, "progress_sha256": hashlib.sha256(weights.tobytes()).hexdigest()}
    return replace(lesson, weights=weights, made_of=lesson.made_of | told)


def _cloning(config: PolicyTraining) -> Lesson:
    """The chunks of the data, for a new policy or for one that goes on."""
    if config.start:
        policy, card = checkpoint.load_policy(config.start, threads=config.threads), checkpoint.read_card(config.start)
        frames = load_frames(config.data, policy.perception, config.cache)
        frames.spec.require_equal(policy.spec, mine=f"data {config.data}", theirs=f"policy {config.start}")
        targets = chunks(frames.columns, frames.spec, policy.normaliser)
        return Lesson(
            policy.perception, frames, policy.normaliser, targets, describe(policy.net), policy.net,
            made_of={"start_sha256": card.weights_sha256},
        )  # fmt: skip
    _, perception = checkpoint.load_perception(config.encoder)
    if config.like:
        checkpoint.read_card(config.like)  # refused before all images are encoded
    frames = load_frames(config.data, perception, config.cache)
    spec = frames.spec
    # Bounds come from ALL the data, also when only successes are cloned: one normaliser a data set.
    normaliser = Normaliser.from_actions(frames.columns.actions.astype(np.float64), spec)
    if config.like:
        normaliser = _normaliser_of(config.like, spec)
    sizes = {"features": perception.config.features, "chunk": spec.horizon * len(spec.names)}
    architecture = {"name": config.architecture} | config.model | sizes
    return Lesson(perception, frames, normaliser, chunks(frames.columns, spec, normaliser), architecture)


def _distilling(config: PolicyTraining) -> Lesson:
    """The chunks that a critic chose among a policy's own."""
    if config.start:
        raise DataError("distillation trains a policy anew; give --start or --distil.policy, not both")
    made = guided(config.distil, config.data, config.cache, threads=config.threads)
    policy = made.policy
    return Lesson(
        policy.perception, made.frames, policy.normaliser, made.best, describe(policy.net), guided=made,
        made_of={"distilled_policy_sha256": made.policy_sha256, "distilled_critic_sha256": made.critic_sha256},
    )  # fmt: skip


def _normaliser_of(name: str, spec: ActionSpec) -> Normaliser:
    card = checkpoint.read_card(name)
    if card.spec is None or card.normaliser is None:
        raise DataError(f"checkpoint {name} has no normaliser to take over; name a policy or a critic")
    spec.require_equal(card.spec, mine="the data", theirs=f"checkpoint {name}")
    return card.normaliser
