"""Train an image network on video alone: values of every intent (ICVF, 2304.04782), as V-PTR does (2309.13041).

No actions, rewards or labels. What is kept is the image network, as an encoder of all views that `train critic
--encoder` and `train policy --encoder` take, and the value heads, which say how far a frame is from a final one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.icvf import ICVF, Batch, ICVFConfig, MultilinearConfig, PairReader
from vgps_models.icvf.frames import FrameEncoder, FrameValues
from vgps_models.perception.images import ImageConfig, ImageNet
from vgps_models.perception.language import Language
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.precision import Bf16, autocast, settled
from vgps_models.progress.measures import voc
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.augment import Augment, AugmentConfig
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Sampling, Transitions, split_videos
from vgps_models.video.shards import VideoShards

MEASURED = 200  # held-out videos whose order of values is measured


@dataclass(frozen=True)
class VideoTraining:
    """`vgps train video`: some fifty minutes of one core for 50 000 frames."""

    data: tuple[Path, ...] = (Path("data/shards"),)  # folders of `vgps video pack`, used together
    out: Path = Path("runs/video.safetensors")  # checkpoint to write
    start: str = ""  # encoder checkpoint whose image network is gone on with; empty: from scratch
    steps: int = 16_000  # updates
    accumulate: int = 1  # parts of a batch that are computed one after the other, for large batches on small memory
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    observed: float = 0.4  # share of the updates in which the value learns returns that were observed; 0: none
    beside: float = 1.0  # weight of a reader of pairs that learns these beside the value all along; 0: none
    decay: float = 1e-4  # weight decay
    held_out: float = 0.05  # share of the videos kept for measuring
    seed: int = 0  # of weights, changes of images and the split; --sampling.seed is that of the batches
    threads: int = 2  # torch threads
    workers: int = 1  # processes that decode, unless all frames fit into memory
    budget_mb: float = 6000.0  # of memory for decoded frames
    save_every: int = 500  # updates between resume points
    save_minutes: float = 10.0  # and at the latest after so many minutes
    bf16: Bf16 = "auto"  # bfloat16 in the image network: where it is faster, on or off
    cameras: tuple[str, ...] = ("front", "wrist")  # views of the robot that the encoder will be given
    image: ImageConfig = field(default_factory=ImageConfig)  # its size is that of the shards
    model: MultilinearConfig = field(default_factory=MultilinearConfig)
    icvf: ICVFConfig = field(default_factory=lambda: ICVFConfig(gamma=0.95, polyak=0.02))  # for clips of some 30 frames
    sampling: Sampling = field(default_factory=lambda: Sampling(per_video=8, goals=8, goals_from="batch"))
    augment: AugmentConfig = field(default_factory=AugmentConfig)  # of every frame on its own


class VideoTrainer:
    """Takes steps over batches that a loader makes ahead; `loop.run` drives it."""

    def __init__(self, config: VideoTraining, shards: VideoShards) -> None:
        self.config, self.shards = config, shards
        self.train, self.test = split_videos(len(shards.videos), config.held_out, config.seed)
        torch.manual_seed(config.seed)
        self.device = parallel.device()
        image = ImageNet(config.image)
        if config.start:
            image.load_state_dict(_started(config).state_dict())
        self.learner = ICVF(FrameEncoder(image), config.model, config.icvf).to(self.device)
        self.reader = PairReader(config.model).to(self.device)
        self.modules = {"learner": self.learner, "reader": self.reader}
        both = (*self.learner.net.parameters(), *self.reader.parameters())
        self.trained = [p for p in both if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, config.rate, weight_decay=config.decay, fused=True)
        self.augment = Augment(config.augment)
        self._loader: Loader | None = None

    def step(self, step: int) -> dict[str, Tensor]:
        return self.learn(step, self._next(step))

    def learn(self, step: int, batch: Transitions) -> dict[str, Tensor]:
        """One update on a batch that is there already."""
        config = self.config
        loop.set_rate(self.optimiser, config.rate * loop.cosine(step, config.steps))
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        parts = config.accumulate
        for part in range(parts):
            seen = batch if parts == 1 else batch.part(part, parts)
            with autocast(config.bf16, self.device):
                loss, numbers = self._loss(self._seen(seen, step, part), torch.from_numpy(seen.steps), step)
            (loss / parts).backward()
            sums = {name: sums.get(name, 0.0) + value / parts for name, value in numbers.items()}
        loop.apply_gradients(self.optimiser, self.trained, clip=10.0)
        self.learner.after_step()
        return sums

    def _loss(self, seen: Batch, steps: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Of the value and, with its weight, of the reader beside it. steps (B,): from s to s+, see `Transitions`."""
        config, learner = self.config, self.learner
        features, observed = learner.net.encode(seen.observations), config.icvf.worth(steps.to(self.device))
        if step < config.observed * config.steps:
            loss, numbers = learner.observed_loss(seen, features, observed)
        else:
            loss, numbers = learner.loss(seen, features)
        if config.beside:
            beside = self.reader.loss(features, seen.s, seen.goal, observed)
            loss, numbers = loss + config.beside * beside, numbers | {"beside": beside.detach()}
        return loss, numbers

    def _next(self, step: int) -> Transitions:
        if self._loader is None or self._loader.step != step:
            self.close()
            config = self.config
            self._loader = Loader(
                self.shards, config.sampling, start=step, workers=config.workers,
                budget_mb=config.budget_mb, videos=self.train, share=parallel.place(),
            )  # fmt: skip
        return self._loader.next()

    def _seen(self, batch: Transitions, step: int, part: int) -> Batch:
        random = np.random.Generator(np.random.PCG64([self.config.seed, step, part, 17]))
        frames = torch.from_numpy(batch.frames)
        nothing = torch.zeros(len(frames), 1, 0, 2)  # no pixel whose place would have to be followed
        changed, _ = self.augment(frames[:, None], nothing, random)
        return Batch.of(changed[:, 0], batch.row).to(self.device)

    def values(self) -> FrameValues:
        """What was learned, on the CPU."""
        return FrameValues(self.learner.cpu().net).eval()

    def measure(self) -> dict[str, float]:
        """Held-out videos: rank correlation of V(frame; final frame) with time."""
        values, bounds, orders = self.values(), self.shards.bounds, []
        for video in self.test[:MEASURED]:
            frames = self.shards.read(np.arange(int(bounds[video]), int(bounds[video + 1])))
            orders.append(voc(values.curve(frames)[0].numpy()))
        return {"held_out_voc": float(np.median(orders)), "held_out_videos": float(len(orders))}

    def close(self) -> None:
        if self._loader is not None:
            self._loader.close()
            self._loader = None


def train_video(config: VideoTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    config = settled(config, parallel.device())
    shards = VideoShards(*config.data)
    for problem in shards.problems:
        Console(emoji=False, stderr=True).print(f"[yellow]skipped:[/yellow] {problem}")
    if config.sampling.batch % (config.accumulate * parallel.processes()):
        raise SpecError(
            f"a batch of {config.sampling.batch} transitions cannot be shared out among {parallel.processes()} "
            f"processes and {config.accumulate} parts each"
        )
    config = sized(config, shards)
    image, model = config.image, config.model
    trainer = VideoTrainer(config, shards)
    try:
        reached, numbers = loop.run(
            trainer, title="video", steps=config.steps, out=config.out,
            fingerprint=provenance.fingerprint(
                config, shards.sha256, without=(*provenance.WITHOUT, "workers", "budget_mb", "save_minutes")
            ),
            save_every=config.save_every, save_minutes=config.save_minutes, stop_after=stop_after,
        )  # fmt: skip
    finally:
        trainer.close()
    if reached < config.steps:
        return None
    if not parallel.leads():
        return config.out
    metrics = numbers | trainer.measure()
    Console(emoji=False, stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
    views = ViewsConfig(config.cameras, image)
    encoder, values = ViewsEncoder(views), trainer.values()
    encoder.image = values.image
    card = checkpoint.Card(
        kind="encoder",
        architecture={"encoder": views.to_json(), "icvf": model.to_json()},
        data_sha256=shards.sha256,
        git=provenance.git_revision(),
        command=provenance.command(),
        settings=provenance.plain(asdict(config)),
        metrics=metrics,
    )
    checkpoint.save(config.out, card, {"encoder": encoder, "icvf": values}, Language())
    loop.finish(config.out)
    return config.out


def sized(config: VideoTraining, shards: VideoShards) -> VideoTraining:
    """The configuration with the sizes that follow from the shards."""
    image = replace(config.image, size=shards.form.size)
    return replace(config, image=image, model=replace(config.model, features=image.features, low=config.icvf.never))


def _started(config: VideoTraining) -> ImageNet:
    """The image network of the checkpoint to go on from."""
    _, encoder = checkpoint.load_encoder(config.start)
    if not isinstance(encoder, ViewsEncoder) or encoder.config.image != config.image:
        raise SpecError(
            f"{config.start} has another encoder ({encoder.config}); train from scratch or set --image to it"
        )
    return encoder.image
