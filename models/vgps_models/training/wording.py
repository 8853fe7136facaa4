"""Instructions as training hears them: every time in other words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vgps_models.perception.language import Language
from vgps_models.perception.phrases import same_meaning


class Wording:
    """Draws sentences that mean the same as the recorded ones."""

    def __init__(self, instructions: Sequence[str], language: Language) -> None:
        """instructions: the recorded sentences, which rows name by their index."""
        groups = [same_meaning(sentence) for sentence in instructions]
        row = {s: i for i, s in enumerate(dict.fromkeys(s for group in groups for s in group))}
        self.table = torch.from_numpy(language.table(row))
        # Two groups are equal or have nothing in common, so each one's rows follow one another.
        self._first = np.array([row[group[0]] for group in groups])
        self._count = np.array([len(group) for group in groups])

    def draw(self, instruction: np.ndarray, random: np.random.Generator) -> Tensor:
        """Embeddings of one sentence for each of the instructions (B,). Shape (B, 384)."""
        return self.table[self._first[instruction] + random.integers(self._count[instruction])]
