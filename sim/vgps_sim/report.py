"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from vgps_sim import findings
from vgps_sim.results import Evaluation
from vgps_sim.statistics import compare, wilson
from vgps_sim.tasks import EVENTS
from vgps_sim.video import Video, describe

EMBED_LIMIT = 6_000_000  # [bytes] of video inside the page; what is beyond stays beside it
PARTS = {"policy": "policy", "encode": "encode image", "value": "value", "loop": "whole loop"}


def finding(evaluation: Evaluation) -> str:
    """What was found, in one line; also when guidance did not help."""
    return str(findings.find(evaluation))


def write(evaluation: Evaluation, folder: Path, videos: Sequence[Video] = (), *, made: datetime | None = None) -> Path:
    """Write `report.html` and `result.json` into `folder`; returns the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(evaluation.to_json(), indent=2) + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(evaluation, folder, videos, made=made), encoding="utf-8")
    return path


def page(evaluation: Evaluation, folder: Path, videos: Sequence[Video] = (), *, made: datetime | None = None) -> str:
    """The HTML text. `folder` is where it will lie, for links to videos that are too large to embed."""
    templates = resources.files("vgps_sim") / "assets" / "report"
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"points": findings.points, "p_value": findings.p_value, "title": _title}
    template = environment.from_string((templates / "report.html").read_text(encoding="utf-8"))
    return template.render(
        css=Markup((templates / "report.css").read_text(encoding="utf-8")),
        e=evaluation,
        finding=findings.find(evaluation),
        made=(made or datetime.now()).strftime("%d %B %Y, %H:%M").lstrip("0"),
        sides=_sides(evaluation),
        tasks=_tasks(evaluation),
        events=(*EVENTS, "success"),
        comparisons=_comparisons(evaluation),
        by_task=_by_task(evaluation),
        scale=_scale(evaluation),
        latency=_latency(evaluation),
        settings=_settings(evaluation),
        verdicts=evaluation.verdicts,
        interval=findings.main_interval(evaluation),
        remarks=_remarks(evaluation),
        videos=_videos(videos, folder),
    )


def _rate(evaluation: Evaluation, condition: str, task: str | None = None) -> dict[str, Any]:
    successes, n = evaluation.counts(condition, task)
    low, high = wilson(successes, n)
    return {"successes": successes, "n": n, "rate": successes / max(n, 1), "low": low, "high": high}


def _sides(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Conditions with their overall rate and how far their episodes came."""
    sides = []
    for i, condition in enumerate(evaluation.conditions):
        episodes = evaluation.of(condition.name)
        reached = {
            event: sum(e.success if event == "success" else (event in e.events or e.success) for e in episodes)
            / max(len(episodes), 1)
            for event in (*EVENTS, "success")
        }
        lengths = sorted(e.steps for e in episodes if e.success)
        sides.append(
            _rate(evaluation, condition.name)
            | {
                "name": condition.name,
                "colour": f"c{i % 6}",
                "what": describe(condition.settings),
                "reached": reached,
                "steps": lengths[len(lengths) // 2] if lengths else None,
            }
        )
    return sides


def _tasks(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {"id": task, "rates": [_rate(evaluation, c.name, task) for c in evaluation.conditions]}
        for task in evaluation.tasks
    ]


def _comparisons(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {"treatment": treatment, "baseline": baseline, "pair": evaluation.pair(treatment, baseline)}
        for treatment, baseline in evaluation.comparisons
    ]


def _by_task(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The main comparison, one task at a time."""
    if len(evaluation.conditions) < 2:
        return []
    a, b = (evaluation.outcomes[c.name] for c in (evaluation.conditions[1], evaluation.conditions[0]))
    rows = []
    for task in evaluation.tasks:
        both = [p for p in evaluation.pairs if p[0] == task and p in a and p in b]
        pair = compare([a[p].success for p in both], [b[p].success for p in both], labels=both)
        rows.append({"task": task, "pair": pair})
    return rows


def _scale(evaluation: Evaluation) -> list[float]:
    """Ticks of an axis that holds every interval of a difference and zero: few enough for a narrow screen."""
    pairs = [row["pair"] for row in _comparisons(evaluation) + _by_task(evaluation)]
    ends = [end for p in pairs if p.n for end in p.ci95] or [0.0]
    parts = 4 if max(*ends, 0.25) - min(*ends, -0.25) <= 1 else 2  # of 1
    low, high = min(math.floor(parts * min(ends)), -1), max(math.ceil(parts * max(ends)), 1)
    return [tick / parts for tick in range(low, high + 1)]


def _latency(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for i, condition in enumerate(evaluation.conditions):
        parts = {label: evaluation.latency(condition.name, p) for p, label in PARTS.items()}
        rows.append({"name": condition.name, "colour": f"c{i % 6}", "parts": parts})
    kept = [label for label in PARTS.values() if any(row["parts"][label] for row in rows)]
    return [row | {"parts": {label: row["parts"][label] for label in kept}} for row in rows]


def _remarks(evaluation: Evaluation) -> list[str]:
    """Where a side did not do what it is named after."""
    remarks = []
    for condition in evaluation.conditions:
        let_go, episodes, dropped = evaluation.abstentions(condition.name)
        n, decisions = evaluation.counts(condition.name)[1], sum(len(e.records) for e in evaluation.of(condition.name))
        if let_go:
            remarks.append(
                f"{condition.name}: the critic was in doubt in {let_go} of {decisions} decisions, in {episodes} of "
                f"{n} episodes; there the policy's own sample was executed"
            )
        if judged := evaluation.judged(condition.name):
            remarks.append(
                f"{condition.name}: by their last images {judged['called']} of {judged['episodes']} episodes look like "
                f"a success; {judged['false_success']} of those are none, and {judged['missed']} successes are missed"
            )
        if dropped:
            remarks.append(f"{condition.name}: {dropped} candidates held NaN or infinity and were dropped")
    return remarks


def _settings(evaluation: Evaluation) -> dict[str, list[str]]:
    """Setting -> its value under every condition."""
    keys = dict.fromkeys(key for c in evaluation.conditions for key in c.settings)

    def shown(value: Any) -> str:
        return "\u2013" if value is None else str(value)

    return {key: [shown(c.settings.get(key)) for c in evaluation.conditions] for key in keys}


def _videos(videos: Sequence[Video], folder: Path) -> list[dict[str, Any]]:
    shown, used = [], 0
    for video in videos:
        data = video.path.read_bytes()
        used += len(data)
        if used <= EMBED_LIMIT:
            source = "data:video/mp4;base64," + base64.b64encode(data).decode()
        else:
            source = video.path.relative_to(folder).as_posix()
        shown.append({"video": video, "source": source, "id": f"v-{video.task}-{video.seed}"})
    return shown


def _title(task: str) -> str:
    return task.replace("_", " ").capitalize()
