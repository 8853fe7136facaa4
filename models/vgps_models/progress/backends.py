"""Every estimator by its name, as commands ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from vgps_models.errors import UnknownNameError
from vgps_models.progress.estimate import Estimator, Floats, Images
from vgps_models.progress.gvl import GVL, GVLConfig
from vgps_models.progress.topreward import TOPReward, TOPRewardConfig
from vgps_models.progress.vlmrm import VLMRM, VLMRMConfig
from vgps_models.progress.vlmrm.encoding import ImageText
from vgps_models.progress.vlmrm.openclip import OpenCLIP

BACKENDS = ("learned", "gvl", "topreward", "vlmrm")


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Only the settings of the chosen backend count."""

    # learned: our own, needs no network | gvl: any OpenAI-compatible endpoint | topreward: such an endpoint, if it
    # tells log-probabilities, or a model on this machine | vlmrm: how near images are to words, by our own or a CLIP
    backend: str = "learned"
    cameras: tuple[str, ...] = ()  # NAME or NAME=CAMERA (front=observation.images.cam_high); all when none is given
    checkpoint: str = "progress"  # of learned: a path or a shipped name
    threads: int = 1  # of learned, and of vlmrm's own model: torch threads
    gvl: GVLConfig = field(default_factory=GVLConfig)
    topreward: TOPRewardConfig = field(default_factory=TOPRewardConfig)
    vlmrm: VLMRMConfig = field(default_factory=VLMRMConfig)


def make_estimator(config: BackendConfig) -> Estimator:
    if config.backend == "learned":
        from vgps_models import checkpoint

        return checkpoint.load_progress(config.checkpoint, threads=config.threads)
    if config.backend == "gvl":
        return GVL(config.gvl)
    if config.backend == "topreward":
        return TOPReward(config.topreward)
    if config.backend == "vlmrm":
        return VLMRM(_image_text(config), config.vlmrm)
    raise UnknownNameError("backend", config.backend, BACKENDS)


class MomentJudge(Protocol):
    """An estimator that judges single moments, and knows from which value on one is a success."""

    source: str
    threshold: float

    def judge(self, views: Mapping[str, Images], task: str) -> tuple[Floats, Floats]:
        """Value and spread of every moment, (T,) each. views: camera -> (T, H, W, 3) uint8 RGB."""
        ...


def verify_judge(name: str | Path) -> None:
    """Raise what `load_judge` would, without loading: the checkpoint is missing, damaged or of another kind."""
    from vgps_models import checkpoint

    checkpoint.verify(name, "imagetext" if checkpoint.read_card(name).kind == "imagetext" else "progress")


def load_judge(name: str | Path, *, threads: int = 1) -> MomentJudge:
    """The estimator in a checkpoint, a learned one ("progress") or an image-text model ("imagetext") with VLM-RM."""
    from vgps_models import checkpoint

    if checkpoint.read_card(name).kind == "imagetext":
        # With its own prompts and alpha it has a threshold.
        return cast(MomentJudge, VLMRM(checkpoint.load_imagetext(name, threads=threads)))
    return checkpoint.load_progress(name, threads=threads)


def _image_text(config: BackendConfig) -> ImageText:
    if config.vlmrm.encoder == "own":
        from vgps_models import checkpoint

        return checkpoint.load_imagetext(config.vlmrm.checkpoint, threads=config.threads)
    return OpenCLIP(config.vlmrm.open_clip)
