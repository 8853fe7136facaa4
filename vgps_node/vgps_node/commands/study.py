"""vgps study"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vgps_node.cli import choose

PARTS = ("make", "play", "page")
RECORDS, PAGE, PICTURES = Path("docs/results/steering"), Path("docs/steering.md"), Path("docs/images/steering")


@dataclass(frozen=True)
class StudyConfig:
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = ()  # which; none for all of them
    records: Path = RECORDS  # where the numbers are written
    runs: Path = Path("runs/steering")  # where played episodes are kept
    remarks: Path = RECORDS / "remarks.md"  # what people concluded, put at the head of the page
    processes: int = 2  # at a time, one thread each: trainings of `make`, worlds of `play`


def main(arguments: Sequence[str], *, prog: str) -> int:
    """The steering study: make what it needs, play it on the report seeds, write docs/steering.md.

    Everything resumes: a checkpoint that exists is kept, an episode that was played is not played again.

    Examples:
        vgps study make
        vgps study play
        vgps study play headline-flow-0 strongest
        vgps study page
    """
    part, rest = choose("part", PARTS, arguments, prog=prog, about=main.__doc__ or "")
    config = tyro.cli(StudyConfig, args=rest, prog=f"{prog} {part}", description=main.__doc__)
    from vgps_node.study import experiments, page, play, recipes, record

    chosen = [page.experiment(name) for name in config.experiments] or experiments.everything()
    if part == "make":
        play.make(recipes.stages(), config.runs / "log", jobs=config.processes)
    elif part == "play":
        for experiment in chosen:
            play.play(experiment, config.records, config.runs, processes=config.processes)
    else:
        record.keep_calibrations(recipes.RUNS / "critics", config.records / "calibration")
        calibrations = record.read_calibrations(config.records / "calibration")
        remarks = config.remarks.read_text() if config.remarks.exists() else ""
        print(page.write(record.read_all(config.records), PAGE, PICTURES, remarks, calibrations))
    return 0
