"""What the frozen policy would do at every frame of a data set, computed once for the critic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models.interrupts import saying
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.training.cache import Rows, sole
from vgps_models.training.frames import Frames


def policy_samples(
    policy: ChunkPolicy, policy_sha256: str, frames: Frames, count: int, cache: Path, *, batch: int = 256, seed: int = 0
) -> NDArray[np.float32]:
    """`count` chunks for every frame: executable ones, normalised again. Shape (N, count, H * 7).

    Clipped and with the gripper open or closed, as the critic will be asked at
    run time. cache: folder; the entry is named after data, policy, count and seed.
    """
    path = cache / f"samples-{frames.data_sha256[:16]}-{policy_sha256[:16]}-{count}-{seed}.npy"
    with sole(path):
        if not path.exists():
            _draw(policy, frames, Rows(path, (len(frames.features), count, policy.net.config.chunk)), batch, seed)
        return np.load(path, allow_pickle=False)


def _draw(policy: ChunkPolicy, frames: Frames, samples: Rows, batch: int, seed: int) -> None:
    width, out = policy.net.noise_width, samples.array
    count = out.shape[1]
    random = np.random.Generator(np.random.PCG64([seed, 11]))
    features, sentences = torch.from_numpy(frames.features), torch.from_numpy(frames.sentences)
    with saying("interrupted while the policy's samples were drawn; those that are done are kept"):
        for at in track(range(0, len(out), batch), "policy samples", console=Console(emoji=False, stderr=True)):
            rows = slice(at, min(at + batch, len(out)))
            start = torch.from_numpy(random.standard_normal((rows.stop - at, count, width), dtype=np.float32))
            if rows.stop <= samples.done:  # by an earlier run; its noise had to be drawn all the same
                continue
            words = sentences[frames.columns.instruction[rows]]
            made = policy.metric(policy.net.draw(start, features[rows], words)[0].numpy())
            out[rows] = policy.normaliser.normalise(made).reshape(rows.stop - at, count, -1)
            samples.keep(rows.stop)
        samples.finish()
