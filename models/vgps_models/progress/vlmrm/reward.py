"""The reward of VLM-RM (2310.12921): how near an image is to a goal told in words, along what matters."""

from __future__ import annotations

import numpy as np

from vgps_models.errors import DataError
from vgps_models.progress.estimate import Floats

APART = 1e-6  # a goal and a baseline nearer to each other than this say the same


def reward(images: Floats, goal: Floats, baseline: Floats, alpha: float) -> Floats:
    """r = 1 - |P (x - g)|^2 / 2 with P = alpha * (projection on the line through b and g) + (1 - alpha) * identity.

    images: unit embeddings x, (..., D). goal g, baseline b: unit embeddings of sentences, (D,).
    alpha: 0 is the plain cosine of x and g; at 1 only the place along the line from b to g counts.

    Returns (...), in [-1, 1]: 1 at the goal and cos(b, g) at the baseline, whatever alpha is. Raises ValueError for
    an alpha outside [0, 1], DataError for embeddings that are no unit vectors of one space, and for a baseline that
    says what the goal says, unless alpha is 0.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is {alpha}; expected 0 (plain cosine) to 1 (only along the line to the goal)")
    x, g, b = (np.asarray(v, np.float64) for v in (images, goal, baseline))
    if g.ndim != 1 or b.shape != g.shape or x.shape[-1:] != g.shape:
        raise DataError(f"embeddings of shapes {x.shape}, {g.shape} and {b.shape} are not of one space")
    for name, v in (("an image", x), ("the goal", g), ("the baseline", b)):
        if not np.allclose(np.linalg.norm(v, axis=-1), 1.0, atol=1e-3):
            raise DataError(f"the embedding of {name} is no unit vector; normalise embeddings first")
    line, away = g - b, x - g
    length = float(np.linalg.norm(line))
    if alpha and length < APART:
        raise DataError("baseline and goal have the same embedding; tell one in other words, or set alpha to 0")
    along = (away @ line)[..., None] * line / max(length, APART) ** 2
    return 1.0 - np.square(alpha * along + (1.0 - alpha) * away).sum(-1) / 2


def rewards(images: Floats, goals: Floats, baselines: Floats, alpha: float) -> Floats:
    """`reward` of every look at every moment by every goal and baseline.

    images (L, T, D), goals (G, D), baselines (B, D) -> (L * G * B, T).
    """
    made = [reward(images, g, b, alpha) for g in goals for b in baselines]
    return np.concatenate(made)
