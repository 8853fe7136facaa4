"""Pre-training on video: it learns the order of frames, resumes exactly, shares batches, and its encoder is usable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from vgps_models import checkpoint
from vgps_models.errors import SpecError
from vgps_models.icvf import ICVFConfig, MultilinearConfig
from vgps_models.perception.images import ImageConfig
from vgps_models.training.augment import AugmentConfig
from vgps_models.training.video import VideoTrainer, VideoTraining, rising, sized, train_video
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


@pytest.fixture(scope="module")
def training(shards) -> VideoTraining:
    return VideoTraining(
        data=(shards,), steps=6, threads=1, workers=0, save_every=2, bf16=False, held_out=0.2,
        image=ImageConfig(width=16, depth=1, maps=8, out=32), model=MultilinearConfig(widths=(32, 32), form=32),
        sampling=Sampling(batch=16, per_video=4, goals=4, goals_from="batch"),
    )  # fmt: skip


def test_it_learns_how_far_a_frame_is_from_the_last(training, tmp_path):
    config = replace(
        training, steps=700, rate=1e-3, model=replace(training.model, form=256),
        icvf=ICVFConfig(gamma=0.9, polyak=0.05), sampling=replace(training.sampling, batch=32, per_video=8, goals=8),
        augment=AugmentConfig(0.02, 0.02, 0.02, 1.0, 0, 0.0), out=tmp_path / "video.safetensors",
    )  # fmt: skip
    out = train_video(config)
    assert out is not None
    card = checkpoint.read_card(out)
    assert card.metrics["held_out_voc"] > 0.7 and card.metrics["held_out_videos"] == 12
    again = checkpoint.load_video(out)
    frames = VideoShards(*config.data).read(np.arange(LENGTH))
    values, spread = again.curve(frames)
    assert values.shape == spread.shape == (LENGTH,) and float(values[-1]) > float(values[0])
    assert again.embed(frames).shape == (LENGTH, 32)
    _, encoder = checkpoint.load_encoder(out)
    assert torch.equal(encoder.image.trunk.layers[0].weight, again.net.encoder.image.trunk.layers[0].weight)  # type: ignore


def test_values_may_be_histograms(training, tmp_path):
    model = replace(training.model, head="hl_gauss", form=64, bins=16)
    out = train_video(replace(training, model=model, out=tmp_path / "video.safetensors"))
    assert out is not None
    values, spread = checkpoint.load_video(out).curve(VideoShards(*training.data).read(np.arange(LENGTH)))
    assert (values <= 0).all() and (values >= -1 / (1 - training.icvf.gamma)).all() and (spread >= 0).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_it_ends_with_the_same_weights(training, workers, tmp_path):
    whole = train_video(replace(training, out=tmp_path / "whole.safetensors"))
    broken = replace(training, workers=workers, budget_mb=0.0, out=tmp_path / "broken.safetensors")
    assert train_video(broken, stop_after=3) is None and train_video(broken) == broken.out and whole is not None
    one, two = load_file(whole), load_file(broken.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)


def test_a_state_is_saved_when_its_minutes_are_over(training, tmp_path, monkeypatch):
    from vgps_models.training import loop

    saved = []
    monkeypatch.setattr(loop, "save_state", lambda *a: saved.append(a[-1]))
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


def test_processes_share_a_step_without_a_rest(shards):
    bounds, settings = VideoShards(shards).bounds, Sampling(batch=16)
    whole = Sampler(bounds, settings).draw(3).index
    parts = [Sampler(bounds, settings, share=(i, 2)).draw(3).index for i in range(2)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_it_goes_on_from_another_checkpoint_of_the_same_form(training, tmp_path):
    first = train_video(replace(training, out=tmp_path / "first.safetensors"))
    again = replace(training, start=str(first), out=tmp_path / "again.safetensors")
    assert train_video(again) == again.out
    assert json.loads(again.out.with_suffix(".json").read_text())["settings"]["start"] == str(first)
    with pytest.raises(SpecError, match="another encoder"):
        train_video(replace(again, image=ImageConfig(width=32, depth=1), out=tmp_path / "x.safetensors"))


def test_a_batch_that_cannot_be_shared_out_is_refused(training, tmp_path):
    with pytest.raises(SpecError, match="3 parts"):
        train_video(replace(training, accumulate=3, out=tmp_path / "x.safetensors"))


def test_the_expectile_rises_from_one_half_and_stays():
    drawn = [rising(step, 10, 0.9) for step in range(20)]
    assert drawn[0] == 0.5 and drawn == sorted(drawn) and set(drawn[10:]) == {0.9}
    assert rising(0, 0, 0.9) == 0.9  # not at all, as published
