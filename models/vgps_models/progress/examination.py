"""Examine an estimator on episodes whose outcome is known: does it order, does it detect success, is it taken in?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vgps_models.errors import DataError
from vgps_models.progress.clips import Episodes, each, of_episode, require_task
from vgps_models.progress.controls import CONTROLS, make
from vgps_models.progress.estimate import Clip, Estimate, Estimator, Usage
from vgps_models.progress.measures import Curve, auc, bootstrap, choose_threshold, precision_recall, roc

SEPARATED = 0.9  # AUC of genuine against control, at least


@dataclass(frozen=True)
class Judged:
    """One clip and what was said of it. control: "" for a genuine one."""

    episode: int
    task: str
    success: bool
    control: str
    estimate: Estimate

    @property
    def curve(self) -> Curve:
        return Curve.of(self.estimate.values)


@dataclass(frozen=True)
class Examination:
    """judged: all clips, genuine and controls. threshold: of success, as the estimator brought it along, or None."""

    source: str
    judged: Sequence[Judged]
    threshold: float | None = None

    @property
    def episodes(self) -> int:
        return len({j.episode for j in self.judged})

    def genuine(self, task: str = "") -> list[Judged]:
        return [j for j in self.judged if not j.control and task in ("", j.task)]

    @property
    def usage(self) -> Usage:
        return sum((j.estimate.usage for j in self.judged), Usage())

    def passed(self) -> bool:
        """Whether every control is told from the genuine clips."""
        return all(control["separated"] for control in self.controls().values())

    def controls(self) -> dict[str, dict[str, Any]]:
        """How well each control is told from the genuine successes; estimates that failed take no part."""
        out: dict[str, dict[str, Any]] = {}
        for control in CONTROLS.values():
            fakes = [j for j in self.judged if j.control == control.name]
            real = [j for j in self.genuine() if j.success]
            scores = np.array([control.number(j.curve) for j in (*real, *fakes)])
            which = np.array([True] * len(real) + [False] * len(fakes))
            known = ~np.isnan(scores)
            apart = auc(scores[known], which[known])
            out[control.name] = {
                "what": control.what, "measure": control.measure, "auc": apart, "clips": len(fakes),
                "separated": bool(apart >= SEPARATED),
            }  # fmt: skip
        return out

    def order(self, task: str = "") -> dict[str, Any]:
        """VOC of the successes: median and its interval."""
        median, interval = bootstrap([j.curve.voc for j in self.genuine(task) if j.success])
        return {"median": median, "ci95": list(interval)}

    def detection(self, task: str = "") -> dict[str, Any]:
        """Success by the last value: AUC, and what the threshold gets right.

        A threshold that did not come with the estimator is chosen on every second episode and judged on the others.
        """
        seen = [j for j in self.genuine(task) if not j.estimate.failed]
        final, won = np.array([j.curve.final for j in seen]), np.array([j.success for j in seen], bool)
        if not won.any() or won.all():
            return {"auc": float("nan"), "why": "needs successes and failures"}
        value, judged = self.threshold, np.ones(len(seen), bool)
        if value is None:
            half = np.array([j.episode % 2 == 0 for j in seen])
            if not won[half].any() or won[half].all():
                return {"auc": auc(final, won), "why": "too few episodes to choose a threshold"}
            value, judged = choose_threshold(final[half], won[half]).value, ~half
        called, truth = final[judged] >= value, won[judged]
        middle, interval = bootstrap(called == truth, np.mean)
        return {
            "auc": auc(final, won), "threshold": value, "accuracy": middle, "accuracy_ci95": list(interval),
            "precision": float(truth[called].mean()) if called.any() else float("nan"),
            "recall": float(called[truth].mean()) if truth.any() else float("nan"),
        }  # fmt: skip

    def curves(self) -> dict[str, list[float]]:
        """ROC and precision-recall curves of success by the last value, for plots."""
        seen = [j for j in self.genuine() if not j.estimate.failed]
        final, won = np.array([j.curve.final for j in seen]), np.array([j.success for j in seen], bool)
        _, false, true = roc(final, won)
        _, precision, recall = precision_recall(final, won)
        named = {"false_positive": false, "true_positive": true, "precision": precision, "recall": recall}
        return {name: values.round(4).tolist() for name, values in named.items()}

    def to_json(self) -> dict[str, Any]:
        tasks = sorted({j.task for j in self.judged})
        asked = sum(j.estimate.asked for j in self.judged)
        return {
            "source": self.source,
            "episodes": self.episodes,
            "successes": sum(j.success for j in self.genuine()),
            "voc": self.order(),
            "detection": self.detection(),
            "tasks": {
                t: {"episodes": len(self.genuine(t)), "voc": self.order(t), "detection": self.detection(t)}
                for t in tasks
            },
            "controls": self.controls(),
            "passed": self.passed(),
            "failure_rate": sum(len(j.estimate.failures) for j in self.judged) / max(asked, 1),
            "usage": vars(self.usage),
            "curves": self.curves(),
        }


def examine(
    estimator: Estimator,
    store: Episodes,
    *,
    frames: int = 30,
    controls: int = 40,
    seed: int = 0,
    cameras: Sequence[str] = (),
    progress: Callable[[], None] = lambda: None,
) -> Examination:
    """Judge every episode, and the controls of some of the successes.

    frames: moments an episode is shown at. cameras: as `of_episode` takes them. controls: successes that every control
    is made of, drawn by `seed`. progress: called after every clip.
    """
    outcomes = [store.success(episode) for episode in range(len(store))]
    if None in outcomes:
        unknown = store.name(outcomes.index(None))
        raise DataError(f"{unknown} of {store.root} has no outcome (column next.success), which controls need")
    for episode in range(len(store)):
        require_task(store, episode)
    tasks = np.array([store.label(episode) for episode in range(len(store))])
    won = np.flatnonzero(np.array(outcomes, bool))
    if len(set(tasks)) < 2 or not len(won):
        raise DataError(f"{store.root}: controls need successes and episodes of two tasks or more")
    random = np.random.Generator(np.random.PCG64([seed, 17]))
    chosen = random.permutation(won)[:controls]

    def clips() -> Iterator[tuple[str, Clip]]:
        for episode in range(len(store)):
            yield f"{episode}:", of_episode(store, episode, frames, cameras)
        for episode in chosen:
            genuine = of_episode(store, int(episode), frames, cameras)
            stranger = int(random.choice(won[tasks[won] != tasks[episode]]))
            other = of_episode(store, stranger, frames, cameras)
            for name in CONTROLS:
                yield f"{episode}:{name}", make(name, genuine, other, random)

    judged = []
    for name, estimate in each(estimator, clips()):
        episode, control = name.split(":")
        number = int(episode)
        judged.append(Judged(number, str(tasks[number]), bool(outcomes[number]), control, estimate))
        progress()
    judged.sort(key=lambda j: (j.control, j.episode))
    return Examination(estimator.source, judged, getattr(estimator, "threshold", None))


def count(store: Episodes, controls: int) -> int:
    """Clips that `examine` judges."""
    return len(store) + len(CONTROLS) * min(controls, sum(bool(store.success(i)) for i in range(len(store))))
