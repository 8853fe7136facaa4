"""What an evaluation is made of: conditions, episodes, and the numbers drawn from them.

No simulator is imported here, so the same types serve an evaluation in one
process and one over ROS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vgps_models.errors import UsageError, VgpsError
from vgps_models.spaces import Array, Controller, Decision
from vgps_sim.requirements import Verdict
from vgps_sim.statistics import Pair, compare, percentile, wilson

REPORT_SEED = 1_000_000  # seeds below are for tuning, from here on for reports
LATENCY_PARTS = ("policy", "value", "loop")

ControllerFactory = Callable[[], Controller]


class EvaluationError(VgpsError):
    """An evaluation that cannot start or be read; the message says what to change."""


class EvaluationSettingsError(EvaluationError, UsageError):
    """Settings with which nothing can be evaluated; nothing was played."""


@dataclass(frozen=True)
class Condition:
    """One side of a comparison.

    name: short and unique, a word ("bare", "guided", "random").
    factory: makes the controller; picklable, because it is called once in every worker process.
        None where something else owns the controller, as the nodes of the ROS graph do.
    settings: everything that decides what the controller does (policy, critic, k, rule, beta, hashes
        of checkpoints): shown in the report, and results of other settings are never mixed in.
    recorded: why it cannot be played here, so that its results must be in the folder; empty where it can.
    """

    name: str
    factory: ControllerFactory | None = field(default=None, compare=False)
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    recorded: str = field(default="", compare=False)

    @property
    def identity(self) -> tuple[str, dict[str, Any]]:
        """What decides the outcomes; sides of equal identity share their results.

        A side whose policy is in its settings by the hash of its weights (`policy_sha256`), or by a version
        (`policy_version`), is known by its settings alone, whatever it is called and wherever its files lie: the
        candidate of one evaluation is the baseline of the next. Any other side is also known by its name.
        """
        known = "policy_sha256" in self.settings or "policy_version" in self.settings
        paths = {name for name in self.settings if f"{name}_sha256" in self.settings}
        return "" if known else self.name, {k: v for k, v in self.settings.items() if k not in paths}


@dataclass(frozen=True)
class Job:
    """One episode to play: `task` from `seed` under `condition`."""

    condition: Condition
    task: str
    seed: int
    execute: int = 2  # control steps of a chunk that are executed before the next decision
    max_steps: int = 60  # control steps after which an episode has failed

    @property
    def key(self) -> str:
        """Names this episode and every setting it depends on."""
        text = json.dumps(
            [*self.condition.identity, self.task, self.seed, self.execute, self.max_steps],
            sort_keys=True,
            default=str,
        )
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class StepRecord:
    """One decision.

    step: control step at which it was taken.
    ms: wall-clock milliseconds by part: what the controller reports ("policy", "encode", "value") and
        "loop", from the observation in hand to the joint command.
    chosen: index of the chunk among the candidates; -1 when it is none of them.
    mean, std: the critic's scores; empty when nothing was scored. Length K.
    reach: tool displacement each candidate asks for over its whole chunk, base frame [m]. K x 3.
    doubt: how far the critic's heads disagree about what was chosen [score]; 0 when nothing was scored.
    abstained: the doubt was too large, so the policy's first sample was executed.
    dropped: candidates that held NaN or infinity; they are not among the K.
    """

    step: int
    ms: Mapping[str, float]
    chosen: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reach: tuple[tuple[float, float, float], ...] = ()
    doubt: float = 0.0
    abstained: bool = False
    dropped: int = 0

    @classmethod
    def of(cls, decision: Decision, *, step: int) -> StepRecord:
        """What is kept of a decision. All numbers are finite: candidates without a score are left out."""
        kept = np.flatnonzero(np.isfinite(decision.mean))
        number = {int(old): new for new, old in enumerate(kept)}
        reach = np.asarray(decision.candidates)[kept, :, :3].sum(axis=1)
        return cls(
            step=step,
            ms={part: round(float(ms), 3) for part, ms in decision.ms.items()},
            chosen=number.get(decision.chosen, -1) if len(decision.mean) else int(decision.chosen),
            mean=tuple(np.round(decision.mean[kept], 5).tolist()),
            std=tuple(np.round(decision.std[kept], 5).tolist()),
            reach=tuple((x, y, z) for x, y, z in np.round(reach, 4).tolist()),
            doubt=round(float(decision.doubt), 5),
            abstained=bool(decision.abstained),
            dropped=int(decision.dropped),
        )


@dataclass(frozen=True, eq=False)
class EpisodeResult:
    """What happened in one episode.

    events: subgoals reached, in order (grasped, lifted, placed).
    actions: as asked of the arm, one a control step; replaying them from the seed gives the same
        states. Shape (T, 7).
    error: why the episode could not be played to its end; such an episode is no outcome and counts nowhere.
    progress: how far along the last images look to an estimator, 0 to 1, and called: whether it calls that a success.
        None where nobody judged.
    """

    task: str
    seed: int
    condition: str
    success: bool
    steps: int
    events: tuple[str, ...] = ()
    actions: Array = field(default_factory=lambda: np.zeros((0, 7)))
    records: tuple[StepRecord, ...] = ()
    error: str | None = None
    progress: float | None = None
    called: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"actions": self.actions.tolist(), "records": [vars(r) for r in self.records]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpisodeResult:
        records = tuple(
            StepRecord(
                step=r["step"],
                ms=r["ms"],
                chosen=r["chosen"],
                mean=tuple(r["mean"]),
                std=tuple(r["std"]),
                reach=tuple((x, y, z) for x, y, z in r["reach"]),
                doubt=r.get("doubt", 0.0),
                abstained=r.get("abstained", False),
                dropped=r.get("dropped", 0),
            )
            for r in data["records"]
        )
        actions = np.asarray(data["actions"], dtype=np.float64).reshape(-1, 7)
        return cls(**{**data, "events": tuple(data["events"]), "actions": actions, "records": records})


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Conditions compared on the same seeds. The first condition is the baseline, the second the one of interest.

    pairs: (task, seed) of every episode that each condition plays; of a sequential evaluation, up to the decision.
    stopped: why it ended before it was done; None when every episode was played, or all was decided.
    verdicts: what became of the requirements, in their order.
    error_rate: of each verdict, when the evaluation was to end as soon as these were decided; None when it was not.
    planned: pairs that would have been played without a decision.
    seconds: wall-clock time of this run spent on the episodes of each task; all together `wall_seconds`.
    notes: what a reader must know (skipped lines, mixed revisions).
    """

    conditions: tuple[Condition, ...]
    pairs: tuple[tuple[str, int], ...]
    results: tuple[EpisodeResult, ...]
    execute: int = 2
    max_steps: int = 60
    source: str = "in-process"  # where the episodes were played
    command: str = ""
    git: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    wall_seconds: float = 0.0
    stopped: str | None = None
    notes: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    error_rate: float | None = None
    planned: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def outcomes(self) -> dict[str, dict[tuple[str, int], EpisodeResult]]:
        """Episodes that ended in success or failure: condition -> (task, seed) -> result."""
        table: dict[str, dict[tuple[str, int], EpisodeResult]] = {c.name: {} for c in self.conditions}
        for result in self.results:
            if result.error is None:
                table[result.condition][result.task, result.seed] = result
        return table

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(task for task, _ in self.pairs))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(seed for _, seed in self.pairs)

    def of(self, condition: str, task: str | None = None) -> list[EpisodeResult]:
        """Outcomes of a condition, of all tasks or one, in the order of the pairs."""
        table = self.outcomes[condition]
        return [table[pair] for pair in self.pairs if pair in table and task in (None, pair[0])]

    def counts(self, condition: str, task: str | None = None) -> tuple[int, int]:
        """Successes and episodes."""
        episodes = self.of(condition, task)
        return sum(e.success for e in episodes), len(episodes)

    def latency(self, condition: str, part: str) -> tuple[float, float] | None:
        """p50 and p99 of one part of a decision [ms]; None when that part never ran."""
        times = [r.ms[part] for e in self.of(condition) for r in e.records if part in r.ms]
        return (percentile(times, 50), percentile(times, 99)) if times else None

    def abstentions(self, condition: str) -> tuple[int, int, int]:
        """Decisions in which guidance let go, episodes with one of them, and candidates dropped as broken."""
        episodes = self.of(condition)
        let_go = [sum(r.abstained for r in e.records) for e in episodes]
        return sum(let_go), sum(n > 0 for n in let_go), sum(r.dropped for e in episodes for r in e.records)

    def judged(self, condition: str) -> dict[str, int] | None:
        """How the success that images show agrees with the true one; None where nobody judged."""
        episodes = [e for e in self.of(condition) if e.called is not None]
        if not episodes:
            return None
        return {
            "episodes": len(episodes),
            "called": sum(bool(e.called) for e in episodes),
            "agree": sum(e.called == e.success for e in episodes),
            "false_success": sum(bool(e.called) and not e.success for e in episodes),
            "missed": sum(e.success and not e.called for e in episodes),
        }

    def pair(self, treatment: str, baseline: str) -> Pair:
        """Compare two conditions on the seeds that both have played."""
        a, b = self.outcomes[treatment], self.outcomes[baseline]
        both = [pair for pair in self.pairs if pair in a and pair in b]
        return compare(
            [a[p].success for p in both], [b[p].success for p in both], strata=[task for task, _ in both], labels=both
        )

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """(treatment, baseline): each condition against the first, and the second against each other one."""
        names = [c.name for c in self.conditions]
        return [(n, names[0]) for n in names[1:]] + [(names[1], n) for n in names[2:]]

    def to_json(self) -> dict[str, Any]:
        """The shape that `vgps eval --json` writes. What no episode says anything about is null."""
        return {
            "conditions": {condition.name: self._condition_json(condition) for condition in self.conditions},
            "pairs": {f"{a}-{b}": _pair_json(self.pair(a, b)) for a, b in self.comparisons},
            "requirements": [verdict.to_json() for verdict in self.verdicts],
            "until_decided": self.error_rate and {"error_rate": self.error_rate, "most_pairs": self.planned},
            "seeds": [min(self.seeds), max(self.seeds)],
            "command": self.command,
            "git": self.git,
            "execute": self.execute,
            "max_steps": self.max_steps,
            "source": self.source,
            "versions": dict(self.versions),
            "stopped": self.stopped,
            "notes": list(self.notes),
        }

    def _condition_json(self, condition: Condition) -> dict[str, Any]:
        name = condition.name
        latency = {part: self.latency(name, part) or (None, None) for part in LATENCY_PARTS}
        let_go, let_go_episodes, dropped = self.abstentions(name)
        return {
            **_rate_json(*self.counts(name)),
            "tasks": {task: _rate_json(*self.counts(name, task)) for task in self.tasks},
            "latency_ms": {part: {"p50": p50, "p99": p99} for part, (p50, p99) in latency.items()},
            "abstained": {"decisions": let_go, "episodes": let_go_episodes},
            "dropped": dropped,
            "judged": self.judged(name),
            "settings": dict(condition.settings),
        }


def _rate_json(successes: int, n: int) -> dict[str, Any]:
    return {
        "successes": successes,
        "episodes": n,
        "rate": successes / n if n else None,
        "ci95": list(wilson(successes, n)) if n else None,
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "difference": pair.difference if pair.n else None,
        "ci95": list(pair.ci95) if pair.n else None,
        "ci95_method": pair.method if pair.n else None,
        "mcnemar_p": pair.mcnemar_p if pair.n else None,
        "pairs": pair.n,
        "won": len(pair.won),
        "lost": len(pair.lost),
    }


def paired_seeds(tasks: Sequence[str], seeds: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Deal the seeds out over the tasks in turn, so that every prefix is balanced."""
    if not tasks or not seeds:
        raise EvaluationSettingsError(
            f"nothing to evaluate: {len(tasks)} tasks and {len(seeds)} seeds; give at least one each"
        )
    if len(set(seeds)) != len(seeds) or len(set(tasks)) != len(tasks):
        raise EvaluationSettingsError("a task or a seed is given twice; every paired seed must be its own")
    return tuple((tasks[i % len(tasks)], int(seed)) for i, seed in enumerate(seeds))
