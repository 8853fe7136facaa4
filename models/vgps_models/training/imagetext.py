"""Train the small image-text model: which sentences are true of which frame.

Every sentence of a batch is compared with every frame of it (SigLIP, 2303.15343); the labels are not "the
caption of this frame" but the simulator's truth about each pair, in degrees where it is a matter of degree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.data import Columns
from vgps_models.data.sampling import split_episodes, succeeded
from vgps_models.errors import DataError
from vgps_models.perception.runtime import Perception
from vgps_models.progress.measures import auc, choose_threshold, voc
from vgps_models.progress.vlmrm.network import ImageTextConfig, ImageTextNet
from vgps_models.progress.vlmrm.own import PROMPTS
from vgps_models.progress.vlmrm.reward import rewards
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.captions import VARIETY, claims, truth
from vgps_models.training.frames import feature_scale, load_probes

GRADED = ("done", "todo")  # claims about how far along the task is
BOTH_ENDS = (0.002, 0.998)  # shares of the held-out rewards that lie below those that stand for a value of 0 and 1
SURE = 0.2  # degrees of truth below this count as false when wordings are measured, above 1 - this as true


@dataclass(frozen=True)
class ImageTextTraining:
    """`vgps train imagetext`: some two minutes on one core once the frames are encoded, which takes as long."""

    data: Path = Path("data/vlmrm")  # episode store from the simulator, with successes and failures
    encoder: str = "encoder"  # encoder checkpoint: a path or a shipped name
    out: Path = Path("runs/imagetext.safetensors")  # checkpoint to write
    cache: Path = Path("runs/cache")  # where encoded frames are kept
    steps: int = 4000  # updates
    batch: int = 256  # frames an update
    ends: int = 24  # of these, last frames of successes: few there are, and all that tells success from near success
    wordings: int = 2  # sentences of every claim an update
    variety: int = VARIETY  # sentences that a claim has in all; instructions have six times as many
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    decay: float = 1e-2  # weight decay
    noise: float = 0.3  # standard deviation of noise on the standardised looks
    graded: float = 4.0  # weight of claims about how far along the task is; of all others 1
    alpha: float = 0.25  # strength of the goal-baseline projection at which the values are fitted
    held_out: float = 0.15  # fraction of episodes kept for measuring and for fitting values and threshold
    seed: int = 0
    threads: int = 1  # torch threads
    save_every: int = 1000  # updates between resume points
    model: ImageTextConfig = field(default_factory=ImageTextConfig)


class _Trainer:
    def __init__(self, config: ImageTextTraining, perception: Perception, columns: Columns, probes: np.ndarray) -> None:
        self.config, self.columns, self.language = config, columns, perception.language
        train, self.test = split_episodes(columns, config.held_out, config.seed)
        self.train = np.flatnonzero(train)
        if config.ends > config.batch:
            raise DataError(f"{config.ends} last frames do not fit a batch of {config.batch}; lower ends")
        self.ends = np.flatnonzero(train & columns.success)
        if not len(self.ends):
            raise DataError(f"{config.data} has no success to train on; make some with `vgps collect --quality mixed`")
        self.claims = claims(config.variety)
        self.truth = torch.from_numpy(truth(columns, self.claims))
        self.looks = torch.from_numpy(probes)
        # One table of all sentences; a claim's follow one another.
        self.sentences = torch.cat([torch.from_numpy(self.language.table(c.heard)) for c in self.claims])
        self._count = np.array([len(c.heard) for c in self.claims])
        self._first = np.cumsum([0, *self._count[:-1]])
        self.weight = torch.tensor([config.graded if c.fact in GRADED else 1.0 for c in self.claims])
        torch.manual_seed(config.seed)
        self.net = ImageTextNet(config.model)
        mean, std = feature_scale(probes[self.train].reshape(-1, probes.shape[-1]))
        self.net.mean.copy_(mean)
        self.net.std.copy_(std)
        self.modules = {"net": self.net}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.decay, fused=True)

    def step(self, step: int) -> dict[str, Tensor]:
        config = self.config
        random, generator = loop.generators(config.seed, step)
        torch.manual_seed(generator.initial_seed())  # dropout and noise, so that a resumed run draws them again
        rows = self.train[random.integers(len(self.train), size=config.batch)]
        rows[: config.ends] = self.ends[random.integers(len(self.ends), size=config.ends)]
        rows = parallel.share(random.permutation(rows))
        said = self._first + random.integers(self._count, size=(config.wordings, len(self._count)))
        logits = self.net.fit(self.net.see(self.looks[rows], config.noise), self.net.read(self.sentences[said.ravel()]))
        label = self.truth[rows].repeat(1, config.wordings)
        weight = self.weight.repeat(config.wordings) * ~label.isnan()
        misfit = F.binary_cross_entropy_with_logits(logits, label.nan_to_num(), reduction="none")
        loss = (misfit * weight).sum() / weight.sum()
        rate = config.rate * loop.cosine(step, config.steps)
        loop.descend(self.optimiser, list(self.net.parameters()), loss, rate=rate, clip=10.0)
        return {"loss": loss.detach(), "scale": self.net.log_scale.detach().exp()}

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """On held-out episodes: how rewards are to be read, what they are worth, and which wordings are understood."""
        self.net.eval()
        rows = np.flatnonzero(self.test)
        seen = self.net.see(self.looks[rows])
        out = {f"{kind}_auc": self._understood(seen, rows, kind) for kind in ("heard", "unheard")}
        values, found = self._values(seen.double().numpy(), rows)
        return out | found | worth(values, self.columns, rows)

    def _values(self, seen: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Values of the rows, and the rewards that stand for 0 and 1: nearly the least and the greatest there are."""
        told, columns = columns_told(self.columns), self.columns
        made = np.empty(len(rows))
        for i in np.unique(columns.instruction[rows]):
            mine = columns.instruction[rows] == i
            goals, baselines = (
                self.net.read(torch.from_numpy(self.language.table(words))).double().numpy() for words in told[i]
            )
            made[mine] = rewards(seen[None, mine], goals, baselines, self.config.alpha).mean(0)
        low, high = (float(np.quantile(made, part)) for part in BOTH_ENDS)
        return np.clip((made - low) / max(high - low, 1e-9), 0, 1), {"low": low, "high": high}

    def _understood(self, seen: Tensor, rows: np.ndarray, kind: str) -> float:
        """Mean over claims of how well true is told from false, by one wording of each."""
        found = []
        for i, claim in enumerate(self.claims):
            degree = self.truth.numpy()[rows, i]
            sure = (degree < SURE) | (degree > 1 - SURE)
            true = degree[sure] > 0.5
            if true.any() and not true.all():
                words = getattr(claim, kind)[:1]
                text = self.net.read(torch.from_numpy(self.language.table(words)))
                found.append(auc(seen.numpy()[sure] @ text.numpy()[0], true))
        return float(np.mean(found)) if found else float("nan")


def columns_told(columns: Columns) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Goals and baselines of every instruction of a data set, in the model's own words."""
    return [PROMPTS.of(sentence) for sentence in columns.instructions]


def worth(values: np.ndarray, columns: Columns, rows: np.ndarray) -> dict[str, float]:
    """Rank correlation, success detection and its threshold, of whole episodes that make up `rows`."""
    bounds = np.flatnonzero(np.r_[True, np.diff(columns.episode[rows]) != 0, True])
    won = succeeded(columns)[columns.episode[rows[bounds[:-1]]]]
    final = values[bounds[1:] - 1]
    if won.all() or not won.any():
        raise DataError("no threshold of success can be told: the held-out episodes all end alike; collect more")
    chosen = choose_threshold(final, won)
    orders = np.array([voc(values[a:b]) for a, b in pairwise(bounds)])
    out = {
        "held_out_voc": np.median(orders[won]), "held_out_successes": won.sum(), "held_out_auc": auc(final, won),
        "held_out_balanced_accuracy": chosen.balanced_accuracy, "threshold": chosen.value,
    }  # fmt: skip
    return {name: float(number) for name, number in out.items()}


def train_imagetext(config: ImageTextTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    _, perception = checkpoint.load_perception(config.encoder)
    columns, probes, data = load_probes(config.data, perception, config.model.probes, config.cache)
    config = replace(config, model=replace(config.model, looks=perception.encoder.looks))
    trainer = _Trainer(config, perception, columns, probes)
    reached, numbers = loop.run(
        trainer, title="imagetext", steps=config.steps, out=config.out,
        fingerprint=provenance.fingerprint(config, data, perception.sha256),
        save_every=config.save_every, log_every=200, stop_after=stop_after,
    )  # fmt: skip
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    metrics = numbers | trainer.measure()
    Console(emoji=False, stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
    prompts = {sentence for told in columns_told(columns) for sentences in told for sentence in sentences}
    card = checkpoint.Card(
        kind="imagetext",
        architecture={"encoder": perception.config.to_json(), "imagetext": config.model.to_json()},
        instructions=tuple(sorted({*perception.language.known, *config.model.probes, *prompts})),
        data_sha256=data,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)),
        metrics=metrics,
    )
    modules = {"encoder": perception.encoder, "imagetext": trainer.net}
    checkpoint.save(config.out, card, modules, perception.language)
    loop.finish(config.out)
    return config.out
