"""What a figure was measured on, and how much of it others used meanwhile: a busy machine explains a slow figure."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch

from vgps_models.precision import uses_bf16

STAT = Path("/proc/stat")


def machine() -> dict[str, Any]:
    """What decides the speed of a CPU here: its cores, its instructions and whether training uses bfloat16."""
    return {
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": uses_bf16("auto"),
        "torch": torch.__version__,
    }


class Neighbours:
    """Cores that other processes kept busy since this was made."""

    def __init__(self) -> None:
        self._began = self._times()

    def cores(self) -> float | None:
        """On average; None where the system does not tell (it is Linux that does)."""
        if self._began is None or (now := self._times()) is None:
            return None
        wall, everyone, own = (b - a for a, b in zip(self._began, now, strict=True))
        return round(max(0.0, everyone - own) / wall, 2)

    @staticmethod
    def _times() -> tuple[float, float, float] | None:
        """Seconds: of the clock, of all CPU work on this machine, of this process's."""
        if not STAT.exists():
            return None
        user, nice, system, _, _, irq, softirq, steal, *_ = map(
            int, STAT.read_text(encoding="utf-8").split(None, 11)[1:11]
        )
        ticks = user + nice + system + irq + softirq + steal
        return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time()
