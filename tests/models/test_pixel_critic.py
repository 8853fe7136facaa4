"""The critic from pixels: encoding once changes no gradient, bfloat16 little, and it trains, resumes and runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from torch import Tensor

from vgps_models import checkpoint
from vgps_models.critics.base import Batch
from vgps_models.critics.calql import CalQL, CalQLConfig
from vgps_models.critics.end_to_end import EndToEnd, Sights
from vgps_models.critics.network import CriticConfig, QEnsemble
from vgps_models.critics.resnet import ResNetConfig, ResNetEncoder
from vgps_models.errors import UnknownNameError
from vgps_models.steering import Steering
from vgps_models.training.pixel_critic import PixelTraining, train_pixels

ENCODER = ResNetConfig(image_size=48, blocks=(1, 1), channels=8, sentence=384)
HEADS = CriticConfig(features=ENCODER.features, chunk=7, heads=2, width=16, words=0)


def learner(backup: str = "min") -> EndToEnd:
    torch.manual_seed(0)
    loss = CalQLConfig(alpha=5.0, random_chunks=2, policy_chunks=3, backup_chunks=3, backup=backup)  # type: ignore[arg-type]
    made = EndToEnd(CalQL(HEADS, loss), ResNetEncoder(ENCODER))
    for name, weight in made.named_parameters():
        if ".film." in name:
            torch.nn.init.normal_(weight, std=0.02)
    return made


def batch(size: int = 4, wrong: int = 2, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def images(rows: int) -> Any:
        seen = torch.randint(0, 256, (rows, 1, 48, 48, 3), generator=g, dtype=torch.uint8)
        return Sights(seen, torch.zeros(rows, 10))

    def words(rows: int) -> Tensor:
        return F.normalize(torch.randn(rows, 384, generator=g), dim=-1)

    def chunks(*shape: int) -> Tensor:
        return torch.rand(*shape, 7, generator=g) * 2 - 1

    none = torch.zeros(0)
    return Batch(
        features=images(size), sentence=words(size), chunk=chunks(size), reward=-torch.ones(size),
        discount=torch.full((size,), 0.98), next_features=images(size), mc_return=torch.full((size,), -20.0),
        policy_chunks=chunks(size, 3), next_chunks=chunks(size, 3), uniform_chunks=chunks(size, 2),
        option_reward=none, option_discount=none, option_features=images(0),
        wrong_features=images(wrong), wrong_sentence=words(wrong), wrong_chunk=chunks(wrong),
    )  # fmt: skip


class _AgainForEveryChunk(QEnsemble):
    """Scores chunks as V-GPS trains: the images of the batch pass through the encoder for every one of them."""

    encoder: ResNetEncoder

    def raw(self, features: Any, sentence: Tensor, chunks: Tensor) -> Tensor:
        def seen() -> Tensor:
            return self.encoder.encode(features.images, features.proprio, sentence)

        each = [QEnsemble.raw(self, seen(), sentence, chunks[:, k : k + 1]) for k in range(chunks.shape[1])]
        return torch.cat(each, dim=2)

    def forward(self, features: Any, sentence: Tensor, chunks: Tensor) -> Tensor:
        return self.head.value(self.raw(features, sentence, chunks))


def repeated(made: EndToEnd, seen: Batch) -> dict[str, Tensor]:
    """The same loss with an encoder pass for every chunk that is scored."""
    own: Any = made.learner
    for net, encoder in ((own.net, made.encoder), (own.target, made.target_encoder)):
        net.__class__ = _AgainForEveryChunk
        object.__setattr__(net, "encoder", encoder)
    return own.losses(seen)


@pytest.mark.parametrize("backup", ["min", "mean"])
def test_encoding_once_gives_the_gradients_of_encoding_for_every_chunk(backup):
    once, again = learner(backup), learner(backup)
    loss, other = once.losses(batch())["loss"], repeated(again, batch())["loss"]
    loss.backward()
    other.backward()
    assert torch.allclose(loss, other, rtol=1e-5)
    theirs = dict(again.named_parameters())
    moved = 0
    for name, weight in once.named_parameters():
        if weight.grad is None:
            assert theirs[name].grad is None, name
            continue
        wanted = theirs[name].grad
        assert wanted is not None and torch.allclose(weight.grad, wanted, atol=1e-5 * float(wanted.norm())), name
        moved += name.startswith("encoder.")
    assert moved == len(list(once.encoder.parameters()))


def test_every_observation_is_encoded_once_and_the_next_one_without_gradients():
    made, rows = learner(), []
    for name in ("encoder", "target_encoder"):
        net = getattr(made, name)
        net.register_forward_hook(
            lambda _, inputs, out, name=name: rows.append((name, len(inputs[0]), out.requires_grad))
        )
    made.losses(batch(size=4, wrong=2))
    assert sorted(rows) == [("encoder", 6, True), ("target_encoder", 4, False)]


def test_bfloat16_changes_the_loss_little():
    exact = learner().losses(batch(8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = learner().losses(batch(8))
    for name in ("loss", "td", "q_data", "q_policy"):
        assert float(exact[name].detach()) == pytest.approx(float(rounded[name].detach()), rel=0.02), name


def test_both_targets_follow():
    made: Any = learner()
    for weights in (made.encoder.parameters(), made.net.parameters()):
        for weight in weights:
            weight.data += 1.0
    before = made.target_encoder.stem.weight.clone(), made.learner.target.out.weight.clone()
    made.follow()
    for old, new in zip(before, (made.target_encoder.stem.weight, made.learner.target.out.weight), strict=True):
        assert torch.allclose(new - old, torch.full_like(old, 0.005), atol=1e-5)


@pytest.fixture(scope="module")
def training(episodes, policy_file, cache) -> PixelTraining:
    return PixelTraining(
        data=episodes, policy=str(policy_file), cache=cache, samples=8, steps=4, batch=8, wrong_batch=4, threads=1,
        held_out=0.4, save_every=2, bf16="off", resnet=ENCODER, model=HEADS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(training, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("pixels") / "pixels.safetensors"
    assert train_pixels(replace(training, out=out)) == out
    return out


def test_a_resumed_training_ends_with_the_same_weights(training, trained, tmp_path):
    broken = replace(training, out=tmp_path / "broken.safetensors")
    assert train_pixels(broken, stop_after=3) is None and not broken.out.exists()
    assert train_pixels(broken) == broken.out
    one, two = load_file(trained), load_file(broken.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)


def test_the_encoder_learns_too(training, trained):
    torch.manual_seed(training.seed)
    untrained = ResNetEncoder(training.resnet).state_dict()
    now = load_file(trained)
    assert all(not np.array_equal(now[f"encoder.{name}"], weight.numpy()) for name, weight in untrained.items())


def test_the_checkpoint_steers_a_policy(trained, policy_file, observe):
    steering = Steering.from_checkpoints(policy_file, trained, k=5)
    decision = steering(observe(3))
    assert decision.mean.shape == (5,) and np.isfinite(decision.mean).all()
    card = checkpoint.read_card(trained)
    assert card.to_json()["cameras"] == ["front"] and 0 <= card.metrics["held_out_auc"] <= 1


def test_what_it_cannot_learn_from_is_named(training, tmp_path):
    with pytest.raises(UnknownNameError, match="front, wrist"):
        train_pixels(replace(training, resnet=replace(ENCODER, camera="ceiling"), out=tmp_path / "x.safetensors"))
    with pytest.raises(UnknownNameError, match="calql"):
        train_pixels(replace(training, algorithm="iql", out=tmp_path / "x.safetensors"))
