"""Train a critic by any algorithm on all the data, with the frozen policy's own samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.critics import ALGORITHMS, CriticConfig, LearnerConfig, require_algorithm
from vgps_models.critics.base import Batch, Learner
from vgps_models.critics.calql import CalQLConfig
from vgps_models.critics.cql import CQLConfig
from vgps_models.critics.iql import IQLConfig
from vgps_models.critics.ota import OTAConfig
from vgps_models.data import Columns, EpisodeStore
from vgps_models.data.relabelling import relabelled
from vgps_models.data.sampling import Transitions, rewarded, split_episodes, succeeded, success_frames, transitions
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.perception.language import Language
from vgps_models.ranking import ranking
from vgps_models.spaces import ACTION_NAMES, GRIPPER, Normaliser
from vgps_models.training import loop, parallel
from vgps_models.training.augment import AugmentConfig
from vgps_models.training.critic_measures import calibration
from vgps_models.training.frames import Frames, chunks, feature_scale
from vgps_models.training.material import Material, all_images, card_of, gather, require_checkpoints, sized
from vgps_models.training.wording import Wording

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CriticTraining:
    """`vgps train critic`: 2-4 minutes on 2 cores once frames and policy samples are cached."""

    data: Path = Path("data/mixed")  # episode store
    policy: str = "runs/policy.safetensors"  # the frozen policy: a path or a shipped name
    encoder: str = (
        ""  # what it sees with: an encoder's checkpoint, or untrained conv, resnet or vit; empty: the policy's
    )
    start: str = ""  # critic to go on from, with what it sees with unless --encoder names another; empty: a fresh one
    focus: tuple[str, ...] = ()  # task ids that the critic is for; the others keep it from forgetting
    focused: float = 0.9  # share of the transitions that are of those tasks
    encoder_rate: float = 0.0  # peak learning rate of that encoder, trained along; 0 keeps it frozen, which is quicker
    out: Path = Path("runs/critic.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames and policy samples are kept
    algorithm: str = "calql"  # calql, cql, iql or ota; only the settings of that one below count
    horizon: int = 0  # actions of a chunk that the critic reads and a transition spans; 0 all, 1 the first alone
    samples: int = 8  # cached policy chunks a frame
    fraction: float = 1.0  # of the training episodes that are used (an ablation)
    rewards: str = ""  # file of `vgps reward relabel` with a learned reward of every frame; empty: -1 until success
    success_only: bool = False  # train on the successful episodes alone (an ablation)
    steps: int = 6000  # updates
    batch: int = 256  # transitions an update
    rephrase: bool = True  # say each instruction in other words, anew for every transition
    wrong_batch: int = 64  # wrong-instruction transitions an update
    rate: float = 3e-4  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    held_out: float = 0.1  # fraction of episodes kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 1000  # updates between resume points
    log_every: int = 200  # updates between lines of the log
    bf16: bool = True  # autocast the matrix products
    model: CriticConfig = field(default_factory=CriticConfig)
    calql: CalQLConfig = field(default_factory=CalQLConfig)
    cql: CQLConfig = field(default_factory=CQLConfig)
    iql: IQLConfig = field(default_factory=IQLConfig)
    ota: OTAConfig = field(default_factory=OTAConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)  # of images, when the encoder is trained along

    @property
    def loss(self) -> LearnerConfig:
        """Settings of the chosen algorithm."""
        require_algorithm(self.algorithm)
        return getattr(self, self.algorithm)

    def settings(self) -> dict[str, Any]:
        """What decides the weights; of the algorithms only the chosen one."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ALGORITHMS}
        nested = {"model": asdict(self.model), "loss": asdict(self.loss), "augment": asdict(self.augment)}
        return chosen | nested


class Trainer:
    """Draws batches, takes steps and measures; `loop.run` drives it."""

    def __init__(
        self, config: CriticTraining, frames: Frames, samples: NDArray[np.float32], normaliser: Normaliser
    ) -> None:
        self.config, self.frames = config, frames
        columns, self.needs, width = frames.columns, config.loss.needs, config.model.chunk
        gamma, steps = config.loss.gamma, width // len(ACTION_NAMES)
        learned = relabelled(Path(config.rewards), frames.data_sha256, len(columns)) if config.rewards else None

        def following(steps: int) -> Transitions:
            return transitions(columns, steps, gamma) if learned is None else rewarded(columns, steps, gamma, learned)

        made = following(steps)
        train, self.test = split(columns, config)
        self.train = np.flatnonzero(train & made.usable)
        in_focus = focused(columns, config.focus)
        self.focus, self.others = self.train[in_focus[self.train]], self.train[~in_focus[self.train]]
        if config.focus and not len(self.focus):
            raise DataError(f"{config.data}: no training episode is of {', '.join(config.focus)}")
        self.wrong = np.flatnonzero(train & (frames.wrong_instruction != columns.instruction))
        self.features = torch.from_numpy(frames.features)
        self.wrong_features = torch.from_numpy(frames.wrong_features)
        self.sentences = torch.from_numpy(frames.sentences)
        self.wording = Wording(columns.instructions, Language())
        self.chunks = torch.from_numpy(chunks(columns, frames.spec, normaliser)[:, :width])
        self.samples = torch.from_numpy(samples[..., :width])
        self.chunk_end = _Outcome(made.reward, made.discount, made.following)
        self.option_end = self.chunk_end
        if self.needs.option:
            option = following(steps * self.needs.option)
            self.option_end = _Outcome(option.reward, option.discount, option.following)
        self.mc_return = torch.from_numpy(made.mc_return)
        torch.manual_seed(config.seed)
        self.device = parallel.device()
        self.learner = self.make_learner().to(self.device)
        self.net = self.learner.net
        self.modules = {"learner": self.learner}
        self.trained = [p for p in self.learner.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, config.rate, weight_decay=config.decay, fused=True)

    def make_learner(self) -> Learner:
        """A fresh learner that knows the scale of the features."""
        learner = self.algorithm()
        learner.standardise(*feature_scale(self.frames.features[self.train]))
        return learner

    def algorithm(self) -> Learner:
        """A fresh learner of the chosen algorithm."""
        return require_algorithm(self.config.algorithm)[1](self.config.model, self.config.loss)

    def batch(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        """One step's transitions, on the CPU."""
        config, needs, columns = self.config, self.needs, self.frames.columns
        rows = self._rows(random)
        count = config.wrong_batch if config.loss.wrong_weight > 0 and len(self.wrong) else 0
        wrong = self.wrong[random.integers(len(self.wrong), size=count)] if count else rows[:0]
        following = self.chunk_end.following[rows]
        optional = rows if needs.option else rows[:0]
        some = torch.from_numpy(random.permuted(np.tile(np.arange(self.samples.shape[1]), (2, 1)), axis=1))
        return Batch(
            features=self.features[rows],
            sentence=self._told(columns.instruction[rows], random),
            chunk=self.chunks[rows],
            reward=self.chunk_end.reward[rows],
            discount=self.chunk_end.discount[rows],
            next_features=self.features[following],
            mc_return=self.mc_return[rows],
            policy_chunks=self.samples[rows][:, some[1, : needs.policy]],
            next_chunks=self.samples[following][:, some[0, : needs.following]],
            uniform_chunks=uniform_chunks(len(rows), needs.uniform, self.chunks.shape[1], generator),
            option_reward=self.option_end.reward[optional],
            option_discount=self.option_end.discount[optional],
            option_features=self.features[self.option_end.following[optional]],
            wrong_features=self.wrong_features[wrong],
            wrong_sentence=self._told(self.frames.wrong_instruction[wrong], random),
            wrong_chunk=self.chunks[wrong],
        )

    def _rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Frames that a step's transitions begin with, (B,): all alike, or mostly those of the tasks in focus."""
        batch = self.config.batch
        if not self.config.focus:
            return self.train[random.integers(len(self.train), size=batch)]
        many = round(self.config.focused * batch) if len(self.others) else batch
        drawn = [self.focus[random.integers(len(self.focus), size=many)]]
        if many < batch:
            drawn.append(self.others[random.integers(len(self.others), size=batch - many)])
        return random.permutation(np.concatenate(drawn))

    def _told(self, instruction: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        """Sentences (B, 384) for the recorded instructions (B,)."""
        return self.wording.draw(instruction, random) if self.config.rephrase else self.sentences[instruction]

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        batch = parallel.share(self.batch(*loop.generators(config.seed, step))).to(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=config.bf16):
            parts = self.learner.losses(batch)
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, self.trained, parts["loss"], rate=rate, clip=10.0)
        self.learner.follow()
        return {name: value.detach() for name, value in parts.items()}

    @torch.inference_mode()
    def measure(self) -> tuple[dict[str, float], dict[str, Any]]:
        """Held-out episodes: numbers for the card, and the calibration of Q.

        held_out_auc: does a higher Q mean success? held_out_language: how often is what was done worth
        more under the instruction that was followed than under another task's?
        """
        self.learner.cpu()
        rows = np.flatnonzero(self.test)
        if len(rows) == 0:
            return {}, {}
        columns, wrong = self.frames.columns, self.frames.wrong_instruction[rows]
        encoded = self.net.encode(self.features[rows], self.sentences[columns.instruction[rows]])
        done = self.chunks[rows][:, None]
        q = self.net.score(encoded, done).mean(0)[:, 0].numpy()
        q_policy = self.net.score(encoded, self.samples[rows]).mean(0).numpy()
        q_wrong = self.net(self.wrong_features[rows], self.sentences[wrong], done).mean(0)[:, 0].numpy()
        told = calibration(q, columns, rows, self.config.loss.gamma)
        won, other = success_frames(columns)[rows], wrong != columns.instruction[rows]
        numbers = {
            "held_out_auc": ranking(q, won),
            "held_out_q_success": float(q[won].mean()) if won.any() else 0.0,
            "held_out_q_failure": float(q[~won].mean()) if (~won).any() else 0.0,
            "held_out_q_policy": float(q_policy.mean()),
            "held_out_policy_spread": float(q_policy.std(-1).mean()),
            "held_out_calibration_error": told["error"],
            "held_out_calibration_bias": told["bias"],
        }
        if other.any():
            numbers["held_out_q_wrong"] = float(q_wrong[other].mean())
            numbers["held_out_language"] = float((q > q_wrong)[other].mean())
        return numbers, told


class _Outcome:
    """Where a number of steps leads from every frame; target = reward + discount * value[following]."""

    def __init__(self, reward: NDArray, discount: NDArray, following: NDArray) -> None:
        self.reward, self.discount, self.following = torch.from_numpy(reward), torch.from_numpy(discount), following


def focused(columns: Columns, tasks: Sequence[str]) -> Bools:
    """Frames (N,) of the tasks with these ids."""
    known = np.array(columns.instruction_tasks)
    for task in tasks:
        if task not in known:
            raise UnknownNameError("task", task, sorted(set(columns.instruction_tasks)))
    return np.isin(known, tasks)[columns.instruction]


def uniform_chunks(batch: int, count: int, width: int, generator: torch.Generator) -> Tensor:
    """Normalised chunks drawn from the whole action box, the gripper open or closed as it would be executed.

    Shape (batch, count, width).
    """
    chunks = torch.rand(batch, count, width, generator=generator) * 2 - 1
    grippers = slice(GRIPPER, None, len(ACTION_NAMES))
    chunks[..., grippers] = chunks[..., grippers].sign()
    return chunks


def split(columns: Columns, config: CriticTraining) -> tuple[Bools, Bools]:
    """Frames to train on and frames to measure on. Shapes (N,), (N,).

    Refuses data without a success, or without a failure unless successes alone were asked for: values
    that are the same everywhere teach nothing.
    """
    if not 0.0 < config.fraction <= 1.0:
        raise DataError(f"--fraction is {config.fraction}; it takes a part of the training episodes, in (0, 1]")
    train, test = split_episodes(columns, config.held_out, config.seed)
    episodes = np.unique(columns.episode[train])
    order = np.random.Generator(np.random.PCG64([config.seed, 13])).permutation(episodes)
    used = order[: max(1, round(config.fraction * len(order)))]
    won = succeeded(columns)[used]
    found = f"{config.data}: of {len(used)} training episodes {int(won.sum())} succeed"
    if not won.any():
        raise DataError(
            f"{found}, so nothing shows what leads to success; add successful episodes, "
            "for example by `vgps collect --quality mixed`"
        )
    if won.all() and not config.success_only:
        raise DataError(
            f"{found}: a critic that never sees a failure cannot tell one; add failures, for example by "
            "`vgps collect --quality mixed`, or give --success-only to train without on purpose"
        )
    train &= np.isin(columns.episode, used)
    if config.success_only:
        train &= success_frames(columns)
    return train, test


def train_critic(config: CriticTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end.

    Action spec and normaliser are the policy's: what it proposes is what is scored. The calibration of Q is
    written beside the checkpoint, as `<out>.calibration.json`.
    """
    torch.set_num_threads(config.threads)
    require_checkpoints(config)
    split(EpisodeStore(config.data).columns(), config)  # refuse what cannot be learned from before all the work
    material = gather(config)
    encoder: Any = material.encoder
    config = sized(config, material, features=encoder.config.features)
    frames, samples, normaliser = material.frames, material.samples, material.policy.normaliser
    if config.encoder_rate > 0:
        from vgps_models.training.end_to_end import EndToEndTrainer

        images = all_images(config, encoder.config.cameras, encoder.config.image_size)
        trainer = EndToEndTrainer(config, frames, images, samples, normaliser, encoder)
        encoder = trainer.learner.encoder
    else:
        trainer = Trainer(config, frames, samples, normaliser)
    if material.start is not None:
        trainer.learner.begin(material.start)
    return run(config, material, trainer, encoder, f"{config.algorithm} critic", stop_after)


def run(
    config: CriticTraining, material: Material, trainer: Trainer, encoder: Any, title: str, stop_after: int | None
) -> Path | None:
    """The loop, the measures, the checkpoint."""
    reached, numbers = loop.run(
        trainer, title=title, steps=config.steps, out=config.out, fingerprint=material.fingerprint(config),
        save_every=config.save_every, log_every=config.log_every, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if parallel.leads():
        measured, told = trainer.measure()
        card = card_of(config, material, encoder, numbers | measured)
        language = material.policy.perception.language
        checkpoint.save(config.out, card, {"encoder": encoder, "critic": trainer.net}, language)
        config.out.with_suffix(".calibration.json").write_text(json.dumps(told, indent=1) + "\n")
        loop.finish(config.out)
    return config.out
