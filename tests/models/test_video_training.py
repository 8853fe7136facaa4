"""Pre-training on video: it learns the order of frames, resumes exactly, shares batches, and its encoder is usable."""

from __future__ import annotations

import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.icvf import Batch, ICVFConfig, MultilinearConfig
from vgps_models.perception.images import ImageConfig
from vgps_models.training.augment import AugmentConfig
from vgps_models.training.resume import Resume
from vgps_models.training.video import VideoTrainer, VideoTraining, sized, train_video
from vgps_models.video.form import Form
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Sampler, Sampling
from vgps_models.video.shards import VideoShards
from vgps_models.video.writing import ShardWriter

SIZE, LENGTH = 32, 12


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """Films of a square that goes to a corner of its own, straight on."""
    root, random = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    form = Form(size=SIZE, codec="raw")
    writer = ShardWriter(root, 0, form)
    for number in range(60):
        begin, end = random.integers(4, SIZE - 4, (2, 2))
        for step in range(LENGTH):
            u, v = np.round(begin + (end - begin) * step / (LENGTH - 1)).astype(int)
            image = np.full((SIZE, SIZE, 3), 90, np.uint8)
            image[v - 3 : v + 4, u - 3 : u + 4] = (220, 40, 40)
            writer.write(form.encode(image))
        told = {"source": "made", "view": "front", "text": "", "embodiment": "square", "begin_s": 0.0}
        writer.end_video(name=f"{number}", source_hz=form.hz, **told)
        writer.end_recording(f"{number}")
    writer.finish()
    writer.close()
    return root


TINY = VideoTraining(
    steps=6, threads=1, workers=0, save_every=2, bf16="off", held_out=0.2,
    image=ImageConfig(width=16, depth=1, maps=8, out=32), model=MultilinearConfig(widths=(32, 32), form=32),
    sampling=Sampling(batch=16, per_video=4, goals=4, goals_from="batch"),
)  # fmt: skip


@pytest.fixture(scope="module")
def training(shards) -> VideoTraining:
    return replace(TINY, data=(shards,))


def learning(training: VideoTraining, head: str, out: Path, steps: int, seed: int = 0) -> VideoTraining:
    return replace(
        training, steps=steps, rate=1e-3, seed=seed, out=out,
        model=replace(training.model, head=head, form=256 if head == "scalar" else 1024, bins=20),
        icvf=ICVFConfig(gamma=0.9, polyak=0.05),
        sampling=replace(training.sampling, batch=32, per_video=8, goals=8, seed=seed),
        augment=AugmentConfig(0.02, 0.02, 0.02, 1.0, 0, 0.0),
    )  # fmt: skip


def disorder(config: VideoTraining) -> tuple[float, float]:
    """1 less the rank correlation with time on held-out videos, before and after training. 0: all in order; 1: none."""
    films = VideoShards(*config.data)
    untrained = VideoTrainer(sized(config, films), films).measure()["held_out_voc"]
    out = train_video(config)
    assert out is not None
    return 1 - untrained, 1 - checkpoint.read_card(out).metrics["held_out_voc"]


def test_it_learns_how_far_a_frame_is_from_the_last(training, tmp_path):
    """With seeds 0 to 4 at most a thirtieth of the untrained network's disorder is left; that is .26 to .56."""
    before, after = disorder(learning(training, "scalar", tmp_path / "video.safetensors", 400))
    assert after < 0.25 * before


@pytest.mark.evidence
def test_it_learns_so_with_histograms(training, tmp_path):
    """They take longer: after 700 updates one seed of three had not begun, after 1500 it had .9 in order."""
    found = [disorder(learning(training, "hl_gauss", tmp_path / f"{s}.safetensors", 1500, s)) for s in range(3)]
    assert np.median([after for _, after in found]) < 0.5 * np.median([before for before, _ in found])


@pytest.mark.parametrize("head", ["scalar", "hl_gauss"])
def test_what_was_learned_is_read_back(training, head, tmp_path):
    config = learning(training, head, tmp_path / "video.safetensors", 20)
    out = train_video(config)
    assert out is not None and checkpoint.read_card(out).metrics["held_out_videos"] == 12
    again = checkpoint.load_video(out)
    frames = VideoShards(*config.data).read(np.arange(LENGTH))
    values, spread = again.curve(frames)
    assert values.shape == spread.shape == (LENGTH,) and (spread >= 0).all()
    if head == "hl_gauss":  # its bins, and half of one beside them, are all that it can say
        assert float(values.min()) > -11 and float(values.max()) < 1
    assert again.embed(frames).shape == (LENGTH, 32)
    _, encoder = checkpoint.load_encoder(out)
    assert torch.equal(encoder.image.trunk.stem.weight, again.net.encoder.image.trunk.stem.weight)  # type: ignore


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_it_ends_with_the_same_weights(training, workers, tmp_path):
    whole = train_video(replace(training, out=tmp_path / "whole.safetensors"))
    broken = replace(training, workers=workers, budget_mb=0.0, out=tmp_path / "broken.safetensors")
    assert train_video(broken, stop_after=3) is None and train_video(broken) == broken.out and whole is not None
    one, two = load_file(whole), load_file(broken.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)


def small(shards: Path, out: Path) -> VideoTraining:
    """A training whose log has some lines between two saved states."""
    return replace(TINY, data=(shards,), steps=181, save_every=80, out=out)


def test_killed_without_a_word_it_goes_on_along_the_same_curve(shards, tmp_path):
    whole, killed = (small(shards, tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    train_video(whole)
    log = killed.out.with_suffix(".log.jsonl")
    training = multiprocessing.get_context("spawn").Process(target=train_video, args=(killed,))
    training.start()
    while training.is_alive() and not (log.exists() and '"step": 100' in log.read_text(encoding="utf-8")):
        training.join(0.01)
    training.kill()  # twenty steps and a line of the log after its last saved state
    training.join()
    assert training.exitcode == -signal.SIGKILL and not killed.out.exists()
    with log.open("a", encoding="utf-8") as lines:
        lines.write('{"step": 100, "seco')  # and another that it had not done writing
    train_video(killed)
    curves = [
        [(row["step"], row["loss"], row["v"]) for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())]
        for path in (whole.out.with_suffix(".log.jsonl"), log)
    ]
    assert [step for step, *_ in curves[0]] == [0, 50, 100, 150, 180] and curves[0] == curves[1]
    one, two = load_file(whole.out), load_file(killed.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)


def test_a_state_is_saved_when_its_minutes_are_over(training, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Resume, "save", lambda *a: saved.append(a[-1]))
    train_video(replace(training, save_every=1000, save_minutes=0.0, out=tmp_path / "x.safetensors"), stop_after=4)
    assert saved == [1, 2, 3, 4]


def test_parts_one_after_the_other_give_the_gradient_of_the_whole(training, shards):
    still = replace(training, augment=AugmentConfig(0, 0, 0, 0, 0, 0))
    batch = next(iter(Loader(VideoShards(shards), still.sampling, workers=0)))
    moved = []
    for parts in (1, 4):
        trainer = VideoTrainer(sized(replace(still, accumulate=parts), VideoShards(shards)), VideoShards(shards))
        trainer.learn(0, batch)
        moved.append([p.grad.clone() for p in trainer.trained if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-5 * float(a.norm()) + 1e-8) for a, b in zip(*moved, strict=True))


def test_with_neither_reader_nor_observed_returns_it_is_the_published_loss(training, shards):
    """The gradient of a step is that of ICVF's own loss on the same batch, and the reader gets none."""
    films = VideoShards(shards)
    still = replace(training, observed=0.0, beside=0.0, augment=AugmentConfig(0, 0, 0, 0, 0, 0))
    batch = next(iter(Loader(films, still.sampling, workers=0)))
    trainer, plain = (VideoTrainer(sized(still, films), films) for _ in range(2))
    trainer.learn(0, batch)
    plain.learner.loss(Batch.of(torch.from_numpy(batch.frames).float(), batch.row))[0].backward()
    nn.utils.clip_grad_norm_(plain.trained, 10.0)
    for one, two in zip(trainer.trained, plain.trained, strict=True):
        assert (one.grad is None) == (two.grad is None)
        assert one.grad is None or two.grad is None or torch.allclose(one.grad, two.grad, atol=1e-6)
    assert all(parameter.grad is None for parameter in trainer.reader.parameters())


def test_steps_to_the_outcome_are_those_the_video_shows(training, shards):
    batch = next(iter(Loader(VideoShards(shards), training.sampling, workers=0)))
    rows = zip(batch.video[0], batch.video[2], batch.time[0], batch.time[2], batch.steps, strict=True)
    for s_video, outcome_video, s, outcome, steps in rows:
        assert steps == (outcome - s if s_video == outcome_video and outcome >= s else -1)
    assert (batch.steps == 0).any() and (batch.steps < 0).any() and (batch.steps > 0).any()


def test_processes_share_a_step_without_a_rest(shards):
    bounds, settings = VideoShards(shards).bounds, Sampling(batch=16)
    whole = Sampler(bounds, settings).draw(3).index
    parts = [Sampler(bounds, settings, share=(i, 2)).draw(3).index for i in range(2)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_it_goes_on_from_another_checkpoint_of_the_same_form(training, tmp_path):
    first = train_video(replace(training, out=tmp_path / "first.safetensors"))
    again = replace(training, start=str(first), out=tmp_path / "again.safetensors")
    assert train_video(again) == again.out
    assert json.loads(again.out.with_suffix(".json").read_text(encoding="utf-8"))["settings"]["start"] == str(first)
    with pytest.raises(SpecError, match="another encoder"):
        train_video(replace(again, image=ImageConfig(width=32, depth=1), out=tmp_path / "x.safetensors"))


def test_a_batch_that_cannot_be_shared_out_is_refused(training, tmp_path):
    with pytest.raises(SpecError, match="3 parts"):
        train_video(replace(training, accumulate=3, out=tmp_path / "x.safetensors"))
