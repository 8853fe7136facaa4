"""Chunks that no policy proposed: drawn around the candidates, or improved step by step.

All of them are executable, and the critic is asked about them as they will be executed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vgps_models.selection.settings import Selection
from vgps_models.spaces import GRIPPER, ActionSpec, Array, Normaliser

POPULATION, ELITES = 32, 8  # of the cross-entropy method
PROBE = 0.02  # [normalised units] of the central differences

Generator = np.random.Generator
Objective = Callable[[Array], Array]  # executable chunks (N, H, 7) -> (N,), higher is better


def expand(candidates: Array, count: int, spec: ActionSpec, random: Generator) -> Array:
    """`count` chunks from a diagonal Gaussian fitted to the candidates (RoboMonkey, 2506.17811). (count, H, 7).

    Translation and rotation are drawn; the gripper follows the majority at every step.
    """
    centre, spread = candidates.mean(axis=0), candidates.std(axis=0)
    drawn = centre + spread * random.standard_normal((count, *centre.shape))
    drawn[..., GRIPPER] = centre[..., GRIPPER]
    return spec.clip(drawn)


def refine(
    selection: Selection,
    chunk: Array,
    score: Callable[[Array], tuple[Array, Array]],
    spec: ActionSpec,
    normaliser: Normaliser,
    random: Generator,
) -> Array:
    """A chunk near `chunk` (H, 7) of which mean - penalty * std is higher, or `chunk` itself.

    Searched within `trust_region` around every number, in normalised units; the gripper stays.
    """

    def objective(chunks: Array) -> Array:
        mean, std = score(chunks)
        return mean - selection.penalty * std

    start = normaliser.normalise(chunk)
    radius = np.full(start.shape, selection.trust_region)
    radius[..., GRIPPER] = 0.0

    def executable(offset: Array) -> Array:
        made = spec.clip(normaliser.denormalise(start + offset))
        made[..., GRIPPER] = chunk[..., GRIPPER]
        return made

    def value(offset: Array) -> Array:
        return objective(executable(offset))

    improve = {"cem": partial(_cem, random=random), "gradient": _ascend}[selection.refine]
    made = executable(improve(value, radius, selection.refine_steps))
    before, after = objective(np.stack([chunk, made]))
    return made if after > before else chunk


def _cem(value: Objective, radius: Array, steps: int, random: Generator) -> Array:
    """Cross-entropy method: a Gaussian drawn towards its best samples. Offset (H, 7) within the radius."""
    centre, spread = np.zeros_like(radius), radius / 2
    for _ in range(steps):
        drawn = centre + spread * random.standard_normal((POPULATION, *radius.shape))
        drawn = np.clip(drawn, -radius, radius)
        best = drawn[np.argsort(-value(drawn), kind="stable")[:ELITES]]
        centre, spread = best.mean(axis=0), best.std(axis=0)
    return centre


def _ascend(value: Objective, radius: Array, steps: int) -> Array:
    """Steepest ascent, each step scaled so that all of them together can just reach the radius. Offset (H, 7).

    The gradient is taken by central differences: all of them are one more batch of chunks to score, so any
    critic will do that can score.
    """
    offset, free = np.zeros_like(radius), np.flatnonzero(radius)
    probes = np.zeros((len(free), radius.size))
    probes[np.arange(len(free)), free] = PROBE
    probes = probes.reshape(-1, *radius.shape)
    for _ in range(steps):
        up, down = np.split(value(offset + np.concatenate([probes, -probes])), 2)
        gradient = np.zeros(radius.size)
        gradient[free] = (up - down) / (2 * PROBE)
        steepest = np.abs(gradient).max()
        if steepest == 0.0:
            break
        offset = np.clip(offset + radius / steps * (gradient / steepest).reshape(radius.shape), -radius, radius)
    return offset
