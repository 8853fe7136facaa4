"""vgps power"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from vgps_models.errors import UsageError
from vgps_sim.requirements import ERROR_RATE

HEAD = ("drop [points]", "80 % of drops", "90 % of drops", "until decided: a drop", "until decided: no drop")


@dataclass(frozen=True)
class PowerConfig:
    rate: float = 0.8  # success rate of the baseline
    drops: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # by which the candidate is worse
    correlation: float = 0.2  # of both outcomes on one seed; 0 to 0.4 where policies were compared
    error_rate: float = ERROR_RATE  # of both tests
    tasks: int = 4  # a sequential test is looked at after one seed of each


def main(arguments: Sequence[str], *, prog: str) -> int:
    """How many paired seeds notice how large a drop in success.

    80 and 90 % of drops: on a fixed number of seeds McNemar's exact two-sided test finds a drop of this size with such
    a probability. Until decided: half of 1000 simulated evaluations have ended after so many seeds. "A drop" is there,
    and "candidate-baseline>=0" fails. "No drop" is there, and "candidate-baseline>=-0.2", for a drop of 20 points, is
    met.

    Examples:
        vgps power
        vgps power --rate 0.6 --drops 0.1 0.2 --correlation 0
    """
    config = tyro.cli(PowerConfig, args=list(arguments), prog=prog, description=main.__doc__)
    if not config.drops or not all(0 < drop < config.rate for drop in config.drops):
        raise UsageError(f"a drop lies between 0 and the rate of the baseline, {config.rate:g}; as in --drops 0.1 0.2")
    if not 0 < config.error_rate < 0.5 or config.tasks < 1:
        raise UsageError("an error rate lies between 0 and 0.5, and there is at least one task")
    print("\n".join(table(config)))
    return 0


def table(config: PowerConfig) -> list[str]:
    """Lines of a Markdown table, one row a drop."""
    from vgps_sim.power import MOST, Comparison, fixed_seeds, sequential_seeds

    lines = [f"| {' | '.join(HEAD)} |", "|---:" * len(HEAD) + "|"]
    for drop in config.drops:
        truth = Comparison.of(config.rate, config.rate - drop, config.correlation)
        seeds = [fixed_seeds(truth, power, config.error_rate) for power in (0.8, 0.9)]
        seeds.append(sequential_seeds(truth, config.tasks, config.error_rate))
        same = Comparison.of(config.rate, config.rate, config.correlation)
        seeds.append(sequential_seeds(same, config.tasks, config.error_rate, threshold=-drop))
        shown = [f"over {MOST}" if n is None else str(n) for n in seeds]
        lines.append(f"| {' | '.join([f'{100 * drop:g}', *shown])} |")
    return lines
