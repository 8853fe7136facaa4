"""What a critic is trained from: the frozen policy, whose features are read, the frames and the policy's samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vgps_models import checkpoint
from vgps_models.critics.network import QEnsemble
from vgps_models.data import EpisodeStore
from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.perception.images import TRUNKS, ImageConfig
from vgps_models.perception.runtime import Encoder, Perception, weights_sha256
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.spaces import Image
from vgps_models.training import provenance
from vgps_models.training.cache import sole
from vgps_models.training.frames import Frames, load_frames
from vgps_models.training.sample_cache import policy_samples

if TYPE_CHECKING:
    from vgps_models.training.critic import CriticTraining

C = TypeVar("C", bound="CriticTraining")


@dataclass(frozen=True, eq=False)
class Material:
    """samples: the policy's chunks at every frame (N, count, H * 7). encoder_sha256: of what it begins with."""

    policy: ChunkPolicy
    policy_sha256: str
    frames: Frames
    samples: NDArray[np.float32]
    encoder: nn.Module
    encoder_sha256: str
    start: QEnsemble | None = None  # trained heads to go on from

    def fingerprint(self, config: CriticTraining) -> str:
        started = weights_sha256(self.start) if self.start is not None else ""
        return provenance.fingerprint(config, self.frames.data_sha256, self.policy_sha256, self.encoder_sha256, started)


def require_checkpoints(config: CriticTraining) -> None:
    """Raise when a checkpoint is missing, damaged or of another kind, before all the work: some are read only later."""
    checkpoint.verify(config.policy, "policy")
    if config.start:
        checkpoint.verify(config.start, "critic")
    if config.encoder and config.encoder not in TRUNKS:
        checkpoint.verify(config.encoder, _kind(config.encoder))


def gather(config: CriticTraining, encoder: nn.Module | None = None) -> Material:
    """Read, encode and sample whatever is not cached yet. Action spec and normaliser are the policy's.

    encoder: one that is trained along, instead of the one that `config.encoder` names.
    """
    card = checkpoint.read_card(config.policy)
    policy = checkpoint.load_policy(config.policy, threads=config.threads)
    spec = policy.spec
    if not 0 <= config.horizon <= spec.horizon:
        raise SpecError(f"--horizon is {config.horizon}; chunks have 1 to {spec.horizon} actions to read, 0 means all")
    theirs = load_frames(config.data, policy.perception, config.cache)
    theirs.spec.require_equal(spec, mine=f"data {config.data}", theirs=f"policy {config.policy}")
    samples = policy_samples(policy, card.weights_sha256, theirs, config.samples, config.cache)
    eyes = policy.perception
    if encoder is None and (name := config.encoder or config.start):
        eyes = Perception(named_encoder(name, config.seed), policy.perception.language)
    start = checkpoint.load_critic(config.start, spec=spec, threads=config.threads) if config.start else None
    if start is not None:
        policy.normaliser.require_equal(start.normaliser, mine="policy", theirs=f"critic {config.start}")
    frames = theirs
    if encoder is None and config.encoder_rate == 0 and eyes is not policy.perception:
        frames = load_frames(config.data, eyes, config.cache)
    heads = start.net if start is not None else None
    return Material(policy, card.weights_sha256, frames, samples, encoder or eyes.encoder, eyes.sha256, heads)


def named_encoder(name: str, seed: int) -> Encoder:
    """The encoder of any checkpoint, or an untrained one of a kind: conv, resnet or vit."""
    if name not in TRUNKS:
        return checkpoint.load_perception(name, _kind(name))[1].encoder
    torch.manual_seed(seed)
    return ViewsEncoder(ViewsConfig(image=ImageConfig(kind=name)))


def _kind(name: str) -> str:
    """Of a checkpoint that is named where the kind of an untrained encoder could be, too."""
    try:
        return checkpoint.read_card(name).kind
    except UnknownNameError as error:
        raise UnknownNameError("encoder", name, [*TRUNKS, *error.valid]) from None


def all_images(config: CriticTraining, cameras: tuple[str, ...], size: int | None) -> list[Image]:
    """Every frame of every camera as memory maps, one decoding for all trainings. size: [px] that is asked for."""
    store = EpisodeStore(config.data)
    for camera in cameras:
        if camera not in store.cameras:
            raise UnknownNameError("camera", camera, store.cameras)
    with sole(config.cache / "images"):
        made = [store.all_images(camera, config.cache) for camera in cameras]
    for camera, images in zip(cameras, made, strict=True):
        if size is not None and images.shape[1:3] != (size, size):
            raise DataError(f"{config.data} has '{camera}' of {images.shape[1:3]} px; the encoder reads {size} px")
    return made


def card_of(config: CriticTraining, material: Material, encoder: Any, metrics: Mapping[str, float]) -> checkpoint.Card:
    """What the critic's checkpoint says about itself."""
    frames, policy = material.frames, material.policy
    return checkpoint.Card(
        kind="critic",
        architecture={"encoder": encoder.config.to_json(), "critic": config.model.to_json()},
        spec=policy.spec,
        normaliser=policy.normaliser,
        instructions=policy.perception.language.known,
        data_sha256=frames.data_sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(config.settings()) | {"policy_sha256": material.policy_sha256},
        metrics=metrics,
    )


def sized(config: C, material: Material, **model: Any) -> C:
    """The configuration with the sizes that follow from the material, and those of the heads that are given."""
    spec = material.policy.spec
    width = (config.horizon or spec.horizon) * len(spec.names)
    return replace(config, model=replace(config.model, chunk=width, low=config.loss.never, **model))
