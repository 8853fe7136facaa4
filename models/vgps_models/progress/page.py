"""A page about a whole recording: every curve, and pictures of what people should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from vgps_models.html import document, jpeg, listed, section, strip
from vgps_models.progress.estimate import Estimate, Images, spaced
from vgps_models.progress.footage import Scene
from vgps_models.progress.measures import Curve, auc, bootstrap

FRAMES = 8  # pictures of a strip
SHOWN = 12  # attempts with pictures


@dataclass(frozen=True, eq=False)
class Entry:
    """One attempt: what is known of it, what was said, and a strip of small pictures (as JPEG)."""

    name: str
    task: str
    success: bool | None
    estimate: Estimate
    strip: tuple[bytes, ...]

    @classmethod
    def of(cls, scene: Scene, estimate: Estimate) -> Entry:
        view: Images = next(iter(scene.clip.views.values()))
        shown = view[spaced(len(view), FRAMES)]
        return cls(scene.name, scene.clip.task, scene.success, estimate, tuple(jpeg(image) for image in shown))

    @property
    def curve(self) -> Curve:
        return Curve.of(self.estimate.values)

    def doubt(self, threshold: float) -> float:
        """How much there is to look at: the recorded outcome denied, progress lost, no answer at all."""
        curve = self.curve
        if np.isnan(curve.final):
            return 2.0
        denied = 0.0 if self.success is None else (threshold - curve.final) * (1 if self.success else -1)
        return max(denied, 0.0) + 0.5 * curve.drawdown


def page(title: str, source: str, entries: Sequence[Entry], *, threshold: float | None, problems: Sequence[str]) -> str:
    """The HTML text, complete in itself. threshold: of success; half when the estimator has none."""
    limit = 0.5 if threshold is None else threshold
    order = sorted(entries, key=lambda e: e.doubt(limit), reverse=True)
    known = [e for e in entries if e.success is not None and not e.estimate.failed]
    denied = [e for e in known if (e.curve.final >= limit) != e.success]
    lead = f"{len(entries)} attempts judged by {source}."
    if known:
        lead += f" The recorded outcome is denied in {len(denied)} of {len(known)}, at a threshold of {limit:.0%}."
    parts = [
        f"<h1>{escape(title)}</h1><p class=quiet>{escape(lead)}</p>",
        section("By task", _tasks(entries)),
        section(
            "Look at these first",
            "<p class=quiet>Outcomes that the estimate denies, and progress that was lost on the way.</p>"
            + "".join(map(_attempt, order[:SHOWN])),
        ),
        section("All curves", f"<div class=curves>{''.join(map(_small, entries))}</div>"),
    ]
    if problems:
        parts.append(section(f"Not used ({len(problems)})", listed(problems)))
    return document(title, parts)


def _tasks(entries: Sequence[Entry]) -> str:
    rows = ["<tr><th>task<th>attempts<th>VOC of successes<th>last value, successes<th>failures<th>success AUC"]
    for task in sorted({e.task for e in entries}):
        mine = [e for e in entries if e.task == task and not e.estimate.failed]
        won, lost = [e for e in mine if e.success], [e for e in mine if e.success is False]
        # Where no outcome is known, all attempts are taken for what they were meant to be.
        median, (low, high) = bootstrap([e.curve.voc for e in (won if won or lost else mine)])
        apart = auc([e.curve.final for e in (*won, *lost)], [True] * len(won) + [False] * len(lost))
        cells = [escape(task), len([e for e in entries if e.task == task]), f"{median:.2f} ({low:.2f} to {high:.2f})"]
        cells += [_mean([e.curve.final for e in group]) for group in (won, lost)]
        cells.append("-" if np.isnan(apart) else f"{apart:.2f}")
        rows.append("<tr>" + "".join(f"<td>{cell}" for cell in cells))
    return f"<table>{''.join(rows)}</table>"


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.0%}" if values else "-"


def _attempt(entry: Entry) -> str:
    curve = entry.curve
    told = f"last value {curve.final:.0%}, VOC {curve.voc:.2f}, drawdown {curve.drawdown:.0%}"
    told = "no answer: " + "; ".join(entry.estimate.failures) if entry.estimate.failed else told
    return (
        f"<div class='attempt wide'><b>{escape(entry.name)}</b> <span class=quiet>{escape(entry.task)}</span> "
        f"{_outcome(entry)}{strip(entry.strip)}{_svg(entry)}<span class=quiet>{escape(told)}</span></div>"
    )


def _outcome(entry: Entry) -> str:
    if entry.success is None:
        return ""
    return "<span class=good>success</span>" if entry.success else "<span class=bad>failure</span>"


def _small(entry: Entry) -> str:
    return f"<figure>{_svg(entry)}<figcaption title='{escape(entry.name)}'>{escape(entry.name)}</figcaption></figure>"


def _svg(entry: Entry) -> str:
    """The curve with its spread; x: the moments, y: 0 to 1, upwards."""
    values, spread = entry.estimate.values, entry.estimate.spread
    kind = "flat" if entry.success is None else "good" if entry.success else "bad"
    at = np.flatnonzero(~np.isnan(values))
    x = 2 + 96 * at / max(len(values) - 1, 1)
    y, s = 2 + 36 * (1 - values[at]), 36 * np.nan_to_num(spread[at])
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    back = [*zip(x, y - s, strict=True), *zip(x[::-1], (y + s)[::-1], strict=True)]
    band = " ".join(f"{a:.1f},{b:.1f}" for a, b in back)
    return (
        f"<svg class={kind} viewBox='0 0 100 40' preserveAspectRatio=none role=img aria-label='progress over time'>"
        f"<polygon points='{band}' fill=currentColor opacity=.2 />"
        f"<polyline points='{line}' fill=none stroke=currentColor stroke-width=2 vector-effect=non-scaling-stroke />"
        "</svg>"
    )
