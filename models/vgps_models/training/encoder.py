"""Train the encoder on random scenes: where is the object, where is the target, and what else is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder, Percept
from vgps_models.perception.heatmaps import cell_weights
from vgps_models.perception.language import Language
from vgps_models.precision import Bf16, autocast, settled
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.augment import Augment, AugmentConfig
from vgps_models.training.scenes import SceneSet
from vgps_models.training.wording import Wording

THUMB = 16  # [px] side of the small images the latent must be able to redraw


@dataclass(frozen=True)
class EncoderTraining:
    """`vgps train encoder`: about 10 minutes on 2 cores for 24k scenes."""

    data: Path = Path("data/scenes")  # scene set, see `vgps_models.training.scenes`
    out: Path = Path("runs/encoder.safetensors")  # checkpoint to write
    leave_out: tuple[str, ...] = ()  # words: scenes whose instruction has one of them are not trained on
    steps: int = 1800  # updates
    batch: int = 64  # scenes an update
    rate: float = 2e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-4  # weight decay
    heatmap: float = 1.0  # weight of the keypoint cross-entropy
    position: float = 3.0  # weight of the position loss (Huber, in units of 3 cm)
    yaw: float = 1.0  # weight of the yaw loss
    held: float = 0.3  # weight of the held loss
    redraw: float = 0.3  # weight of redrawing small images from the latent
    rephrase: bool = True  # say each instruction in other words, anew for every scene
    labels: bool = True  # use the simulator's labels; without them the latent only learns to redraw
    held_out: float = 0.05  # fraction of scenes kept for measuring
    seed: int = 0
    threads: int = 2  # torch threads
    save_every: int = 200  # updates between resume points
    bf16: Bf16 = "auto"  # bfloat16 convolutions: where they are faster, on or off
    model: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class _Trainer:
    """One encoder, its redrawing head (thrown away afterwards) and the scenes."""

    def __init__(self, config: EncoderTraining, scenes: SceneSet, language: Language) -> None:
        self.config, self.scenes = config, scenes
        torch.manual_seed(config.seed)
        net = KeypointEncoder(config.model)
        views = len(config.model.cameras)
        redraw = nn.Sequential(nn.Linear(config.model.latent, 256), nn.GELU(), nn.Linear(256, views * THUMB**2 * 3))
        self.net, self.redraw = net, redraw
        self.modules = {"encoder": net, "redraw": redraw}
        self.parameters = [*net.parameters(), *redraw.parameters()]
        self.optimiser = torch.optim.AdamW(self.parameters, config.rate, weight_decay=config.decay, fused=True)
        self.augment = Augment(config.augment)
        self.sentences = torch.from_numpy(language.table(scenes.instructions))
        self.wording = Wording(scenes.instructions, language)
        self.labels = {name: torch.from_numpy(scenes.column(name)) for name in ("proprio", "instruction", *LABEL_TYPES)}
        for name, kind in LABEL_TYPES.items():
            self.labels[name] = self.labels[name].to(kind)
        known = seen_scenes(scenes, config.leave_out)
        order = np.random.Generator(np.random.PCG64([config.seed, 0, 2])).permutation(known)
        held_out = max(1, round(len(order) * config.held_out))
        self.test, self.train = np.sort(order[:held_out]), order[held_out:]
        if len(self.train) == 0:
            raise DataError(f"{len(order)} scenes are too few to keep {held_out} for measuring; collect more")
        if config.labels:
            both = torch.cat([self.labels["object_position"], self.labels["target_position"]], dim=-1)[self.train]
            net.position_mean.copy_(both.mean(0))
            net.position_std.copy_(both.std(0).clamp_min(0.02))

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        numpy_random, _ = loop.generators(config.seed, step)
        rows = self.train[loop.epoch_indices(config.seed, step, config.batch, len(self.train))]
        images = torch.from_numpy(self.scenes.images(rows))
        labels = {name: column[rows] for name, column in self.labels.items()}
        images, labels["pixels"] = self.augment(images, labels["pixels"], numpy_random)
        told = labels["instruction"].numpy()
        labels["sentence"] = self.wording.draw(told, numpy_random) if config.rephrase else self.sentences[told]
        images, labels = parallel.share(images), {name: parallel.share(column) for name, column in labels.items()}
        with autocast(config.bf16):
            percept = self.net(images, labels["proprio"], labels["sentence"])
            redrawn = self.redraw(percept.latent)
        parts = {"redraw": F.mse_loss(redrawn.float(), thumbnails(images).flatten(1))}
        weights = {"redraw": config.redraw}
        if config.labels:
            parts |= label_losses(percept, labels, config.model)
            weights |= {name: getattr(config, name) for name in ("heatmap", "position", "yaw", "held")}
        loss = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, self.parameters, loss, rate=rate, clip=1.0)
        return {"loss": loss.detach()} | {name: value.detach() for name, value in parts.items()}

    @torch.inference_mode()
    def measure(self, batch: int = 64) -> dict[str, float]:
        """Errors on the held-out scenes, as the encoder will run."""
        net, errors = self.net.fast(), []
        for at in range(0, len(self.test), batch):
            rows = self.test[at : at + batch]
            labels = {name: column[rows] for name, column in self.labels.items()}
            images = torch.from_numpy(self.scenes.images(rows))
            percept = net(images, labels["proprio"], self.sentences[labels["instruction"]])
            errors.append(_errors(percept, labels))
        found = {name: torch.cat([e[name] for e in errors]).numpy() for name in errors[0]}
        out = {"scenes": float(len(self.test))}
        for name, unit in (("object", "mm"), ("target", "mm"), ("yaw", "deg")):
            out[f"{name}_{unit}_median"] = float(np.median(found[name]))
            out[f"{name}_{unit}_p90"] = float(np.quantile(found[name], 0.9))
        return out | {"held_accuracy": float(found["held"].mean())}


def seen_scenes(scenes: SceneSet, leave_out: Sequence[str]) -> NDArray[np.int64]:
    """Rows of the scenes whose instruction has none of the words `leave_out`."""
    for word in leave_out:
        if not any(word in instruction for instruction in scenes.instructions):
            raise UnknownNameError("word of an instruction", word, scenes.instructions)
    kept = np.array([not any(word in instruction for word in leave_out) for instruction in scenes.instructions])
    return np.flatnonzero(kept[scenes.column("instruction")])


LABEL_TYPES = {
    "object_position": torch.float32,
    "target_position": torch.float32,
    "object_yaw": torch.float32,
    "held": torch.float32,
    "pixels": torch.float32,
    "visible": torch.bool,
}


def label_losses(percept: Percept, labels: dict[str, Tensor], model: EncoderConfig) -> dict[str, Tensor]:
    """What the simulator's labels ask of a percept; every term is a mean over the batch."""
    target = heatmap_target(labels["pixels"], labels["visible"], model)
    heatmap = -(target * percept.logits.log_softmax(-1)).sum(-1).mean()
    centimetres = 0.03  # the Huber loss turns from square to straight here [m]
    wanted = torch.cat([labels["object_position"], labels["target_position"]], dim=-1)
    got = torch.cat([percept.object_position, percept.target_position], dim=-1)
    y = labels["object_yaw"]
    turns = torch.stack([(2 * y).sin(), (2 * y).cos(), (4 * y).sin(), (4 * y).cos()], dim=-1)
    return {
        "heatmap": heatmap,
        "position": F.huber_loss(got / centimetres, wanted / centimetres),
        "yaw": F.mse_loss(percept.yaw, turns),
        "held": F.binary_cross_entropy_with_logits(percept.held, labels["held"]),
    }


def heatmap_target(pixels: Tensor, visible: Tensor, model: EncoderConfig) -> Tensor:
    """`cell_weights` of keypoints at pixels (..., 2) [px], an image spanning [0, s), some of them visible (...)."""
    return cell_weights(pixels * (model.grid / model.image_size) - 0.5, visible, model.grid, model.grid)


def thumbnails(images: Tensor) -> Tensor:
    """Small copies in [-1, 1] for redrawing. (B, V, s, s, 3) -> (B, V, 3, THUMB, THUMB)."""
    return (
        F.adaptive_avg_pool2d(images.flatten(0, 1).permute(0, 3, 1, 2), THUMB).unflatten(0, images.shape[:2]) / 127.5
        - 1
    )


def _errors(percept: Percept, labels: dict[str, Tensor]) -> dict[str, Tensor]:
    def turn_error(order: int) -> Tensor:  # [deg], modulo the object's symmetry
        sine, cosine = percept.yaw[:, order - 2], percept.yaw[:, order - 1]
        apart = torch.atan2(sine, cosine) - order * labels["object_yaw"]
        return torch.atan2(apart.sin(), apart.cos()).abs().rad2deg() / order

    long = percept.yaw[:, :2].norm(dim=-1) > 0.5  # an object that looks the same only after half a turn
    return {
        "object": 1e3 * (percept.object_position - labels["object_position"]).norm(dim=-1),
        "target": 1e3 * (percept.target_position - labels["target_position"]).norm(dim=-1),
        "yaw": torch.where(long, turn_error(2), turn_error(4)),
        "held": ((percept.held > 0).float() == labels["held"]).float(),
    }


def train_encoder(config: EncoderTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure on held-out scenes, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    config = settled(config)
    scenes = SceneSet(config.data)
    model = config.model
    if list(model.cameras) != scenes.cameras or list(model.keypoints) != scenes.keypoints:
        raise DataError(
            f"{config.data} has cameras {scenes.cameras} and keypoints {scenes.keypoints}; "
            f"the encoder is set up for {list(model.cameras)} and {list(model.keypoints)}"
        )
    if scenes.image_size != model.image_size:
        raise DataError(f"{config.data} has {scenes.image_size} px images; the encoder reads {model.image_size} px")
    if model.supervised != config.labels:
        model = replace(model, supervised=config.labels)
        config = replace(config, model=model)
    language, data = Language(), scenes.sha256()
    trainer = _Trainer(config, scenes, language)
    fingerprint = provenance.fingerprint(config, data)
    reached, numbers = loop.run(
        trainer, title="encoder", steps=config.steps, out=config.out, fingerprint=fingerprint,
        save_every=config.save_every, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    metrics = numbers | (trainer.measure() if config.labels else {})
    Console(emoji=False, stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
    card = checkpoint.Card(
        kind="encoder",
        architecture={"encoder": model.to_json()},
        instructions=tuple(scenes.instructions),
        data_sha256=data,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)),
        metrics=metrics,
    )
    checkpoint.save(config.out, card, {"encoder": trainer.net}, language)
    loop.finish(config.out)
    return config.out
