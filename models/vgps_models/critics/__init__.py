"""Critics: (observation, action chunks) -> scores, learned by any of several algorithms behind one interface."""

from __future__ import annotations

from vgps_models.critics.base import Learner, LearnerConfig
from vgps_models.critics.calql import CalQL, CalQLConfig
from vgps_models.critics.cql import CQL, CQLConfig
from vgps_models.critics.iql import IQL, IQLConfig
from vgps_models.critics.network import CriticConfig
from vgps_models.critics.ota import OTA, OTAConfig
from vgps_models.errors import UnknownNameError

ALGORITHMS: dict[str, tuple[type[LearnerConfig], type[Learner]]] = {
    "calql": (CalQLConfig, CalQL),
    "cql": (CQLConfig, CQL),
    "iql": (IQLConfig, IQL),
    "ota": (OTAConfig, OTA),
}


def require_algorithm(name: str) -> tuple[type[LearnerConfig], type[Learner]]:
    """Settings and learner of that name, made by learner(architecture, settings); or an error that lists them."""
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


__all__ = ["ALGORITHMS", "CriticConfig", "Learner", "LearnerConfig", "require_algorithm"]
