"""Are critics better that have watched others? docs/vptr.md.

An image network learns values of frames from videos of hands and cranes at the tasks (V-PTR, 2309.13041).
The same critic is then trained on all, a quarter or a tenth of the robot's data with that network, with one that starts
from nothing, and with features of ImageNet or of an untrained network; all guide the same frozen policy.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vgps_node import plots
from vgps_node.conditions import Steered
from vgps_node.study import markdown
from vgps_node.study.experiment import Experiment, bare, guided
from vgps_node.study.recipe import RUNS, Recipe, recipe
from vgps_node.study.record import Record
from vgps_node.study.seeds import gain, outcomes

LINKS = markdown.Links("vptr")
FOLDER = RUNS / "vptr"
POLICY = "policy"  # the shipped one, frozen
SHARES = {"100": "1.0", "25": "0.25", "10": "0.1"}  # [%] of the robot's episodes
CRITIC_SEEDS = {"100": (0, 1), "25": (0, 1), "10": (0, 1, 2, 3)}  # most where most depends on them
SIDES: dict[str, tuple[str, str]] = {  # start -> options of `train critic`, what it is
    "video": ("--encoder {video} {tuned}", "the network that watched videos, trained along"),
    "scratch": ("--encoder resnet {tuned}", "the same network from nothing, trained along"),
    "video_frozen": ("--encoder {video}", "the network that watched videos, as it is"),
    "imagenet": ("--encoder efficientnet", "EfficientNet-Lite0 with ImageNet weights, as it is"),
    "random": ("--encoder resnet", "the network untrained, as it is"),
}
TUNED = "--encoder-rate 3e-4 --batch 32 --wrong-batch 8 --steps 3000"
VIDEO = FOLDER / "video.safetensors"
ELSEWHERE = ("cluttered", "recoloured", "knocked")  # domains that no critic has seen
UNSEEN = {  # what the values are examined on -> the shards
    "others": Path("data/shards_people_test"),
    "tongs": Path("data/shards_tongs"),
    "robot": Path("data/shards_report"),
}


def critic(start: str, share: str, seed: int) -> Path:
    return FOLDER / f"{start}-{share}-{seed}.safetensors"


def values(name: str) -> Path:
    """What `vgps video values` found."""
    return FOLDER / f"values-{name}.json"


def stages() -> list[list[Recipe]]:
    films = "videos --embodiments hand crane trident"
    return [
        [
            recipe("data/people", f"{films} --episodes 900 --seed 60000"),
            recipe("data/people_test", f"{films} --episodes 120 --views 1 --seed 80000 --success-only"),
            recipe("data/tongs", "videos --embodiments tongs --episodes 100 --views 1 --seed 70000 --success-only"),
        ],
        [recipe("data/mixed", "collect --quality mixed --seed 0")],
        [recipe("data/report", "collect --quality mixed --episodes 200 --seed 1000000")],
        [recipe("data/report_good", "data filter data/report --by outcome", whole=True)],
        [
            recipe("data/shards_people", "video pack data/people --size 128"),
            recipe("data/shards_people_test", "video pack data/people_test --size 128"),
            recipe("data/shards_tongs", "video pack data/tongs --size 128"),
            recipe("data/shards_report", "video pack data/report_good --views front --size 128"),
        ],
        [recipe(VIDEO, "train video --data data/shards_people")],
        [
            recipe(values(name), f"video values {shards} --checkpoint {VIDEO}", option="--json")
            for name, shards in UNSEEN.items()
        ],
        [recipe(critic(start, share, seed), _training(start, share, seed)) for start, share, seed in cells()],
    ]


def cells() -> list[tuple[str, str, int]]:
    return [(start, share, seed) for share in SHARES for start in SIDES for seed in CRITIC_SEEDS[share]]


def _training(start: str, share: str, seed: int) -> str:
    options = SIDES[start][0].format(video=VIDEO, tuned=TUNED)
    return f"train critic --data data/mixed --policy {POLICY} --fraction {SHARES[share]} --seed {seed} {options}"


def compared(share: str) -> Experiment:
    sides: dict[str, Steered] = {"bare": bare(POLICY)}
    sides |= {f"{s}-{seed}": guided(POLICY, critic(s, share, seed)) for s in SIDES for seed in CRITIC_SEEDS[share]}
    return Experiment(f"robot-data-{share}", f"What is a critic worth that saw {share} % of the robot's data?", sides)


def elsewhere(domain: str) -> Experiment:
    sides: dict[str, Steered] = {"bare": bare(POLICY)}
    sides |= {f"{s}-{seed}": guided(POLICY, critic(s, "100", seed)) for s in SIDES for seed in CRITIC_SEEDS["100"]}
    return Experiment(domain, "And where things look unlike all that it saw?", sides, domain=domain)


def everything() -> list[Experiment]:
    return [*(compared(share) for share in ("10", "100", "25")), *map(elsewhere, ELSEWHERE)]


def write(records: Mapping[str, Record], page: Path, pictures: Path, remarks: str, folder: Path) -> Path:
    about = [
        "V-PTR (arXiv 2309.13041): an image network learns the values of frames (ICVF, arXiv 2304.04782) from videos",
        "of hands, cranes and tridents at the tasks, without a single action; a critic for the robot then starts from",
        "it. Made by `vgps study make|play|page --study vptr`. All sides of a table guide one frozen policy on the",
        "same report seeds, ten candidates, two steps of a chunk executed.",
    ]
    sections = _values(folder, pictures)
    shares = {f"{s} %": f"robot-data-{s}" for s in SHARES if f"robot-data-{s}" in records}
    sections += _compared("Robot data", shares, records, pictures)
    sections += _compared("Elsewhere", {name: name for name in ELSEWHERE if name in records}, records, pictures)
    sections += LINKS.sources(records, [e.name for e in everything()])
    table = markdown.table(["critic", "sees with"], ([start, what] for start, (_, what) in SIDES.items()))
    return markdown.write_page(page, "Critics that learned from watching", about, remarks, table, sections)


def keep_values(folder: Path) -> None:
    """Copy what `vgps video values` found to the records."""
    for name in UNSEEN:
        if values(name).exists():
            (folder / "values").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(values(name), folder / "values" / f"{name}.json")


def _compared(title: str, groups: Mapping[str, str], records: Mapping[str, Record], pictures: Path) -> list[str]:
    """Means over critic seeds; differences with the spread over layouts and seeds (crossed bootstrap)."""
    if not groups:
        return []
    sides = [side for side in SIDES if all(_played(records[name], side) for name in groups.values())]
    points: dict[str, list[plots.Point]] = {side: [] for side in ("bare", *sides)}
    lines = [f"## {title}", ""]
    rows = []
    for group, name in groups.items():
        record = records[name]
        points["bare"].append(record.rate("bare")[:2])
        for side in sides:
            won = _won(record, side)
            alone = gain(won, np.zeros((1, won.shape[1])), record)  # with the spread over critics, as in the table
            points[side].append((alone.difference, alone.difference_ci95))
            to_scratch = (
                "" if side == "scratch" or "scratch" not in sides else _gain(won, _won(record, "scratch"), record)
            )
            to_bare = _gain(won, _won(record, "bare"), record)
            rows.append([group, side, markdown.rate(float(np.nanmean(won))), to_scratch, to_bare])
        rows.append([group, "bare", markdown.rate(record.rate("bare")[0]), "", ""])
    picture = plots.bars(pictures / f"{title.lower().replace(' ', '_')}.svg", list(groups), points, title=title.lower())
    head = ["", "critic", "success", "minus scratch [points]", "minus bare [points]"]
    source = LINKS.source(groups.values())
    return [*lines, LINKS.image(picture), "", *markdown.table(head, rows), "", source, ""]


def _played(record: Record, side: str) -> bool:
    return all(f"{side}-{seed}" in record.outcomes for seed in _seeds(record))


def _seeds(record: Record) -> tuple[int, ...]:
    """Of the critics that were played; elsewhere they are those of all of the data."""
    return CRITIC_SEEDS.get(record.name.removeprefix("robot-data-"), CRITIC_SEEDS["100"])


def _won(record: Record, side: str) -> np.ndarray:
    """Success by critic seed and layout; one row for the bare policy."""
    return outcomes(record, ["bare"] if side == "bare" else [f"{side}-{seed}" for seed in _seeds(record)])


def _gain(won: np.ndarray, base: np.ndarray, record: Record) -> str:
    found = gain(won, base, record)
    return markdown.points(found.difference, found.difference_ci95)


def _values(folder: Path, pictures: Path) -> list[str]:
    paths = {name: folder / "values" / f"{name}.json" for name in UNSEEN}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}
    if not found:
        return []
    rows = [[name, str(each["videos"]), _median(each["voc"]), _median(each["nearing"])] for name, each in found.items()]
    picture = plots.lines(
        pictures / "values.svg",
        {name: [curve["values"] for curve in each["curves"]] for name, each in found.items()},
        title="V(frame; final frame) of videos never seen", label="share of the video",
    )  # fmt: skip
    return [
        "## Values of videos that training never saw",
        "",
        "others: the embodiments of training in new performances. tongs: an embodiment never seen. robot: successes of",
        "the arm itself, which is in no video. VOC: rank correlation of V(frame; final frame) with time; nearing: of",
        "the embedding's distance to the final frame with the steps to go. Medians with 95 % bootstrap intervals; the",
        "curves are chosen from the best to the worst.",
        "",
        LINKS.image(picture),
        "",
        *markdown.table(["videos", "number", "VOC", "nearing"], rows),
        "",
        "From " + ", ".join(f"[{n}](results/vptr/values/{n}.json)" for n in found) + " (`vgps video values`).",
        "",
    ]


def _median(found: Mapping[str, Any]) -> str:
    low, high = found["ci95"]
    return f"{found['median']:.3f} ({low:.3f} to {high:.3f})"
