"""Train the learned estimator of progress on an episode store, successes and failures alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.data import Columns
from vgps_models.data.sampling import last_frames, split_episodes, succeeded, success_frames
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress.learned import ProgressConfig, ProgressNet
from vgps_models.progress.measures import auc, choose_threshold, voc
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.frames import Looks, feature_scale, load_looks

NEAR = 3  # frames before the last of a success that are neither one nor not: the thing may already lie there


@dataclass(frozen=True)
class ProgressTraining:
    """`vgps train progress`: a minute on 2 cores once the frames are encoded."""

    data: Path = Path("data/mixed")  # episode store with successes and failures
    encoder: str = "encoder"  # encoder checkpoint: a path or a shipped name
    out: Path = Path("runs/progress.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames are kept
    leave_out: tuple[str, ...] = ()  # task ids that training must not see, to measure what it makes of new ones
    steps: int = 3000  # updates
    batch: int = 256  # frames an update
    wrong_batch: int = 64  # frames under a wrong instruction an update
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-2  # weight decay
    noise: float = 0.5  # standard deviation of noise on the standardised looks
    held_out: float = 0.15  # fraction of episodes kept for measuring and for choosing the threshold of success
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 1000  # updates between resume points
    model: ProgressConfig = field(default_factory=ProgressConfig)


@dataclass(frozen=True, eq=False)
class Targets:
    """What the frames of a data set are to be judged at; a weight of 0 where nobody knows. N frames.

    progress: share of the episode that is over when this frame is seen, the last frame being 1: successes alone.
    success: the last frame of a success, against all others but the few before it.
    """

    progress: NDArray[np.float32]
    progress_known: NDArray[np.bool_]
    success: NDArray[np.float32]
    success_known: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Columns) -> Targets:
        won, left = success_frames(columns), last_frames(columns) - np.arange(len(columns))
        span = np.maximum(np.diff(columns.bounds)[columns.episode] - 1, 1)
        return cls(
            progress=(columns.frame / span).astype(np.float32),
            progress_known=won,
            success=(won & (left == 0)).astype(np.float32),
            success_known=~won | (left == 0) | (left > NEAR),
        )


class _Trainer:
    def __init__(self, config: ProgressTraining, looks: Looks) -> None:
        self.config, self.frames, columns = config, looks, looks.columns
        train, test = split_episodes(columns, config.held_out, config.seed)
        tasks = np.array(columns.instruction_tasks)
        for task in config.leave_out:
            if task not in tasks:
                raise UnknownNameError("task", task, sorted(set(tasks)))
        kept = ~np.isin(tasks, config.leave_out)
        train &= kept[columns.instruction]
        self.test = test
        self.train = np.flatnonzero(train)
        other = looks.wrong_instruction != columns.instruction
        self.wrong = np.flatnonzero(train & other & kept[looks.wrong_instruction])
        _require_both(config, columns, train)
        self.targets = {name: torch.from_numpy(value) for name, value in vars(Targets.of(columns)).items()}
        self.looks, self.wrong_looks = torch.from_numpy(looks.looks), torch.from_numpy(looks.wrong_looks)
        torch.manual_seed(config.seed)
        self.net = ProgressNet(config.model)
        mean, std = feature_scale(looks.looks[self.train])
        self.net.mean.copy_(mean)
        self.net.std.copy_(std)
        self.modules = {"net": self.net}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.decay, fused=True)

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        random, generator = loop.generators(config.seed, step)
        torch.manual_seed(generator.initial_seed())  # dropout and noise, so that a resumed run draws them again
        rows = parallel.share(self.train[random.integers(len(self.train), size=config.batch)])
        count = config.wrong_batch if len(self.wrong) else 0
        wrong = parallel.share(self.wrong[random.integers(len(self.wrong), size=count)] if count else self.wrong)
        said = self.net(self.looks[rows], config.noise)
        target = {name: value[rows] for name, value in self.targets.items()}
        parts = {
            "progress": _cross_entropy(said[..., 0], target["progress"], target["progress_known"]),
            "success": _cross_entropy(said[..., 1], target["success"], target["success_known"]),
        }
        if count:
            refused = self.net(self.wrong_looks[wrong], config.noise)[..., 1]
            parts["wrong"] = F.binary_cross_entropy_with_logits(refused, torch.zeros_like(refused))
        loss = torch.stack(list(parts.values())).sum()
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, list(self.net.parameters()), loss, rate=rate, clip=10.0)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in parts.items()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """On held-out episodes, all their frames: rank correlation, success detection and its threshold; and the
        rank correlation on all successes of the tasks left out."""
        self.net.eval()
        values = self.net.values(self.looks).mean(0).numpy()
        columns, out = self.frames.columns, {}
        won, bounds = succeeded(columns), columns.bounds
        orders = np.array([voc(values[a:b]) for a, b in pairwise(bounds)])
        final = values[bounds[1:] - 1]
        held = self.test[bounds[:-1]]
        tasks = np.array(columns.instruction_tasks)[columns.instruction[bounds[:-1]]]
        absent = np.isin(tasks, self.config.leave_out)
        known = held & ~absent
        if (known & won).any():
            out["held_out_voc"] = np.median(orders[known & won])
            out["held_out_successes"] = (known & won).sum()
        if (known & won).any() and (known & ~won).any():
            chosen = choose_threshold(final[known], won[known])
            out["held_out_auc"] = auc(final[known], won[known])
            out["held_out_balanced_accuracy"] = chosen.balanced_accuracy
            out["threshold"] = chosen.value
        if (absent & won).any():
            out["left_out_voc"] = np.median(orders[absent & won])
            out["left_out_auc"] = auc(final[absent], won[absent])
        return {name: float(number) for name, number in out.items()}


def _cross_entropy(said: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Mean over the heads and the frames that are known; said (heads, B), target and known (B,)."""
    misfit = F.binary_cross_entropy_with_logits(said, target.expand_as(said), reduction="none")
    return (misfit * known).sum() / (len(said) * known.sum().clamp_min(1))


def _require_both(config: ProgressTraining, columns: Columns, train: NDArray[np.bool_]) -> None:
    episodes = np.unique(columns.episode[train])
    won = succeeded(columns)[episodes]
    if not won.any() or won.all():
        raise DataError(
            f"{config.data}: of {len(episodes)} training episodes {int(won.sum())} succeed; an estimator of progress "
            "needs both successes and failures, as `vgps collect --quality mixed` makes them"
        )


def train_progress(config: ProgressTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    _, perception = checkpoint.load_perception(config.encoder)
    looks = load_looks(config.data, perception, config.cache)
    config = replace(config, model=replace(config.model, looks=perception.looks))
    trainer = _Trainer(config, looks)
    reached, numbers = loop.run(
        trainer, title="progress", steps=config.steps, out=config.out,
        fingerprint=provenance.fingerprint(config, looks.data_sha256, perception.sha256),
        save_every=config.save_every, log_every=200, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    metrics: dict[str, Any] = numbers | trainer.measure()
    Console(emoji=False, stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
    card = checkpoint.Card(
        kind="progress",
        architecture={"encoder": perception.config.to_json(), "progress": config.model.to_json()},
        instructions=tuple(sorted({*perception.language.known, *looks.columns.instructions})),
        data_sha256=looks.data_sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)),
        metrics=metrics,
    )
    checkpoint.save(config.out, card, {"encoder": perception.encoder, "progress": trainer.net}, perception.language)
    loop.finish(config.out)
    return config.out
