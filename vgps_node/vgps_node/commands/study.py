"""vgps study"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from vgps_node.cli import choose

PARTS = ("make", "play", "page")


@dataclass(frozen=True)
class StudyConfig:
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = ()  # which to play; none for all of them
    study: str = "steering"  # steering | filtering | rewards | vptr
    processes: int = 2  # at a time, one thread each: trainings of `make`, worlds of `play`


def main(arguments: Sequence[str], *, prog: str) -> int:
    """A study: make what it needs, play it on the report seeds, write its page in docs/.

    Everything resumes: a checkpoint that exists is kept, an episode that was played is not played again.

    Examples:
        vgps study make
        vgps study play
        vgps study play headline-flow-0 strongest
        vgps study page
        vgps study make --study filtering
    """
    part, rest = choose("part", PARTS, arguments, prog=prog, about=main.__doc__ or "")
    config = tyro.cli(StudyConfig, args=rest, prog=f"{prog} {part}", description=main.__doc__)
    from vgps_node.study import play
    from vgps_node.study.studies import get_study

    study = get_study(config.study)
    chosen = [study.experiment(name) for name in config.experiments] or study.experiments()
    if part == "make":
        play.make(study.stages(), study.runs / "log", jobs=config.processes)
    elif part == "play":
        for experiment in chosen:
            play.play(experiment, study.records, study.runs, processes=config.processes)
    else:
        print(study.page())
    return 0
