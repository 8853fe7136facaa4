"""Evaluations with outcomes of our choosing, for tests of what is computed and written from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vgps_sim.results import Condition, EpisodeResult, Evaluation, StepRecord, paired_seeds

TASKS = ("put_spoon_on_towel", "put_carrot_on_plate")


def evaluation(outcomes: Mapping[str, Sequence[int]], *, tasks: Sequence[str] = TASKS, **fields) -> Evaluation:
    """`outcomes`: condition -> success of pair i."""
    conditions = tuple(
        Condition(name, settings={"policy": "p", "k": 1 if i == 0 else 10, "rule": "argmax"})
        for i, name in enumerate(outcomes)
    )
    n = max(len(o) for o in outcomes.values())
    pairs = paired_seeds(tasks, range(1_000_000, 1_000_000 + n))
    results = [
        EpisodeResult(
            *pair,
            condition=name,
            success=bool(success),
            steps=20 if success else 60,
            events=("grasped",),
            actions=np.zeros((2, 7)),
            records=(
                StepRecord(0, {"policy": 2.0, "value": 1.0, "loop": 4.0 + i}, 0, (1.0,), (0.1,), ((0.0, 0.0, 0.1),)),
            ),
        )
        for name, successes in outcomes.items()
        for i, (pair, success) in enumerate(zip(pairs, successes, strict=False))
    ]
    return Evaluation(conditions, pairs, tuple(results), command="vgps eval", git="abc123", **fields)
