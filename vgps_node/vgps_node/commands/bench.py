"""vgps bench score"""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from vgps_models.training.bench import ScoreBench, bench_score
from vgps_node.cli import choose


@dataclass(frozen=True)
class BenchCommand:
    score: tyro.conf.OmitArgPrefixes[ScoreBench] = field(default_factory=ScoreBench)
    json: Path | None = None  # file to write the numbers to


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Measure latencies.

    Examples:
        vgps bench score --json runs/bench-score.json    scoring K chunks, encoder included
    """
    _, rest = choose("bench", ["score"], arguments, prog=prog, about=main.__doc__ or "")
    command = tyro.cli(BenchCommand, args=rest, prog=f"{prog} score", description=ScoreBench.__doc__)
    numbers = bench_score(command.score)
    text = json_module.dumps(numbers, indent=2)
    if command.json is not None:
        command.json.parent.mkdir(parents=True, exist_ok=True)
        command.json.write_text(text + "\n")
    print(text)
    return 0
