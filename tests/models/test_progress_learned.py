"""The learned estimator: what its targets are, that it learns them, and that it judges images alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.data import EpisodeStore
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress import Clip, Example
from vgps_models.progress.clips import of_episode
from vgps_models.progress.learned import ProgressConfig, ProgressNet
from vgps_models.training.progress import NEAR, ProgressTraining, Targets, train_progress


@pytest.fixture(scope="module")
def settings(episodes, encoder_file, cache, tmp_path_factory) -> ProgressTraining:
    out = tmp_path_factory.mktemp("progress") / "progress.safetensors"
    return ProgressTraining(
        data=episodes, encoder=str(encoder_file), out=out, cache=cache, steps=12, batch=16, wrong_batch=8, threads=1,
        held_out=0.4, model=ProgressConfig(heads=2, width=16),
    )  # fmt: skip


@pytest.fixture(scope="module")
def progress_file(settings) -> Path:
    assert train_progress(settings) == settings.out
    return settings.out


def test_only_successes_teach_progress_and_only_their_end_is_success(episodes):
    columns = EpisodeStore(episodes).columns()
    targets = Targets.of(columns)
    for episode, (first, end) in enumerate(zip(columns.bounds, columns.bounds[1:], strict=False)):
        rows, won = slice(first, end), bool(columns.success[end - 1])
        assert (targets.progress_known[rows] == won).all()
        assert targets.progress[first] == 0 and targets.progress[end - 1] == 1, episode
        assert (np.diff(targets.progress[rows]) > 0).all()
        assert targets.success[rows].sum() == won and targets.success[end - 1] == won
        doubtful = ~targets.success_known[rows]
        assert doubtful.sum() == (NEAR if won else 0) and not doubtful[-1]


def test_a_net_learns_to_order_what_can_be_ordered():
    torch.manual_seed(0)
    net = ProgressNet(ProgressConfig(looks=3, heads=2, width=16, dropout=0.0))
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2)
    when = torch.rand(256)
    looks = torch.stack([when, torch.randn(256), torch.randn(256)], dim=-1)
    untrained = torch.corrcoef(torch.stack([net.values(looks).detach().mean(0), when]))[0, 1].abs()
    for _ in range(200):
        target = torch.stack([when, (when > 0.9).float()], dim=-1).expand(2, -1, -1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(looks), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    values = net.values(looks).detach()
    assert values.shape == (2, 256) and (values >= 0).all() and (values <= 1).all()
    assert torch.corrcoef(torch.stack([values.mean(0), when]))[0, 1] > untrained + 0.3


def test_a_checkpoint_judges_clips_of_any_size_by_their_images(progress_file, episodes):
    estimator = checkpoint.load_progress(progress_file)
    clip = of_episode(EpisodeStore(episodes), 1)
    made = estimator.estimate(clip)
    assert made.values.shape == made.spread.shape == (len(clip),) and made.source == "learned:progress"
    assert ((made.values >= 0) & (made.values <= 1)).all() and (made.spread > 0).any() and made.usage.requests == 0
    # Each moment by itself: the order of the clip does not matter, nor what else is in it.
    backwards = estimator.estimate(clip.take(np.arange(len(clip))[::-1]))
    assert np.allclose(backwards.values[::-1], made.values, atol=1e-5)
    wide = {name: np.pad(images, ((0, 0), (0, 0), (7, 7), (0, 0))) for name, images in clip.views.items()}
    assert np.allclose(estimator.estimate(Clip(wide, clip.task)).values, made.values, atol=1e-5)
    large = {name: images.repeat(3, axis=1).repeat(3, axis=2) for name, images in clip.views.items()}
    assert np.abs(estimator.estimate(Clip(large, clip.task)).values - made.values).max() < 0.1


def test_what_it_cannot_use_is_refused(progress_file, episodes):
    estimator = checkpoint.load_progress(progress_file)
    clip = of_episode(EpisodeStore(episodes), 0)
    with pytest.raises(DataError, match="wrist"):
        estimator.estimate(Clip({"front": clip.views["front"]}, clip.task))
    with pytest.raises(DataError, match="takes no examples"):
        estimator.estimate(clip, [Example(clip, np.linspace(0, 1, len(clip)))])


def test_a_resumed_training_ends_with_the_same_weights(settings, progress_file, tmp_path):
    from dataclasses import replace

    again = replace(settings, out=tmp_path / "again.safetensors")
    assert train_progress(again, stop_after=5) is None
    assert train_progress(again) == again.out
    one, two = (checkpoint.read(p, "progress")[1] for p in (progress_file, again.out))
    assert all(torch.equal(one[name], two[name]) for name in one if name.startswith("progress."))


def test_a_task_can_be_left_out_and_data_without_failures_is_refused(settings, episodes, tmp_path):
    from dataclasses import replace

    out = tmp_path / "left.safetensors"
    train_progress(replace(settings, out=out, leave_out=("put_carrot_on_plate",)))
    assert "left_out_voc" in checkpoint.read_card(out).metrics
    with pytest.raises(UnknownNameError, match="put_carrot_on_plate"):
        train_progress(replace(settings, out=out, leave_out=("juggle",)))


def test_the_shipped_estimator_says_how_good_it_is():
    metrics = checkpoint.read_card("progress").metrics
    assert metrics["held_out_voc"] >= 0.9 and metrics["held_out_auc"] >= 0.9 and 0 < metrics["threshold"] < 1
