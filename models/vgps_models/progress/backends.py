"""Every estimator by its name, as commands ask for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from vgps_models.errors import UnknownNameError
from vgps_models.progress.estimate import Estimator
from vgps_models.progress.gvl import GVL, GVLConfig
from vgps_models.progress.topreward import TOPReward, TOPRewardConfig

BACKENDS = ("learned", "gvl", "topreward")


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Only the settings of the chosen backend count."""

    # learned: our own, needs no network | gvl: any OpenAI-compatible endpoint | topreward: such an endpoint, if it
    # tells log-probabilities, or a model on this machine
    backend: str = "learned"
    checkpoint: str = "progress"  # of learned: a path or a shipped name
    threads: int = 1  # of learned: torch threads
    gvl: GVLConfig = field(default_factory=GVLConfig)
    topreward: TOPRewardConfig = field(default_factory=TOPRewardConfig)


def make_estimator(config: BackendConfig) -> Estimator:
    if config.backend == "learned":
        from vgps_models import checkpoint

        return checkpoint.load_progress(config.checkpoint, threads=config.threads)
    if config.backend == "gvl":
        return GVL(config.gvl)
    if config.backend == "topreward":
        return TOPReward(config.topreward)
    raise UnknownNameError("backend", config.backend, BACKENDS)
