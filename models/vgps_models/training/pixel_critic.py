"""Train the published critic end to end from pixels: Cal-QL through a FiLM-ResNet (see `critics.end_to_end`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from vgps_models.critics import CriticConfig
from vgps_models.critics.calql import CalQLConfig
from vgps_models.critics.resnet import HEADS, ResNetConfig, ResNetEncoder
from vgps_models.data import EpisodeStore
from vgps_models.errors import UnknownNameError
from vgps_models.training import critic
from vgps_models.training.end_to_end import EndToEndTrainer
from vgps_models.training.material import all_images, gather, require_checkpoints, sized

PUBLISHED = CalQLConfig(alpha=5.0, random_chunks=4, policy_chunks=4, backup_chunks=4, backup="min")


@dataclass(frozen=True)
class PixelTraining(critic.CriticTraining):
    """`vgps train pixels`: some 3 s a step on 2 cores as published; a smaller encoder is quicker."""

    out: Path = Path("runs/pixel_critic.safetensors")  # checkpoint to write
    horizon: int = 1  # actions of a chunk that the critic reads and a transition spans; 0 all
    steps: int = 10_000  # updates
    batch: int = 16  # transitions an update
    wrong_batch: int = 4  # wrong-instruction transitions an update
    save_every: int = 200  # updates between resume points
    log_every: int = 10  # updates between lines of the log
    encoder_rate: float = 3e-4  # peak learning rate of the encoder
    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    model: CriticConfig = HEADS  # the heads
    calql: CalQLConfig = PUBLISHED  # and a loss on wrong instructions, which V-GPS has not

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"resnet": asdict(self.resnet)}


def train_pixels(config: PixelTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end.

    Action spec and normaliser are the policy's: what it proposes is what is scored.
    """
    if config.algorithm != "calql":
        raise UnknownNameError("algorithm for pixels", config.algorithm, ["calql"])
    torch.set_num_threads(config.threads)
    require_checkpoints(config)
    store = EpisodeStore(config.data)
    critic.split(store.columns(), config)  # refuse what cannot be learned from before all the work
    if config.resnet.camera not in store.cameras:
        raise UnknownNameError("camera", config.resnet.camera, store.cameras)
    torch.manual_seed(config.seed)
    material = gather(config, ResNetEncoder(config.resnet))
    images = all_images(config, config.resnet.cameras, None)
    config = sized(config, material, features=config.resnet.features, words=0)
    trainer = EndToEndTrainer(
        config, material.frames, images, material.samples, material.policy.normaliser, material.encoder
    )
    return critic.run(config, material, trainer, trainer.learner.encoder, "pixel critic", stop_after)
