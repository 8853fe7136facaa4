"""Pictures of pages, as SVG: small, sharp, and no different from run to run."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vgps_models.errors import MissingDependencyError

INCHES = 1.1  # of a legend's entry
Point = tuple[float, tuple[float, float]]  # rate and its interval


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingDependencyError(
            "the page's pictures need matplotlib; install it with: pip install 'vgps[study]'"
        ) from error
    matplotlib.use("svg")
    matplotlib.rcParams.update({
        "svg.hashsalt": "vgps", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.alpha": 0.3, "figure.constrained_layout.use": True,
    })  # fmt: skip
    from matplotlib import pyplot

    return pyplot


def bars(path: Path, groups: Sequence[str], series: Mapping[str, Sequence[Point]], *, title: str) -> Path:
    """Rates with intervals side by side: one group a policy, one bar a side."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(1.6 + 1.1 * len(groups), 3.0))
    width = 0.8 / len(series)
    for i, (name, points) in enumerate(series.items()):
        at = [g + (i - (len(series) - 1) / 2) * width for g in range(len(groups))]
        rates = [rate for rate, _ in points]
        errors = [[rate - low for rate, (low, _) in points], [high - rate for rate, (_, high) in points]]
        axes.bar(at, rates, width * 0.92, yerr=errors, label=name, capsize=2, error_kw={"lw": 0.8})
    axes.set_xticks(range(len(groups)), groups)
    _finish(axes, title)
    return _save(figure, path)


def curves(path: Path, x: Sequence[int], series: Mapping[str, Sequence[Point]], *, title: str, label: str) -> Path:
    """Rates with intervals over a number on a logarithmic axis."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(4.6, 3.0))
    for name, points in series.items():
        (line,) = axes.plot(x, [rate for rate, _ in points], marker="o", ms=3, label=name)
        lows, highs = [ci[0] for _, ci in points], [ci[1] for _, ci in points]
        axes.fill_between(x, lows, highs, alpha=0.08, color=line.get_color())
    axes.set_xscale("log")
    axes.set_xticks(x, [str(v) for v in x])
    axes.minorticks_off()
    axes.set_xlabel(label)
    _finish(axes, title)
    return _save(figure, path)


def calibration(path: Path, series: Mapping[str, Sequence[tuple[float, float, int]]], *, title: str) -> Path:
    """Predicted against observed return: (predicted, observed, frames) a bin."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(3.6, 3.2))
    axes.plot([-50, 0], [-50, 0], color="grey", lw=0.8)
    for name, bins in series.items():
        axes.plot([b[0] for b in bins], [b[1] for b in bins], marker="o", ms=3, label=name)
    axes.set_xlabel("predicted return Q")
    axes.set_ylabel("observed return")
    axes.set_title(title, fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)


def lines(path: Path, panels: Mapping[str, Sequence[Sequence[float]]], *, title: str, label: str) -> Path:
    """Curves of different lengths side by side, each over the share of it that is over; one panel a name."""
    pyplot = _pyplot()
    figure, all_axes = pyplot.subplots(
        1, len(panels), figsize=(2.4 * len(panels), 2.4), squeeze=False, sharey=True, sharex=True
    )
    for axes, (name, curves) in zip(all_axes[0], panels.items(), strict=True):
        for curve in curves:
            axes.plot([i / max(1, len(curve) - 1) for i in range(len(curve))], curve, lw=1.0)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(label)
    figure.suptitle(title, fontsize=9)
    return _save(figure, path)


def over_time(seconds: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Panels one below the other, each with its curves over time, as the text of an SVG. NaN leaves a gap."""
    pyplot = _pyplot()
    figure, rows = pyplot.subplots(len(panels), 1, figsize=(9.0, 1.7 * len(panels)), squeeze=False, sharex=True)
    for axes, (title, curves) in zip(rows[:, 0], panels.items(), strict=True):
        for name, values in curves.items():
            axes.plot(seconds, values, lw=1.1, label=name)
        axes.set_title(title, fontsize=9, loc="left")
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    rows[-1, 0].set_xlabel("seconds")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _finish(axes: Any, title: str) -> None:
    axes.set_ylim(0, 1)
    axes.set_ylabel("success rate")
    axes.set_title(title, fontsize=9)
    columns = max(2, int(axes.figure.get_figwidth() / INCHES))
    axes.figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=columns)


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    _pyplot().close(figure)
    return path
