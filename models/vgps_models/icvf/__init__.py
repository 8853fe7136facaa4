"""Intention-conditioned values (ICVF, arXiv 2304.04782): what video teaches without actions, rewards or goals."""

from __future__ import annotations

from vgps_models.icvf.learner import ICVF, Batch, ICVFConfig
from vgps_models.icvf.network import MultilinearConfig, MultilinearValue
from vgps_models.icvf.observed import PairReader

__all__ = [
    "ICVF",
    "Batch",
    "ICVFConfig",
    "MultilinearConfig",
    "MultilinearValue",
    "PairReader",
]
