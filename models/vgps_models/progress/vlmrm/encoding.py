"""What VLM-RM needs of an image-text model, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vgps_models.progress.estimate import Floats, Images
from vgps_models.progress.vlmrm.prompts import Prompts


@dataclass(frozen=True)
class Fitted:
    """How rewards of a model, at this alpha and by its own prompts, are to be read; found on held-out episodes.

    low, high: the rewards that stand for a value of 0 and of 1. threshold: a last value at or above it is a success.
    """

    alpha: float
    low: float
    high: float
    threshold: float


class ImageText(Protocol):
    """name: of the model. prompts: what it understands best. fitted: None for a model of other people's."""

    name: str
    prompts: Prompts
    fitted: Fitted | None

    def see(self, views: Mapping[str, Images]) -> Floats:
        """Unit embeddings of T moments, by L looks: one a view, or one at all views. (L, T, D)."""
        ...

    def read(self, sentences: Sequence[str]) -> Floats:
        """Unit embeddings. (len(sentences), D)."""
        ...
