"""docs/steering.md, made of the records alone: every table names the file it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vgps_node import plots
from vgps_node.study import markdown
from vgps_node.study.record import Record, conditions
from vgps_node.study.steering import experiments
from vgps_node.study.steering.experiments import KS
from vgps_node.study.steering.recipes import ARCHITECTURES, CRITIC_SEEDS, POLICY_SEEDS
from vgps_sim.statistics import Gain, crossed_gain

Records = Mapping[str, Record]
LINKS = markdown.Links("steering")
Calibration = Mapping[str, Any]  # the `.calibration.json` beside a critic
CALIBRATED = ("calql-0", "cql-0", "iql-0", "calql_hl-0", "not_pessimistic-0")  # in the picture; the table has all


def write(
    records: Records, page: Path, pictures: Path, remarks: str, calibrations: Mapping[str, Calibration] | None = None
) -> Path:
    """remarks: what people concluded, in Markdown; the numbers are ours, the words are theirs.

    calibrations: of the critics, by name.
    """
    sections: list[Callable[[Records, Path], list[str]]] = [
        _headline, _strongest, _candidates, _selections, _critics, _baselines, _horizons, _language, _abstention,
        _controls,
    ]  # fmt: skip
    lines = [*_opening(), *remarks.strip().splitlines(), ""]
    for section in sections:
        lines += section(records, pictures)
    lines += _calibration(calibrations or {}, pictures)
    lines += LINKS.sources(records, [e.name for e in experiments.everything()])
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _opening() -> list[str]:
    return [
        "# Steering",
        "",
        "How much one value function improves policies of five architectures, with which selection and which critic,",
        "and what it does not improve. Made by `make steering` from the records in `docs/results/steering/`.",
        "",
        "All sides of a table play the same seeds (from 1000000, never used for tuning), spread over four tasks,",
        "with images as input and two steps of each chunk executed. Intervals are 95 %: Wilson's for a rate, the",
        "paired bootstrap's for a difference. The policies are trained on a broad mix (cameras, light and colours",
        "vary; three levels of quality) and frozen; the critic is trained on data of the target domain alone.",
        "",
    ]


# -- sections ----------------------------------------------------------------


def _headline(records: Records, pictures: Path) -> list[str]:
    names = [name for name in ARCHITECTURES if all(f"headline-{name}-{p}" in records for p in POLICY_SEEDS)]
    if not names:
        return []
    gains = {name: gain_of(records, [name]) for name in names}
    bare, guided = [], []
    rows = []
    for name in names:
        runs = [records[f"headline-{name}-{p}"] for p in POLICY_SEEDS]
        bare.append(_pooled(runs, ["bare"]))
        guided.append(_pooled(runs, [f"guided-{c}" for c in CRITIC_SEEDS]))
        each = [f"{run.rate(f'guided-{c}')[0] - run.rate('bare')[0]:+.2f}" for run in runs for c in CRITIC_SEEDS]
        gain = gains[name]
        rows.append([
            name, markdown.rate(bare[-1][0]), markdown.rate(guided[-1][0]),
            markdown.points(gain.difference, gain.difference_ci95),
            f"{gain.relative:+.0%}", " ".join(each),
        ])  # fmt: skip
    everyone = gain_of(records, names)
    rows.append([
        "**all**",
        markdown.rate(float(np.mean([r for r, _ in bare]))),
        markdown.rate(float(np.mean([r for r, _ in guided]))),
        markdown.points(everyone.difference, everyone.difference_ci95),
        f"**{everyone.relative:+.0%}** ({everyone.relative_ci95[0]:+.0%} to {everyone.relative_ci95[1]:+.0%})", "",
    ])  # fmt: skip
    picture = plots.bars(
        pictures / "headline.svg", names, {"bare": bare, "guided, K = 10": guided}, title="one critic, five policies"
    )
    seeds = f"{len(POLICY_SEEDS)} policy seeds x {len(CRITIC_SEEDS)} critic seeds"
    return [
        "## One critic, five policies",
        "",
        LINKS.image(picture),
        "",
        f"Means over {seeds}; the interval of a difference holds the spread over layouts, policy seeds and",
        "critic seeds (crossed bootstrap). The last column is every single run: by policy seed, then by critic seed.",
        "",
        *markdown.table(["policy", "bare", "guided", "difference [points]", "relative gain", "each run"], rows),
        "",
        LINKS.source(f"headline-{name}-{p}" for name in names for p in POLICY_SEEDS),
        "",
    ]


def _strongest(records: Records, pictures: Path) -> list[str]:
    if "strongest" not in records:
        return []
    record = records["strongest"]
    guided = [f"guided-{c}" for c in CRITIC_SEEDS]
    mean = np.nanmean(np.stack([record.outcomes[g] for g in guided]), axis=0)
    gain = crossed_gain(
        np.stack([record.outcomes[g] for g in guided])[None, None], record.outcomes["bare"][None, None], record.tasks
    )
    difference = markdown.points(gain.difference, gain.difference_ci95)
    return [
        "## A policy that is already good",
        "",
        "Trained on expert demonstrations of the target domain alone.",
        "",
        *markdown.sides(record, "bare", ["bare", *guided]),
        "",
        f"Over the critic seeds: guided {np.mean(mean):.3f}, difference {difference} points.",
        "",
        LINKS.source(["strongest"]),
        "",
    ]


def _candidates(records: Records, pictures: Path) -> list[str]:
    names = [name for name in ARCHITECTURES if f"k-{name}" in records]
    if not names:
        return []
    sides = {k: "bare" if k == 1 else f"k{k}" for k in KS}
    series = {n: [records[f"k-{n}"].rate(side)[:2] for side in sides.values()] for n in names}
    rows = []
    for name in names:
        pair = records[f"k-{name}"].pair("k100", "k10")
        rows.append(
            [name, *(markdown.rate(rate) for rate, _ in series[name]), markdown.points(pair.difference, pair.ci95)]
        )
    mean = {k: float(np.mean([series[n][i][0] for n in names])) for i, k in enumerate(sides)}
    most, few = (np.stack([records[f"k-{n}"].outcomes[k] for n in names]) for k in ("k100", "k10"))
    gain = crossed_gain(most[:, None, None], few[:, None], records[f"k-{names[0]}"].tasks)
    rows.append(
        [
            "**mean**",
            *(markdown.rate(v) for v in mean.values()),
            f"**{markdown.points(gain.difference, gain.difference_ci95)}**",
        ]
    )
    picture = plots.curves(
        pictures / "candidates.svg", KS, series, title="more candidates", label="candidates K (logarithmic)"
    )
    return [
        "## More candidates",
        "",
        LINKS.image(picture),
        "",
        *markdown.table(["policy", *(f"K = {k}" for k in KS), "K = 100 minus K = 10 [points]"], rows),
        "",
        LINKS.source(f"k-{name}" for name in names),
        "",
    ]


def _selections(records: Records, pictures: Path) -> list[str]:
    lines = []
    for name in ("selection-k10", "selection-k50"):
        if name in records:
            record = records[name]
            lines += [*markdown.sides(record, "argmax", list(record.outcomes), "argmax"), "", LINKS.source([name]), ""]
    return ["## Selection", "", *lines] if lines else []


def _critics(records: Records, pictures: Path) -> list[str]:
    lines = []
    for name in ("critics-k10", "critics-k50"):
        if name in records:
            record = records[name]
            lines += [*markdown.sides(record, "calql", list(record.outcomes), "calql"), "", LINKS.source([name]), ""]
    return ["## Critics and ablations", "", *lines] if lines else []


def _baselines(records: Records, pictures: Path) -> list[str]:
    if "baselines" not in records:
        return []
    record = records["baselines"]
    return [
        "## Training on the same data instead",
        "",
        "cloned: the successes of the target data alone, from scratch. tuned: the generalist fine-tuned on all of it,",
        "tuned_success: on its successes. distilled: the generalist retrained on the critic's best of its own samples.",
        "",
        *markdown.sides(record, "flow-guided", list(record.outcomes), "flow-guided"),
        "",
        LINKS.source(["baselines"]),
        "",
    ]


def _horizons(records: Records, pictures: Path) -> list[str]:
    names = {e: f"horizon-{e}" for e in (1, 4) if f"horizon-{e}" in records}
    if not names:
        return []
    rows = [
        [
            str(e),
            *(markdown.rate(records[n].rate(side)[0]) for side in ("bare", "guided")),
            markdown.pair(records[n].pair("guided", "bare")),
        ]
        for e, n in names.items()
    ]
    return [
        "## Execution horizon",
        "",
        *markdown.table(["steps executed", "bare", "guided", "difference [points]"], rows),
        "",
        LINKS.source(names.values()),
        "",
    ]


def _language(records: Records, pictures: Path) -> list[str]:
    if "language" not in records:
        return []
    record = records["language"]
    return [
        "## Language",
        "",
        *markdown.sides(record, "guided", list(record.outcomes), "guided"),
        "",
        LINKS.source(["language"]),
        "",
    ]


def _abstention(records: Records, pictures: Path) -> list[str]:
    names = [name for name in ("abstention-target", "abstention-knocked") if name in records]
    if not names:
        return []
    lines = []
    for name in names:
        record = records[name]
        let_go = record.json["conditions"]["abstaining"]["abstained"]["episodes"] / len(record.tasks)
        lines += [
            *markdown.sides(record, "guided", list(record.outcomes), "guided"), "",
            f"Guidance let go in {let_go:.1%} of the episodes. {LINKS.source([name])}", "",
        ]  # fmt: skip
    return [
        "## Letting go where the critic is in doubt",
        "",
        "The threshold is calibrated for 10 % of the target domain's recorded episodes (split conformal prediction).",
        "First that domain, then knocked cameras: up to 3 cm along every axis and 0.06 rad about it, anew each seed.",
        "",
        *lines,
    ]


def _calibration(calibrations: Mapping[str, Calibration], pictures: Path) -> list[str]:
    """Q against the return that followed, in successes, where the return is known exactly."""
    if not calibrations:
        return []
    series = {
        name: [
            (bin["successes"]["predicted"], bin["successes"]["observed"], bin["successes"]["count"])
            for bin in each["bins"]
            if bin["successes"]["count"] >= 20
        ]
        for name, each in calibrations.items()
    }
    drawn = {name: series[name] for name in CALIBRATED if name in series}
    picture = plots.calibration(pictures / "calibration.svg", drawn, title="held-out successes")
    rows = [
        [name, f"{each['error']:.2f}", f"{each['bias']:+.2f}", str(each["frames"])]
        for name, each in calibrations.items()
    ]
    return [
        "## Calibration of Q",
        "",
        LINKS.image(picture),
        "",
        "What the critic predicted for what was done, and the discounted return that followed, over frames of held-out",
        "episodes that ended in success (there alone the return is known; -1 a step). Q is the value of going on",
        "better than the data did, so it may well lie above. Error and bias [steps]: over bins, weighted by frames.",
        "",
        *markdown.table(["critic", "calibration error", "bias", "frames"], rows),
        "",
        "From [results/steering/calibration](results/steering/calibration).",
        "",
    ]


def _controls(records: Records, pictures: Path) -> list[str]:
    if "controls" not in records:
        return []
    record = records["controls"]
    return [
        "## Controls and the oracle",
        "",
        "oracle: every candidate is tried out in a copy of the world, the scripted expert goes on from there, and the",
        "one after which it succeeds soonest is executed.",
        "",
        *markdown.sides(record, "bare", list(record.outcomes)),
        "",
        LINKS.source(["controls"]),
        "",
    ]


# -- numbers -----------------------------------------------------------------


def gain_of(records: Records, architectures: Sequence[str]) -> Gain:
    """The headline's gain over some architectures."""
    first = records[f"headline-{architectures[0]}-{POLICY_SEEDS[0]}"]
    runs = [[f"headline-{name}-{p}" for p in POLICY_SEEDS] for name in architectures]
    guided = np.stack([
        np.stack([conditions(records, row, f"guided-{c}") for c in CRITIC_SEEDS], axis=1) for row in runs
    ])  # fmt: skip
    bare = np.stack([conditions(records, row, "bare") for row in runs])
    return crossed_gain(guided, bare, first.tasks)


def _pooled(runs: Sequence[Record], sides: Sequence[str]) -> plots.Point:
    """Mean rate of several runs, with the widest of their intervals around it."""
    rates = [run.rate(side) for run in runs for side in sides]
    mean = float(np.mean([rate for rate, _, _ in rates]))
    half = max((high - low) / 2 for _, (low, high), _ in rates)
    return mean, (max(0.0, mean - half), min(1.0, mean + half))
