"""An experiment: one question, and the sides that answer it on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vgps_models.selection import Selection
from vgps_node.conditions import Steered

K = 10
DEFAULT = Selection()


@dataclass(frozen=True)
class Experiment:
    """sides: the first is the baseline; all play the same seeds."""

    name: str
    question: str
    sides: Mapping[str, Steered]
    execute: int = 2
    episodes: int = 200
    domain: str = "target"
    wording: Mapping[str, str] | None = None  # side -> how its task is told
    oracle: tuple[str, ...] = ()  # sides whose candidates are tried out in a copy of the world
    trust: Mapping[str, Path] | None = None  # side -> file of `vgps train trust`, above whose threshold it abstains


def bare(checkpoint: object) -> Steered:
    return Steered(str(checkpoint), None, 1, Selection("first"))


def guided(checkpoint: object, scorer: object, k: int = K, selection: Selection = DEFAULT) -> Steered:
    return Steered(str(checkpoint), str(scorer), k, selection)
