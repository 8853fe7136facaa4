"""Best-of-K distillation: what a policy would do if the critic chose, as chunks to train on.

Offline policy extraction of Digi-Q (Bai et al. 2502.15760), without its advantage threshold: at
every state of a data set the frozen policy draws K chunks, the critic scores them, and the best
one is what the new policy imitates. Nothing is played. So guidance moves from run time into the
weights: one sample of the new policy costs what one sample of the old one did.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vgps_models import checkpoint
from vgps_models.critics.network import Critic
from vgps_models.errors import SpecError
from vgps_models.perception.runtime import Perception
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.policies.network import ChunkNet
from vgps_models.training.cache import save, sole
from vgps_models.training.frames import Frames, load_frames
from vgps_models.training.sample_cache import policy_samples

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Distillation:
    """Where best-of-K chunks come from."""

    policy: str = ""  # checkpoint of the policy to improve; encoder, architecture and normaliser are its own
    critic: str = ""  # checkpoint that chooses; it may carry another encoder
    k: int = 10  # chunks to choose from at every frame

    def __bool__(self) -> bool:
        return bool(self.policy or self.critic)


@dataclass(frozen=True, eq=False)
class Guided:
    """A policy's chunks at all N frames of a data set, and what a critic says of them. D = H * 7.

    frames: as the policy's encoder sees them. seen: as the critic's does.
    samples: (N, K, D), executable and normalised. scores: (N, K), means over the critic's heads.
    """

    policy: ChunkPolicy
    critic: Critic
    frames: Frames
    seen: Frames
    samples: Floats
    scores: Floats
    policy_sha256: str
    critic_sha256: str

    @property
    def best(self) -> Floats:
        """The chunk that the critic would have chosen at every frame. Shape (N, D)."""
        return self.samples[np.arange(len(self.samples)), self.scores.argmax(1)]

    @torch.inference_mode()
    def measure(self, net: ChunkNet, rows: NDArray[np.int64]) -> dict[str, float]:
        """Mean score at `rows` of the policy's samples, of the best of K, and of samples of the distilled `net`."""
        if len(rows) == 0:
            return {}
        width, k = self.policy.net.noise_width, self.samples.shape[1]
        noise = torch.randn(len(rows), k, width, generator=torch.Generator().manual_seed(0))
        words = torch.from_numpy(self.frames.sentences[self.frames.columns.instruction[rows]])
        drawn = net.eval().draw(noise, torch.from_numpy(self.frames.features[rows]), words)[0].numpy()
        made = self.policy.normaliser.normalise(self.policy.metric(drawn)).reshape(drawn.shape)
        after = score(self.critic, self.seen, rows, made.astype(np.float32))
        return {
            "held_out_score_before": float(self.scores[rows].mean()),
            "held_out_score_best": float(self.scores[rows].max(1).mean()),
            "held_out_score_distilled": float(after.mean()),
        }


def guided(settings: Distillation, data: Path, cache: Path, *, threads: int = 1, batch: int = 1024) -> Guided:
    """Draw and score at every frame; samples and scores are cached by the hashes of all they depend on."""
    if not (settings.policy and settings.critic):
        raise SpecError("distillation needs both: --distil.policy, and --distil.critic that chooses among its samples")
    if settings.k < 2:
        raise SpecError(f"the best of {settings.k} is no choice; --distil.k must be at least 2")
    mine, theirs = checkpoint.read_card(settings.policy), checkpoint.read_card(settings.critic)
    policy = checkpoint.load_policy(settings.policy, threads=threads)
    critic = checkpoint.load_critic(settings.critic, threads=threads)
    names = {"mine": f"policy {settings.policy}", "theirs": f"critic {settings.critic}"}
    policy.spec.require_equal(critic.spec, **names)
    policy.normaliser.require_equal(critic.normaliser, **names)
    frames = load_frames(data, policy.perception, cache)
    frames.spec.require_equal(policy.spec, mine=f"data {data}", theirs=names["mine"])
    if not isinstance(critic.perception, Perception):
        raise SpecError(f"{names['theirs']} has no encoder that frames are kept of; take one that `vgps train` made")
    same = critic.perception.sha256 == policy.perception.sha256
    seen = frames if same else load_frames(data, critic.perception, cache)
    samples = policy_samples(policy, mine.weights_sha256, frames, settings.k, cache)
    hashes = (frames.data_sha256, mine.weights_sha256, theirs.weights_sha256)
    path = cache / f"scores-{'-'.join(h[:16] for h in hashes)}-{settings.k}.npy"
    with sole(path):
        if not path.exists():
            save(path, _scores(critic, seen, samples, batch))
        scores = np.load(path, allow_pickle=False)
    return Guided(policy, critic, frames, seen, samples, scores, mine.weights_sha256, theirs.weights_sha256)


def _scores(critic: Critic, seen: Frames, samples: Floats, batch: int) -> Floats:
    out = np.empty(samples.shape[:2], np.float32)
    for at in track(range(0, len(out), batch), "critic's scores", console=Console(emoji=False, stderr=True)):
        rows = np.arange(at, min(at + batch, len(out)))
        out[rows] = score(critic, seen, rows, samples[rows])
    return out


@torch.inference_mode()
def score(critic: Critic, seen: Frames, rows: NDArray[np.int64], chunks: Floats) -> Floats:
    """Mean over heads for normalised chunks (B, K, D) at frames `rows` (B,). Shape (B, K)."""
    words = torch.from_numpy(seen.sentences[seen.columns.instruction[rows]])
    encoded = critic.net.encode(torch.from_numpy(seen.features[rows]), words)
    read = torch.from_numpy(chunks[..., : critic.net.config.chunk])  # a critic may read the first actions alone
    return critic.net.score(encoded, read).mean(0).numpy()
