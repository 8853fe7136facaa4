"""Train a finder of named points on labelled pictures: `vgps train points`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.errors import DataError
from vgps_models.keypoints.finder import STRIDE, PointConfig, PointFinder, PointNet, read_maps
from vgps_models.keypoints.pictures import Pictures
from vgps_models.perception.heatmaps import cell_weights
from vgps_models.perception.language import Language
from vgps_models.precision import Bf16, autocast, settled
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.augment import Augment, AugmentConfig


@dataclass(frozen=True)
class PointTraining:
    """`vgps train points`: about half an hour of one core for 10 000 pictures."""

    data: Path = Path("data/poses")  # pictures of `vgps poses`
    out: Path = Path("runs/points.safetensors")  # checkpoint to write
    start: str = ""  # checkpoint of the same points to go on from: a shipped name or a path; empty: from scratch
    steps: int = 3000  # updates
    batch: int = 24  # pictures an update
    rate: float = 1.5e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    blurred: float = 0.5  # share of the pictures that are smoothed as a lens does
    held_out: float = 0.04  # share of the pictures kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 200  # updates between resume points
    bf16: Bf16 = "auto"  # bfloat16 convolutions: where they are faster, on or off
    model: PointConfig = field(default_factory=PointConfig)  # its points and size are those of the pictures
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(brightness=0.15, contrast=0.3, colour=0.15))


class _Trainer:
    def __init__(self, config: PointTraining, pictures: Pictures) -> None:
        self.config, self.pictures = config, pictures
        torch.manual_seed(config.seed)
        self.net = _begun(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules: dict[str, nn.Module] = {"encoder": self.net}
        self.parameters = list(self.net.parameters())
        self.optimiser = torch.optim.AdamW(self.parameters, config.rate, weight_decay=config.decay, fused=True)
        self.augment = Augment(config.augment)
        self.pixels, self.shown = (torch.from_numpy(pictures.column(name)) for name in ("pixels", "shown"))
        # Whole shards are kept for measuring, so that nobody in them was seen in training.
        count = max(1, round(len(pictures) * config.held_out))
        self.train, self.test = np.arange(len(pictures) - count), np.arange(len(pictures) - count, len(pictures))
        if len(self.train) == 0:
            raise DataError(f"{len(pictures)} pictures are too few to keep {count} for measuring; make more")
        under = pictures.column("under")[self.train]
        seen = pictures.column("shown")[self.train]
        usual = [float(np.median(under[seen[:, k], k])) if seen[:, k].any() else 0.0 for k in range(under.shape[1])]
        self.net.under.copy_(torch.tensor(usual))

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        random, _ = loop.generators(config.seed, step)
        rows = self.train[loop.epoch_indices(config.seed, step, config.batch, len(self.train))]
        images = torch.from_numpy(self.pictures.images(rows))[:, None]
        moved, pixels = self.augment(images, self.pixels[rows][:, None], random)
        images, pixels = _blurred(moved[:, 0], random.random(len(rows)) < config.blurred), pixels[:, 0]
        with autocast(config.bf16):
            logits = self.net(parallel.share(images))
        target = target_maps(parallel.share(pixels), parallel.share(self.shown[rows]), config.model)
        loss = -(target * logits.log_softmax(-1)).sum(-1).mean()
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, self.parameters, loss, rate=rate, clip=1.0)
        return {"loss": loss.detach()}

    @torch.inference_mode()
    def measure(self, batch: int = 50) -> dict[str, float]:
        """Of the pictures kept: error of what is to be seen [px], and how much of it is seen and what is made up."""
        self.net.eval()
        off, confidence = [], []
        for at in range(0, len(self.test), batch):
            rows = self.test[at : at + batch]
            pixels, sure = read_maps(self.net(torch.from_numpy(self.pictures.images(rows))), self.config.model)
            off.append((pixels - self.pixels[rows]).norm(dim=-1))
            confidence.append(sure)
        error, sure, shown = torch.cat(off).numpy(), torch.cat(confidence).numpy(), self.shown[self.test].numpy()
        told = {"pictures": float(len(self.test)), "recall": float((sure[shown] > 0.5).mean())}
        told["made_up"] = float((sure[~shown] > 0.5).mean())
        for k, name in enumerate(self.config.model.points):
            if (found := shown[:, k] & (sure[:, k] > 0.5)).any():
                told |= {f"{name}_px_median": float(np.median(error[found, k]))}
        found = shown & (sure > 0.5)
        return told | {"px_median": float(np.median(error[found])), "px_p90": float(np.quantile(error[found], 0.9))}


def _begun(config: PointTraining) -> PointNet:
    """A fresh network, or that of the checkpoint to start from. DataError when that knows other points."""
    if not config.start:
        return PointNet(config.model)
    net = PointFinder.load(config.start).net
    if net.config != config.model:
        raise DataError(f"{config.start} is of other points, sizes or channels than these pictures and settings")
    return net.train()


def _made_of(config: PointTraining) -> dict[str, str]:
    return {"start_sha256": checkpoint.read_card(config.start).weights_sha256} if config.start else {}


def target_maps(pixels: Tensor, shown: Tensor, config: PointConfig) -> Tensor:
    """`cell_weights` of points at pixels (B, K, 2) [px] of which some are `shown` (B, K)."""
    return cell_weights((pixels + 0.5) / STRIDE - 0.5, shown, *config.grid)


def _blurred(images: Tensor, chosen: np.ndarray) -> Tensor:
    """Pictures (B, h, w, 3) of which the `chosen` (B,) are smoothed."""
    rows = torch.from_numpy(np.flatnonzero(chosen))
    if len(rows):
        smooth = F.avg_pool2d(images[rows].permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False)
        images = images.index_copy(0, rows, smooth.permute(0, 2, 3, 1))
    return images


def train_points(config: PointTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure on pictures that were kept, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    config = settled(config)
    pictures = Pictures(config.data)
    height, width = pictures.size
    config = replace(config, model=replace(config.model, points=pictures.points, width=width, height=height))
    data = pictures.sha256()
    trainer = _Trainer(config, pictures)
    reached, numbers = loop.run(
        trainer, title="points", steps=config.steps, out=config.out, fingerprint=provenance.fingerprint(config, data),
        save_every=config.save_every, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    metrics = numbers | trainer.measure()
    Console(emoji=False, stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
    card = checkpoint.Card(
        kind="points",
        architecture={"encoder": config.model.to_json()},
        data_sha256=data,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)) | _made_of(config),
        metrics=metrics,
    )
    checkpoint.save(config.out, card, trainer.modules, Language())
    loop.finish(config.out)
    return config.out
