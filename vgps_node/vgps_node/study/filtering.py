"""Does filtering by learned progress help? docs/filtering.md.

One data set of mixed quality that the progress estimator never saw. One policy learns from all of it, the others
from what progress makes of it: the episodes that seem to end well, or every frame weighed by what follows it. The
recorded outcome, which a robot would not know, is the upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vgps_node import plots
from vgps_node.study import markdown
from vgps_node.study.experiment import Experiment, bare
from vgps_node.study.recipe import RUNS, Recipe, recipe
from vgps_node.study.record import Record, conditions
from vgps_sim.statistics import crossed_gain

SEEDS = (0, 1)
DATA, GOOD, PROGRESS = Path("data/fresh"), Path("data/fresh_good"), Path("data/fresh.progress-learned.parquet")
LINKS = markdown.Links("filtering")
KINDS: dict[str, tuple[Path, str, str]] = {  # side -> data, further options, what it is
    "everything": (DATA, "", "all episodes, flaws and all"),
    "filtered": (GOOD, "", "the episodes whose last progress value is above the estimator's threshold of success"),
    "rabc": (DATA, "--weigh.kind rabc", "all episodes, frames weighed by the progress that the next chunk brings"),
    "awr": (DATA, "--weigh.kind awr", "the same with exponential weights (AWR)"),
    "truth": (DATA, "--success-only", "the episodes recorded as successes, which no camera tells: the upper bound"),
}  # fmt: skip


def policy(kind: str, seed: int) -> Path:
    return RUNS / "policies" / f"fresh_{kind}-{seed}.safetensors"


def stages() -> list[list[Recipe]]:
    train = "train policy --encoder encoder --like critic"
    return [
        [recipe(DATA, "collect --quality mixed --seed 40000")],
        [recipe(PROGRESS, f"data progress {DATA}")],
        [recipe(GOOD, f"data filter {DATA} --by progress --progress {PROGRESS}", whole=True)],
        [
            recipe(policy(kind, seed), f"{train} --data {data} --seed {seed} {options}")
            for seed in SEEDS
            for kind, (data, options, _) in KINDS.items()
        ],
    ]


def played(seed: int) -> Experiment:
    sides = {kind: bare(policy(kind, seed)) for kind in KINDS}
    return Experiment(f"filtering-{seed}", "Does training on what progress finds good beat training on all?", sides)


def everything() -> list[Experiment]:
    return [played(seed) for seed in SEEDS]


def write(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    about = [
        "Whether a policy gets better when its data are chosen or weighed by the learned progress estimator, which",
        f"sees images alone. `{DATA}` holds 1200 episodes of mixed quality (seeds from 40000) that it never saw.",
        "Made by `vgps study make|play|page --study filtering`; all sides play the same seeds with one candidate.",
    ]
    sections = list[str]()
    names = [e.name for e in everything() if e.name in records]
    if names:
        sections += _together(records, names, pictures)
    for name in names:
        sections += [f"## Training seed {name[-1]}", ""]
        sections += [
            *markdown.sides(records[name], "everything", list(KINDS), "everything"),
            "",
            LINKS.source([name]),
            "",
        ]
    sections += LINKS.sources(records, [e.name for e in everything()])
    table = markdown.table(["side", "learns from"], ([kind, what] for kind, (_, _, what) in KINDS.items()))
    return markdown.write_page(page, "Filtering by progress", about, remarks, table, sections)


def _together(records: Mapping[str, Record], names: list[str], pictures: Path) -> list[str]:
    tasks = records[names[0]].tasks
    base = conditions(records, names, "everything")[None]
    rows, points = [], {}
    for kind in KINDS:
        won = conditions(records, names, kind)[None]
        difference = "" if kind == "everything" else _difference(won, base, tasks)
        rows.append([kind, f"**{markdown.rate(float(np.nanmean(won)))}**", difference])
        points[kind] = [records[name].rate(kind)[:2] for name in names]
    groups = [f"training seed {name[-1]}" for name in names]
    picture = plots.bars(pictures / "filtering.svg", groups, points, title="success by what was learned from")
    return [
        "## Over both training seeds",
        "",
        LINKS.image(picture),
        "",
        "The interval of a difference holds the spread over layouts and over training seeds (crossed bootstrap).",
        "",
        *markdown.table(["side", "success", "minus everything [points]"], rows),
        "",
        LINKS.source(names),
        "",
    ]


def _difference(won: np.ndarray, base: np.ndarray, tasks: tuple[str, ...]) -> str:
    gain = crossed_gain(won[:, :, None], base, tasks)
    return markdown.points(gain.difference, gain.difference_ci95)
