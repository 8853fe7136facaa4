"""Is a reward that was learned by watching people good enough for a critic? docs/rewards.md.

Rewards of how things lie to each other are learned from performances of a person and label every frame of the robot's
data; critics learn from these labels alone: no outcome is told. Beside them, critics that were told all outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vgps_node.study import markdown
from vgps_node.study.experiment import Experiment, bare, guided
from vgps_node.study.recipe import RUNS, Recipe, recipe
from vgps_node.study.record import Record
from vgps_node.study.seeds import by_task
from vgps_sim.tasks import TASKS

LINKS = markdown.Links("rewards")
FOLDER = RUNS / "rewards"
DATA, POLICY = Path("data/mixed"), "policy"
SEEDS = (0, 1)
METHODS: dict[str, tuple[str, str]] = {  # side -> options of `reward learn`, what it is
    "airl": ("--reads things", "AIRL over points, 200 performances"),
    "perceptual": ("--method perceptual --reads things", "steps and what tells them apart, 20 performances"),
}
TOLD = "outcome"
SIDES = {**{side: what for side, (_, what) in METHODS.items()}, TOLD: "the recorded outcome of every episode"}


def reward(method: str, task: str) -> Path:
    return FOLDER / f"{method}-{task}.safetensors"


def labels(method: str) -> Path:
    return FOLDER / f"{method}.parquet"


def critic(side: str, seed: int) -> Path:
    return FOLDER / f"critic-{side}-{seed}.safetensors"


def stages() -> list[list[Recipe]]:
    return [
        [recipe(DATA, "collect --quality mixed --seed 0")],
        [recipe(reward(method, task), _learning(method, task)) for method in METHODS for task in TASKS],
        [recipe(labels(method), _labelling(method)) for method in METHODS],
        [recipe(critic(side, seed), _training(side, seed)) for side in SIDES for seed in SEEDS],
    ]


def _learning(method: str, task: str) -> str:
    return f"reward learn --task {task} {METHODS[method][0]}"


def _labelling(method: str) -> str:
    return f"reward relabel {DATA} --rewards {' '.join(str(reward(method, task)) for task in TASKS)}"


def _training(side: str, seed: int) -> str:
    rewards = f" --rewards {labels(side)}" if side in METHODS else ""
    return f"train critic --data {DATA} --policy {POLICY} --seed {seed}{rewards}"


def everything() -> list[Experiment]:
    sides = {"bare": bare(POLICY)}
    sides |= {f"{side}-{seed}": guided(POLICY, critic(side, seed)) for side in SIDES for seed in SEEDS}
    return [Experiment("relabelled", "Does a critic guide that only knows what people were seen to want?", sides)]


def write(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    about = [
        "Rewards learned from watching a person (`vgps reward learn`) label the robot's data (`vgps reward relabel`);",
        "critics learn from the labels alone (`vgps train critic --rewards`). Made by `vgps study make|play|page",
        "--study rewards`. All sides guide one frozen policy on the same report seeds, ten candidates, two steps of a",
        "chunk executed. [Rewards from demonstrations](reference/irl.md) says how the rewards come about.",
    ]
    sections = list[str]()
    names = [e.name for e in everything()]
    for name in names:
        if name in records:
            sections += _played(records[name], pictures)
    sections += LINKS.sources(records, names)
    table = markdown.table(["critic", "learns from"], SIDES.items())
    return markdown.write_page(page, "Critics that were told no outcome", about, remarks, table, sections)


def _played(record: Record, pictures: Path) -> list[str]:
    sides = {**{side: [f"{side}-{seed}" for seed in SEEDS] for side in SIDES}, "bare": ["bare"]}
    picture, table = by_task(record, sides, "bare", pictures / "relabelled.svg", what="critic")
    return ["## Success", "", LINKS.image(picture), "", *table, "", LINKS.source([record.name]), ""]
