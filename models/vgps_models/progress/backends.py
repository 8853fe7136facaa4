"""Every estimator by its name, as commands ask for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from vgps_models.errors import UnknownNameError
from vgps_models.progress.estimate import Estimator
from vgps_models.progress.gvl import GVL, GVLConfig

BACKENDS = ("learned", "gvl")


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Only the settings of the chosen backend count."""

    backend: str = "learned"  # learned: our own, needs no network | gvl: any OpenAI-compatible endpoint
    checkpoint: str = "progress"  # of learned: a path or a shipped name
    threads: int = 1  # of learned: torch threads
    gvl: GVLConfig = field(default_factory=GVLConfig)


def make_estimator(config: BackendConfig) -> Estimator:
    if config.backend == "learned":
        from vgps_models import checkpoint

        return checkpoint.load_progress(config.checkpoint, threads=config.threads)
    if config.backend == "gvl":
        return GVL(config.gvl)
    raise UnknownNameError("backend", config.backend, BACKENDS)
