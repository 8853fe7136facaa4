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
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.icvf import ICVF, Batch, ICVFConfig, MultilinearConfig
from vgps_models.icvf.frames import FrameEncoder, FrameValues
from vgps_models.perception.images import ImageConfig, ImageNet
from vgps_models.perception.language import Language
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.progress.measures import voc
from vgps_models.training import loop, parallel, provenance
from vgps_models.training.augment import Augment, AugmentConfig
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Sampling, Transitions, split_videos
from vgps_models.video.shards import VideoShards

MEASURED = 200  # held-out videos whose order of values is measured


@dataclass(frozen=True)
class VideoTraining:
    """`vgps train video`: some half an hour on 2 cores."""

    data: tuple[Path, ...] = (Path("data/shards"),)  # folders of `vgps video pack`, used together
    out: Path = Path("runs/video.safetensors")  # checkpoint to write
    start: str = ""  # encoder checkpoint whose image network is gone on with; empty: from scratch
    steps: int = 6000  # updates
    accumulate: int = 1  # parts of a batch that are computed one after the other, for large batches on small memory
    rate: float = 1e-3  # peak learning rate, AdamW, cosine
    even: float = 0.5  # share of the updates over which the expectile rises from 1/2 to its value, see `rising`
    decay: float = 1e-4  # weight decay
    held_out: float = 0.05  # share of the videos kept for measuring
    seed: int = 0  # of weights, changes of images and the split; --sampling.seed is that of the batches
    threads: int = 2  # torch threads
    workers: int = 1  # processes that decode, unless all frames fit into memory
    budget_mb: float = 6000.0  # of memory for decoded frames
    save_every: int = 500  # updates between resume points
    save_minutes: float = 10.0  # and at the latest after so many minutes
    bf16: bool = True  # autocast the image network
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
        self.modules = {"learner": self.learner}
        self.trained = [p for p in self.learner.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, config.rate, weight_decay=config.decay, fused=True)
        self.augment = Augment(config.augment)
        self._loader: Loader | None = None

    def step(self, step: int) -> dict[str, Tensor]:
        return self.learn(step, self._next(step))

    def learn(self, step: int, batch: Transitions) -> dict[str, Tensor]:
        """One update on a batch that is there already."""
        config = self.config
        loop.set_rate(self.optimiser, config.rate * loop.cosine(step, config.steps))
        self.learner.expectile = rising(step, round(config.even * config.steps), config.icvf.expectile)
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        parts = config.accumulate
        for part in range(parts):
            seen = self._seen(batch if parts == 1 else batch.part(part, parts), step, part)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=config.bf16):
                loss, numbers = self.learner.loss(seen)
            (loss / parts).backward()
            sums = {name: sums.get(name, 0.0) + value / parts for name, value in numbers.items()}
        parallel.average_gradients(self.trained)
        nn.utils.clip_grad_norm_(self.trained, 10.0)
        self.optimiser.step()
        self.learner.after_step()
        return sums

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


def rising(step: int, over: int, expectile: float) -> float:
    """The expectile of a step: from 1/2 up to its value, and that from `over` on.

    A network that cannot tell a clip's frames apart yet sees frames at their goal (worth 0, better than it thinks) and
    frames on the way (worse than it thinks) as one. With an expectile of .9 the former weigh nine times as much, so
    it says "there" for the whole clip, which keeps every advantage negative: a plateau that it hardly leaves. With
    1/2 all weigh alike.
    """
    return expectile if step >= over else 0.5 + (expectile - 0.5) * step / over


def train_video(config: VideoTraining, *, stop_after: int | None = None) -> Path | None:
    """Train, measure, write the checkpoint; None when stopped before the end."""
    torch.set_num_threads(config.threads)
    shards = VideoShards(*config.data)
    for problem in shards.problems:
        Console(stderr=True).print(f"[yellow]skipped:[/yellow] {problem}")
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
    Console(stderr=True).print({k: round(v, 3) for k, v in metrics.items()})
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
