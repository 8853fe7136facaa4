"""What every learned reward over points in space has in common, however it was learned: scores, span and files."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.files import not_the_file, write_whole, wrong_weights
from vgps_models.irl.tracks import Track, geometry, geometry_names, of_hand
from vgps_models.spaces import Array
from vgps_models.training.provenance import command, git_revision

FORMAT = "vgps-reward-1"
FIRST_KIND = "airl"  # of files from when there was no other
LEARN = "learn it with `vgps reward learn`"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError)  # what damage causes
READS = ("all", "things")
LEAST = 0.05  # smallest deviation by which a number of a geometry is divided

R = TypeVar("R", bound="LearnedReward")
Span = tuple[float, float]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Scale:
    """What is read of geometries (..., D): C numbers, of mean 0 and deviation 1 over the demonstrations.

    columns (C,): which of the D they are.
    """

    mean: Array
    deviation: Array
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, tracks: Sequence[Track], reads: str = "all") -> Scale:
        """reads: `all`, or what lies how to each other of the `things` alone, so that no hand matters."""
        if reads not in READS:
            raise UnknownNameError("kind of reading", reads, READS)
        named = geometry_names(tracks[0].names)
        columns = np.array([i for i, name in enumerate(named) if reads == "all" or not of_hand(name)])
        every = np.concatenate([track.geometry for track in tracks])[:, columns]
        return cls(every.mean(0), every.std(0) + LEAST, columns)

    def __call__(self, geometry: Array) -> Array:
        return (geometry[..., self.columns] - self.mean) / self.deviation


class LearnedReward(ABC):
    """task: what it is about. names: the landmarks that it must be told, in their order.

    span: reward where demonstrations usually begin and where they end.
    """

    kind: ClassVar[str]  # how it was learned; the card of its file says so

    def __init__(self, task: str, names: tuple[str, ...], scale: Scale, span: Span = (-1.0, 0.0)) -> None:
        self.task, self.names, self.scale, self.span = task, names, scale, span

    @abstractmethod
    def values(self, geometry: Array) -> Array:
        """Reward (T,) of scaled geometries (T, D)."""

    @abstractmethod
    def kept(self) -> tuple[Arrays, dict[str, Any]]:
        """What it is made of: arrays, and settings that fit into the card."""

    @classmethod
    @abstractmethod
    def restored(
        cls: type[R], task: str, names: tuple[str, ...], scale: Scale, span: Span, arrays: Arrays,
        settings: Mapping[str, Any],
    ) -> R:  # fmt: skip
        """Of what was `kept`."""

    def spanned(self: R, demonstrations: Sequence[Track]) -> R:
        """With the span of these demonstrations."""
        ends = np.array([self.of(track)[[0, -1]] for track in demonstrations])
        self.span = (float(np.median(ends[:, 0])), float(np.median(ends[:, 1])))
        return self

    def of(self, track: Track) -> Array:
        """Reward of every moment (T,)."""
        if track.names != self.names:
            raise DataError(f"this reward reads {', '.join(self.names)}; the track has {', '.join(track.names)}")
        return self.values(self.scale(track.geometry))

    def within(self, track: Track) -> Array:
        """Reward of every moment (T,) in [-1, 0]: -1 as where demonstrations begin, or worse, 0 as where they end."""
        return self._in_span(self.of(track))

    def now(self, hand: Array, gap: float, points: Array) -> float:
        """The same of one moment: hand (3,), gap, and the landmarks (N, 3) [m]."""
        moment = geometry(hand[None], np.array([gap]), points[None])
        return float(self._in_span(self.values(self.scale(moment)))[0])

    def _in_span(self, values: Array) -> Array:
        begin, end = self.span
        if not end > begin:
            raise DataError(
                f"the reward of {self.task} is not higher where demonstrations end; learn it with more of them"
            )
        return np.clip((values - end) / (end - begin), -1.0, 0.0)

    def score(self, track: Track, horizon: int = 100) -> float:
        """Mean reward over `horizon` moments of an episode that stays where it ends."""
        return float(stretched(self.of(track), horizon).mean())

    def save(self, path: Path, told: Mapping[str, Any]) -> None:
        """Arrays as safetensors, and beside them a card of what is `told` of how they came about."""
        arrays, settings = self.kept()
        scale = {f.name: getattr(self.scale, f.name) for f in fields(self.scale)}
        weights = save_arrays({**arrays, **scale})
        card = {
            "format": FORMAT, "kind": self.kind, "task": self.task, "names": list(self.names), self.kind: settings,
            "span": list(self.span),
            "weights_sha256": hashlib.sha256(weights).hexdigest(), "command": command(), "git": git_revision(), **told,
        }  # fmt: skip
        write_whole(path.with_suffix(".safetensors"), weights)
        write_whole(path.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())

    @classmethod
    def load(cls: type[R], path: Path) -> R:
        """Raises DataError when the file is missing, damaged or of another kind."""
        path = path.with_suffix(".safetensors")
        card = read_card(path)
        try:
            if (wrong := wrong_weights(path)) is not None:
                raise DataError(f"{path} {wrong}")
            weights = path.read_bytes()
            if card["kind"] != cls.kind or hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
                raise DataError(f"{path} is no reward of the kind {cls.kind}, or its card is another's")
            arrays = load_arrays(weights)
            every = np.arange(len(arrays["mean"]))  # of files from when all was read
            scale = Scale(arrays.pop("mean"), arrays.pop("deviation"), arrays.pop("columns", every))
            begin, end = map(float, card["span"])
            task, names = str(card["task"]), tuple(map(str, card["names"]))
            return cls.restored(task, names, scale, (begin, end), arrays, card[cls.kind])
        except UNREADABLE as error:
            raise DataError(f"{path} cannot be read as a reward ({error}); {LEARN}") from error


def read_card(path: Path) -> dict[str, Any]:
    """The card of a reward's file, `kind` among what it says. DataError when there is none of this version."""
    beside = path.with_suffix(".json")
    if path.suffix not in ("", ".safetensors") or not beside.is_file():
        raise DataError(f"{path} is no reward: a .safetensors file with its card {beside.name} beside it; {LEARN}")
    try:
        if (other := not_the_file(beside)) is not None:
            raise DataError(f"{beside} {other}")
        card = json.loads(beside.read_text(encoding="utf-8"))
        if card.get("format") != FORMAT:
            raise DataError(f"{path} is no reward of this version; {LEARN}")
        return {**card, "kind": str(card.get("kind", FIRST_KIND))}
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as a reward ({error}); {LEARN}") from error


def stretched(rows: Array, horizon: int) -> Array:
    """The first `horizon` of rows (T, ...), the last of them repeated as often as is needed."""
    return rows[np.minimum(np.arange(horizon), len(rows) - 1)]
