"""What is a policy worth that learned from what people showed? docs/shown.md.

A person's performances are retargeted and carried out by the robot in simulation (`vgps collect --by person`). Policies
learn from few demonstrations of the robot's own, from those of people alone, and from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vgps_node.conditions import Steered
from vgps_node.study import markdown
from vgps_node.study.experiment import Experiment, bare, guided
from vgps_node.study.recipe import RUNS, Recipe, recipe
from vgps_node.study.record import Record
from vgps_node.study.seeds import by_task

LINKS = markdown.Links("shown")
FOLDER = RUNS / "shown"
SEEDS = (0, 1)
OWN = "collect --episodes 60 --quality mixed --seed 70000"
SHOWN = "collect --by person --quality expert --episodes 240 --seed 60000"
SIDES = {  # side -> what its policy learns from
    "few": "60 demonstrations of the robot's own, of mixed quality",
    "shown": "240 performances of a person, retargeted; none of the robot's own",
    "few_shown": "both",
}
GUIDED = "shown_guided"


def data(side: str) -> Path:
    return Path("data") / side


def policy(side: str, seed: int) -> Path:
    return FOLDER / f"{side}-{seed}.safetensors"


def stages() -> list[list[Recipe]]:
    return [
        [recipe(data("few"), OWN), recipe(data("shown"), SHOWN), recipe(data("few_shown"), OWN)],
        [recipe(data("few_shown"), SHOWN)],
        # In the terms of the shipped policy, so that its critic can guide them.
        [
            recipe(
                policy(side, seed), f"train policy --data {data(side)} --encoder encoder --like policy --seed {seed}"
            )
            for side in SIDES
            for seed in SEEDS
        ],
    ]


def everything() -> list[Experiment]:
    sides: dict[str, Steered] = {f"{side}-{seed}": bare(policy(side, seed)) for side in SIDES for seed in SEEDS}
    sides |= {f"{GUIDED}-{seed}": guided(policy("shown", seed), "critic") for seed in SEEDS}
    return [Experiment("seeded", "Does a policy gain from what people showed?", sides)]


def write(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    about = [
        "A person's performances are watched, retargeted and carried out by the robot in simulation",
        "(`vgps collect --by person`, [A person's motion on a robot's arm](reference/retarget.md)); policies learn",
        "from them. Made by `vgps study make|play|page --study shown`. All sides play the same report seeds, two steps",
        "of a chunk executed.",
    ]
    sections = list[str]()
    names = [e.name for e in everything()]
    for name in names:
        if name in records:
            sections += _played(records[name], pictures)
    sections += LINKS.sources(records, names)
    table = markdown.table(["policy", "learns from"], SIDES.items())
    return markdown.write_page(page, "Policies that learned from what people showed", about, remarks, table, sections)


def _played(record: Record, pictures: Path) -> list[str]:
    sides = {side: [f"{side}-{seed}" for seed in SEEDS] for side in (*SIDES, GUIDED)}
    picture, table = by_task(record, sides, "few", pictures / "seeded.svg", what="policy")
    return [
        "## Success",
        "",
        LINKS.image(picture),
        "",
        *table,
        "",
        f"{GUIDED}: `shown` under the shipped critic, ten candidates; the others act alone.",
        LINKS.source([record.name]),
        "",
    ]
