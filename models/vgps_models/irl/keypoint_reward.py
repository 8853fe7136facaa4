"""A reward that reads points in space: g of AIRL over the geometry of a hand and what it is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from vgps_models.errors import DataError
from vgps_models.files import write_whole
from vgps_models.irl.airl import AIRL, AIRLConfig
from vgps_models.irl.tracks import Track
from vgps_models.spaces import Array
from vgps_models.training.provenance import command, git_revision

FORMAT = "vgps-reward-1"
LEAST = 0.05  # smallest deviation by which a number of a geometry is divided


@dataclass(frozen=True, eq=False)
class Scale:
    """Makes geometries (..., D) of the demonstrations have mean 0 and deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> Scale:
        every = np.concatenate([track.geometry for track in tracks])
        return cls(every.mean(0), every.std(0) + LEAST)

    def __call__(self, geometry: Array) -> Array:
        return (geometry - self.mean) / self.deviation


class KeypointReward:
    """task: what it is about. names: the landmarks that it must be told, in their order.

    span: reward where demonstrations usually begin and where they end.
    """

    def __init__(
        self, task: str, names: tuple[str, ...], scale: Scale, model: AIRL, span: tuple[float, float] = (-1.0, 0.0)
    ) -> None:
        self.task, self.names, self.scale, self.model, self.span = task, names, scale, model, span

    @classmethod
    def learned(cls, demonstrations: Sequence[Track], scale: Scale, model: AIRL) -> KeypointReward:
        """With the span of these demonstrations."""
        first = demonstrations[0]
        made = cls(first.task, first.names, scale, model)
        ends = np.array([made.of(track)[[0, -1]] for track in demonstrations])
        made.span = (float(np.median(ends[:, 0])), float(np.median(ends[:, 1])))
        return made

    def within(self, track: Track) -> Array:
        """Reward of every moment (T,) in [-1, 0]: -1 as where demonstrations begin, or worse, 0 as where they end."""
        begin, end = self.span
        if not end > begin:
            raise DataError(
                f"the reward of {self.task} is not higher where demonstrations end; learn it with more of them"
            )
        return np.clip((self.of(track) - end) / (end - begin), -1.0, 0.0)

    def save(self, path: Path, told: Mapping[str, Any]) -> None:
        """Weights as safetensors, and beside them a card of what is `told` of how they came about."""
        tensors = {name: t.detach().contiguous() for name, t in self.model.state_dict().items()}
        tensors |= {"mean": torch.from_numpy(self.scale.mean), "deviation": torch.from_numpy(self.scale.deviation)}
        weights = save_tensors(tensors)
        card = {
            "format": FORMAT, "task": self.task, "names": list(self.names), "airl": asdict(self.model.config),
            "span": list(self.span),
            "weights_sha256": hashlib.sha256(weights).hexdigest(), "command": command(), "git": git_revision(), **told,
        }  # fmt: skip
        write_whole(path.with_suffix(".safetensors"), weights)
        write_whole(path.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> KeypointReward:
        """Raises DataError when the file is missing, damaged or of another kind."""
        path = path.with_suffix(".safetensors")
        try:
            card, weights = json.loads(path.with_suffix(".json").read_text()), path.read_bytes()
            if card.get("format") != FORMAT or hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
                raise DataError(f"{path} is no reward of this version, or its card is another's")
            tensors = load_tensors(weights)
            scale = Scale(tensors.pop("mean").numpy(), tensors.pop("deviation").numpy())
            config = AIRLConfig(**{**card["airl"], "widths": tuple(card["airl"]["widths"])})
            model = AIRL(len(scale.mean), config)
            model.load_state_dict(tensors)
            begin, end = map(float, card["span"])
            task, names = str(card["task"]), tuple(map(str, card["names"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise DataError(
                f"{path} cannot be read as a reward ({error}); learn it with `vgps reward learn`"
            ) from error
        return cls(task, names, scale, model, (begin, end))

    @torch.no_grad()
    def of(self, track: Track) -> Array:
        """Reward of every moment (T,)."""
        if track.names != self.names:
            raise DataError(f"this reward reads {', '.join(self.names)}; the track has {', '.join(track.names)}")
        return self.model.reward(torch.from_numpy(self.scale(track.geometry)).float()).double().numpy()

    def score(self, track: Track, horizon: int = 100) -> float:
        """Mean reward over `horizon` moments of an episode that stays where it ends."""
        return float(stretched(self.of(track), horizon).mean())


def stretched(rows: Array, horizon: int) -> Array:
    """The first `horizon` of rows (T, ...), the last of them repeated as often as is needed."""
    return rows[np.minimum(np.arange(horizon), len(rows) - 1)]
